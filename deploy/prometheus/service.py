"""Alerts that speak of the monitor itself: while one of these fires, the models' numbers are old or incomplete.

They look at ages and shares, not at counts of lag or CPU. Timestamps are taken per worker before the worst is chosen,
or a healthy worker would hide a stuck one.

A counter of a worker speaks of the partitions that it owns, and they move: a worker that loses some shows less, one
that gains some shows more, and nothing happened. Alerts on events look at recorded sums over all partitions (`known`).
"""

from __future__ import annotations

from typing import Final

from deploy.prometheus.promql import (
    BLOCKS_LAG,
    JOB,
    REMEMBERED,
    SEEN_EVERY,
    WORKER,
    known,
    risen,
    seen_partitions,
    select,
    total,
    worst,
)
from deploy.prometheus.rule import Alert, Group, Recording, Severity
from monitor import catalogue, topics

PARTITIONS_SEEN: Final = "job:monitor_blocks_partitions:count"
PARTITIONS: Final = "job:monitor_blocks_partitions:max1d"
RECORDS_KNOWN: Final = "topic:monitor_records:known"
DEAD_LETTERS_KNOWN: Final = "topic:monitor_dead_letters:known"
MISSED_KNOWN: Final = "topic:monitor_missed_offsets:known"
OVERFLOW_KNOWN: Final = "label:monitor_label_overflow:known"
EVICTED_KNOWN: Final = "job:monitor_join_evicted:known"
DEAD_LETTER_SHARE: Final = "topic:monitor_dead_letters_per_record:ratio_rate5m"

MAXIMUM_AGE_SECONDS: Final = 300
CATCHING_UP: Final = 1.1
"""Seconds of the log a second: from here on a delay is taken to end by itself. Below, an hour takes more than ten."""
STANDS_SAMPLES: Final = 12
"""Of 15, one a minute, that have to be known of a partition: a new one says nothing yet."""
LAG_RECORDS: Final = 100_000
"""Lag of a partition that a monitor which keeps up never has for minutes: a fetch and a block are some ten thousand."""
RESTARTS: Final = 3
"""In half an hour; a rollout is one."""
YOUNG_SECONDS: Final = 900
"""Age up to which what a process shows from its first sample on is new."""
SILENT_SECONDS: Final = 1800
COMMIT_AGE_SECONDS: Final = 300
SNAPSHOT_AGE_SECONDS: Final = 60
DEAD_LETTER_PAGE_SHARE: Final = 0.01
DEAD_LETTER_PAGE_RECORDS: Final = 50
DEAD_LETTER_TICKET_RECORDS: Final = 10

_LAST_DECISION = select(catalogue.LAST_EVENT, f'topic="{topics.DECISIONS.topic}"')
_ON_THE_WAY = f'topic=~"{topics.DECISIONS.topic}|{topics.BLOCKS}"'
_NO_WORKER = ", ".join(WORKER)
_UP = select("up", f'job="{JOB}"')
_CORRUPT = select(catalogue.STATE_FAILURES, 'reason="corrupt"')

DOWN: Final = Alert(
    name="MonitorDown",
    severity=Severity.CRITICAL,
    expr=f"absent({_UP} == 1)",
    for_seconds=300,
    summary="No worker of the monitor can be scraped.",
    description=f"No target of job {JOB} has been up for 5 minutes: nothing is known of any model.",
    # A comparison inside absent() leaves no labels, and inhibition and grouping need the job.
    labels={"job": JOB},
)

BLIND: Final = Alert(
    name="MonitorBlind",
    severity=Severity.CRITICAL,
    # Without Kafka a busy worker ends before it is scraped, and an idle one waits: it is up and owns nothing.
    expr=f"count by (job) ({_UP} == 1)\nunless on (job)\ncount by (job) ({BLOCKS_LAG})",
    for_seconds=600,
    summary="Workers are up and none owns a partition.",
    description=(
        '{{ $labels.job }}: workers that answer scrapes: {{ printf "%.0f" $value }}. None has exported anything of the '
        "models for 10 minutes: Kafka is away, or the group does not come together."
    ),
)

WORKER_DOWN: Final = Alert(
    name="MonitorWorkerDown",
    severity=Severity.WARNING,
    expr=f"{_UP} == 0",
    for_seconds=900,
    summary="A worker cannot be scraped.",
    description=(
        "{{ $labels.instance }} has not answered a scrape for 15 minutes. The others count in its stead, with less "
        "in reserve."
    ),
)

RESTARTING: Final = Alert(
    name="MonitorRestarting",
    severity=Severity.WARNING,
    # Each life has to be scraped once to be seen. One that ends before it serves shows as MonitorWorkerDown where it
    # stays a target, as MonitorDown where no worker is left, and as MonitorBlind where those left wait for Kafka.
    expr=f'changes(process_start_time_seconds{{job="{JOB}"}}[30m]) >= {RESTARTS}',
    for_seconds=60,
    keep_firing_seconds=900,
    summary="A worker restarts over and over.",
    description=(
        '{{ $labels.instance }}: {{ printf "%.0f" $value }} restarts within 30 minutes. '
        "What it has counted stays right, but it falls behind, and its partitions move each time."
    ),
)


def _stale(newest: str) -> str:
    """Its age, where it is too old and does not become younger: after an outage a worker that catches up needs nobody.

    `newest` is a time of the log.
    """
    return (
        f"(\n    time() - {newest} > {MAXIMUM_AGE_SECONDS}\n  )\n  and\n"
        f"  (\n    deriv(({newest})[10m:{SEEN_EVERY}]) < {CATCHING_UP:g}\n  )"
    )


def _named(expression: str, topic: str) -> str:
    return f'label_replace(\n  {expression},\n  "topic", "{topic}", "", ""\n)'


# A worker reads other partitions of a topic than those whose records it has in its metrics: only over all workers are
# age and lag of a topic the same thing.
_TOPIC_STALLED = (
    f"(\n  {_stale(worst(catalogue.LAST_EVENT))}\n)\nand on (job, topic)\n"
    f"(\n  {total(str(catalogue.LAG), 'partition')} > 0\n)"
)
# What a worker folds it has in its own metrics. Of all topics: where a model has no decisions its reviews go on.
_FOLDING_STALLED = _named(
    f"max without ({_NO_WORKER}) (\n  {_stale(f'max without (topic) ({catalogue.LAST_EVENT})')}\n"
    f"  and on (job, {_NO_WORKER})\n"
    f"  (\n    sum without (topic, partition) ({BLOCKS_LAG}) > 0\n  )\n  )",
    topics.BLOCKS,
)
# While the disk refuses the index, MonitorJoinHeld tells: the join waits, and nothing else does.
_JOIN_WAITS = _named(f"{total(str(catalogue.JOIN_HELD))} > 0", topics.JOIN)

INGEST_STALLED: Final = Alert(
    name="MonitorIngestStalled",
    severity=Severity.CRITICAL,
    # Two stages can stall: reading a topic, and folding the blocks of it (whose lag is that of the internal topic).
    expr=f"(\n{_TOPIC_STALLED}\nunless on (job, topic)\n{_JOIN_WAITS}\n)\nor\n{_FOLDING_STALLED}",
    for_seconds=300,
    keep_firing_seconds=300,
    summary="Records are waiting in Kafka and the metrics are old.",
    description=(
        "{{ $labels.topic }}: the latest record in the metrics is {{ $value | humanizeDuration }} old although "
        "more are waiting. Readings of the models are stale."
    ),
)

_PARTITION_LAG = worst(catalogue.LAG)
_LAG_HISTORY = f"({_PARTITION_LAG})[15m:1m]"

PARTITION_STALLED: Final = Alert(
    name="MonitorPartitionStalled",
    severity=Severity.CRITICAL,
    # A topic is as young as its youngest partition: one that stands still shows in its own lag only. Where something is
    # read the lag falls now and then, so one that never does stands still; one that is large and grows is left behind.
    expr=(
        f"{_PARTITION_LAG}\nand\n(\n  deriv({_LAG_HISTORY}) > 0\n)\nand\n"
        f"(\n  count_over_time({_LAG_HISTORY}) >= {STANDS_SAMPLES}\n)\nand\n"
        f"(\n  (\n    min_over_time({_LAG_HISTORY}) > 0\n    and\n    resets({_LAG_HISTORY}) == 0\n  )\n"
        f"  or\n  min_over_time({_LAG_HISTORY}) > {LAG_RECORDS}\n)\nunless on (job, topic)\n{_JOIN_WAITS}"
    ),
    for_seconds=600,
    keep_firing_seconds=300,
    summary="A partition is not read, or falls behind, while others go on.",
    description=(
        '{{ $labels.topic }}, partition {{ $labels.partition }}: {{ printf "%.0f" $value }} records are waiting, and '
        "for a quarter of an hour they have become more. Readings leave them out."
    ),
)

SOURCE_SILENT: Final = Alert(
    name="MonitorSourceSilent",
    severity=Severity.WARNING,
    # Feedback goes on: a block of it on its way at the time of a scrape is no decision that waits.
    expr=(
        f"(\n  min without ({_NO_WORKER}) (time() - {_LAST_DECISION}) > {SILENT_SECONDS}\n)\n"
        f"unless on (job)\n(\n"
        f"  min_over_time(({total(select(catalogue.LAG, _ON_THE_WAY), 'topic', 'partition')})[5m:{SEEN_EVERY}]) > 0\n)"
    ),
    for_seconds=600,
    keep_firing_seconds=600,
    summary="Nobody publishes decisions.",
    description=(
        "{{ $labels.topic }}: the latest record is {{ $value | humanizeDuration }} old and none is waiting: the "
        "producers are silent, the monitor is idle."
    ),
)

DEAD_LETTERS_PAGE: Final = Alert(
    name="MonitorDeadLetters",
    severity=Severity.CRITICAL,
    expr=(
        f"(\n  {DEAD_LETTER_SHARE} > {DEAD_LETTER_PAGE_SHARE:g}\n)\nand\n"
        f"(\n  {risen(DEAD_LETTERS_KNOWN, '5m')} >= {DEAD_LETTER_PAGE_RECORDS}\n)"
    ),
    for_seconds=300,
    keep_firing_seconds=600,
    summary="A producer breaks the event contract.",
    description=(
        "{{ $labels.topic }}: {{ $value | humanizePercentage }} of the records of the last 5 minutes were "
        "dead-lettered. They are missing from every reading."
    ),
)

DEAD_LETTERS_TICKET: Final = Alert(
    name=DEAD_LETTERS_PAGE.name,
    severity=Severity.WARNING,
    expr=f"{risen(DEAD_LETTERS_KNOWN, '15m')} > {DEAD_LETTER_TICKET_RECORDS}",
    for_seconds=60,
    keep_firing_seconds=900,
    summary="Some records do not follow the event contract.",
    description='{{ $labels.topic }}: {{ printf "%.0f" $value }} records were dead-lettered within 15 minutes.',
)

COMMIT_STALLED: Final = Alert(
    name="MonitorCommitStalled",
    severity=Severity.WARNING,
    expr=(
        f"(\n  time() - {catalogue.LAST_COMMIT} > {COMMIT_AGE_SECONDS}\n)\nand on (job, {_NO_WORKER})\n"
        f"(\n  sum without (topic) (rate({catalogue.RECORDS}[5m])) > 0\n)"
    ),
    for_seconds=300,
    summary="A worker reads but does not commit.",
    description=(
        "{{ $labels.instance }}: Kafka acknowledged the last commit {{ $value | humanizeDuration }} ago while records "
        "are being read. A restart would read all of them again."
    ),
)

SNAPSHOT_STALE: Final = Alert(
    name="MonitorSnapshotStale",
    severity=Severity.CRITICAL,
    expr=f"time() - {catalogue.SNAPSHOT_TIMESTAMP} > {SNAPSHOT_AGE_SECONDS}",
    for_seconds=300,
    summary="A worker answers scrapes with old readings.",
    description=(
        "{{ $labels.instance }}: readings were last computed {{ $value | humanizeDuration }} ago. Its metrics look "
        "alive and are not."
    ),
)

LABEL_OVERFLOW: Final = Alert(
    name="MonitorLabelOverflow",
    severity=Severity.WARNING,
    expr=f"{risen(OVERFLOW_KNOWN, '15m')} > 0",
    for_seconds=300,
    keep_firing_seconds=900,
    summary="A cap on label values was met; decisions are counted under `other`.",
    description=(
        'Label {{ $labels.label }}: {{ printf "%.0f" $value }} decisions within 15 minutes were counted under `other`. '
        "New models, policies or segments are not watched by name."
    ),
)

RECORDS_MISSED: Final = Alert(
    name="MonitorRecordsMissed",
    severity=Severity.WARNING,
    expr=f"{risen(MISSED_KNOWN, '15m')} > 0",
    for_seconds=60,
    keep_firing_seconds=900,
    summary="Records were never counted.",
    description=(
        '{{ $labels.topic }}: {{ printf "%.0f" $value }} offsets within 15 minutes are in no reading: Kafka deleted '
        "them before they were read, or the monitor lost them."
    ),
)

JOIN_HELD: Final = Alert(
    name="MonitorJoinHeld",
    severity=Severity.WARNING,
    expr=f"{catalogue.JOIN_HELD} > 0",
    for_seconds=120,
    summary="The disk refuses the index of the join; feedback without context waits.",
    description=(
        '{{ $labels.instance }}: {{ printf "%.0f" $value }} partitions of the join wait until their index can be '
        "written. Everything else counts; nothing is lost while Kafka keeps the topic."
    ),
)

STATE_CORRUPT: Final = Alert(
    name="MonitorStateCorrupt",
    severity=Severity.WARNING,
    # A worker that finds the damage when it starts, or follows one that ended for it, shows 1 from its first sample on:
    # no increase. Its age tells that
    # this is new; a missing earlier sample would not, as Prometheus may have been away.
    expr=(
        f"increase({_CORRUPT}[15m]) > 0\nor\n(\n  {_CORRUPT} > 0\n"
        f"  and on (job, {_NO_WORKER})\n  (time() - process_start_time_seconds < {YOUNG_SECONDS})\n)"
    ),
    for_seconds=60,
    keep_firing_seconds=900,
    summary="A damaged index of the join was set aside and is rebuilt.",
    description=(
        "{{ $labels.instance }}: an index could not be read. It is in the quarantine of the state directory; the "
        "numbers are exact again once the topic has been read."
    ),
)

JOIN_EVICTED: Final = Alert(
    name="MonitorJoinEvicted",
    severity=Severity.WARNING,
    expr=f"{risen(EVICTED_KNOWN, '15m')} > 0",
    for_seconds=300,
    keep_firing_seconds=900,
    summary="Decisions leave the join before their time: the bound is too small for the horizon.",
    description=(
        '{{ $labels.job }}: {{ printf "%.0f" $value }} decisions, or feedback about one, went within 15 minutes for '
        "lack of room. Late feedback about them becomes an orphan."
    ),
)

WATCHDOG: Final = Alert(
    name="Watchdog",
    severity=Severity.NONE,
    expr="vector(1)",
    # Always firing by design: its absence is the signal.
    for_seconds=0,
    summary="Alerting works.",
    description=(
        "Always firing. The receiver of this alert is a dead-man's switch outside this system: it raises an alarm when "
        "this stops arriving."
    ),
)


def _sum(record: str, counter: catalogue.Metric, *dropped: str) -> Recording:
    return Recording(record, known(record, total(str(counter), *dropped), partitions=PARTITIONS))


GROUPS: Final = (
    Group(
        "monitor_service",
        (
            Recording(PARTITIONS_SEEN, seen_partitions()),
            # While a worker is away its partitions are not there: the most that was seen is what there is.
            Recording(PARTITIONS, f"max_over_time({PARTITIONS_SEEN}[{REMEMBERED}])"),
            _sum(RECORDS_KNOWN, catalogue.RECORDS),
            _sum(DEAD_LETTERS_KNOWN, catalogue.DEAD_LETTERS, "reason"),
            _sum(MISSED_KNOWN, catalogue.MISSED),
            _sum(OVERFLOW_KNOWN, catalogue.LABEL_OVERFLOW),
            _sum(EVICTED_KNOWN, catalogue.JOIN_EVICTED),
            Recording(DEAD_LETTER_SHARE, f"{risen(DEAD_LETTERS_KNOWN, '5m')} / ({risen(RECORDS_KNOWN, '5m')} > 0)"),
            DOWN,
            BLIND,
            WORKER_DOWN,
            RESTARTING,
            INGEST_STALLED,
            PARTITION_STALLED,
            SOURCE_SILENT,
            DEAD_LETTERS_PAGE,
            DEAD_LETTERS_TICKET,
            COMMIT_STALLED,
            SNAPSHOT_STALE,
            LABEL_OVERFLOW,
            RECORDS_MISSED,
            JOIN_HELD,
            STATE_CORRUPT,
            JOIN_EVICTED,
            WATCHDOG,
        ),
    ),
)
