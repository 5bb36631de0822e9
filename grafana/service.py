"""Panels on the monitor itself: whether records arrive, count, and reach the metrics.

When one of these is wrong, the panels on the models show old or incomplete numbers.
"""

from __future__ import annotations

from typing import Final

from grafana.board import Section
from grafana.panels import About, Colour, Query, Unit, lines, number
from grafana.promql import CHOSEN, RATE, rate, select, service_rate
from monitor import catalogue, topics

NO_WORKER: Final = "no worker is scraped, or none has read a record yet"
FEEDBACK: Final = "|".join(source.topic for source in (topics.REVIEWS, topics.APPEALS, topics.REPORTS))


def ingestion() -> Section:
    per_topic = ("topic",)
    orphans = service_rate(per_topic, catalogue.ORPHANS)
    feedback = service_rate(per_topic, catalogue.RECORDS, f'topic=~"{FEEDBACK}"')
    odd = (
        (catalogue.LATE, "late"),
        (catalogue.FUTURE, "future"),
        (catalogue.UNKNOWN_VALUES, "unknown value"),
        (catalogue.TOMBSTONES, "tombstone"),
        (catalogue.MISSED, "missed"),
    )
    return Section(
        "Ingestion",
        [
            lines(
                About(
                    "Records a second",
                    "Records read, each offset once. A worker is left out for a moment when partitions come to it or "
                    "leave it, here and in the panels below.",
                    Unit.PER_SECOND,
                    NO_WORKER,
                ),
                Query(service_rate(per_topic, catalogue.RECORDS), "{{topic}}"),
            ),
            lines(
                About(
                    "Age of the latest record",
                    "Time since the Kafka timestamp of the latest record that is in the metrics, worst worker. High "
                    "with lag: the monitor is behind. High without lag: nobody publishes.",
                    Unit.SECONDS,
                    NO_WORKER,
                ),
                Query(f"max by (topic) (time() - {select(catalogue.LAST_EVENT)})", "{{topic}}"),
            ),
            lines(
                About("Lag", "Records between the position and the end of the log.", Unit.NUMBER, NO_WORKER),
                Query(f"sum by (topic) ({select(catalogue.LAG)})", "{{topic}}"),
            ),
            lines(
                About(
                    "Dead letters a second",
                    "Records that could not be accepted, by topic and reason. They are missing from every reading.",
                    Unit.PER_SECOND,
                    NO_WORKER,
                ),
                Query(service_rate(("topic", "reason"), catalogue.DEAD_LETTERS), "{{topic}} {{reason}}"),
            ),
            lines(
                About(
                    "Duplicates a second",
                    "Records with an id seen within the horizon. Each counts once; a rise means that producers retry.",
                    Unit.PER_SECOND,
                    NO_WORKER,
                ),
                Query(service_rate(per_topic, catalogue.DUPLICATES), "{{topic}}"),
            ),
            lines(
                About(
                    "Orphans per feedback record",
                    "Share of reviews, appeals and reports whose decision is not known.",
                    Unit.RATIO,
                    "no feedback arrives",
                ),
                Query(f"{orphans} / ({feedback} > 0)", "{{topic}}"),
            ),
            lines(
                About(
                    "Odd records a second",
                    "Records too old, dated in the future, with values unknown here, without a value, or missed: "
                    "deleted before they were read, or lost.",
                    Unit.PER_SECOND,
                    NO_WORKER,
                ),
                *(Query(service_rate(per_topic, metric), f"{{{{topic}}}} {name}") for metric, name in odd),
            ),
            lines(
                About(
                    "Label overflow a second",
                    "Decisions counted under `other` because a cap on label values was met.",
                    Unit.PER_SECOND,
                    NO_WORKER,
                ),
                Query(service_rate(("label",), catalogue.LABEL_OVERFLOW), "{{label}}"),
            ),
            lines(
                About(
                    "State discarded",
                    "Pieces of checkpointed state that could not be used, within the resolution of the panel.",
                    Unit.NUMBER,
                    NO_WORKER,
                ),
                Query(f"sum by (reason) (increase({select(catalogue.STATE_DISCARDED)}{RATE}))", "{{reason}}"),
            ),
        ],
    )


def workers() -> Section:
    return Section(
        "Workers",
        [
            number(
                About(
                    "Workers up",
                    "Workers that answer scrapes.",
                    Unit.NUMBER,
                    "no worker is configured in Prometheus",
                    span=6,
                    height=7,
                ),
                Query(f"sum(up{{{','.join(CHOSEN)}}})"),
                [(None, Colour.BAD), (1.0, Colour.GOOD)],
            ),
            lines(
                About(
                    "Age of readings, commits and checkpoints",
                    "Time since readings were computed, a commit was acknowledged, and state was written.",
                    Unit.SECONDS,
                    NO_WORKER,
                    span=9,
                    height=7,
                ),
                *(
                    Query(f"max by (instance) (time() - {select(metric)})", f"{name} {{{{instance}}}}")
                    for metric, name in (
                        (catalogue.SNAPSHOT_TIMESTAMP, "readings"),
                        (catalogue.LAST_COMMIT, "commit"),
                        (catalogue.CHECKPOINT_TIMESTAMP, "checkpoint"),
                    )
                ),
            ),
            lines(
                About(
                    "Time to compute the readings",
                    "How long the latest readings took.",
                    Unit.SECONDS,
                    NO_WORKER,
                    span=9,
                    height=7,
                ),
                Query(f"max by (instance) ({select(catalogue.SNAPSHOT_SECONDS)})", "{{instance}}"),
            ),
            lines(
                About("Series", "Series of watched models by worker.", Unit.NUMBER, NO_WORKER, height=7),
                Query(f"max by (instance) ({select(catalogue.SERIES_COUNT)})", "{{instance}}"),
            ),
            lines(
                About(
                    "Join",
                    "Decisions in the index that feedback without context finds, and feedback that waits for its own.",
                    Unit.NUMBER,
                    "No data where the join is switched off.",
                    height=7,
                ),
                Query(f"sum by (instance) ({select(catalogue.JOIN_ENTRIES)})", "decisions {{instance}}"),
                Query(f"sum by (instance) ({select(catalogue.JOIN_WAITING)})", "waiting {{instance}}"),
            ),
            lines(
                About(
                    "Room of the join",
                    "Decisions that went before their time, and partitions that wait for the disk: both stay 0.",
                    Unit.NUMBER,
                    "No data where the join is switched off.",
                    height=7,
                ),
                Query(service_rate((), catalogue.JOIN_EVICTED), "evicted a second"),
                Query(f"sum by (instance) ({select(catalogue.JOIN_HELD)})", "held {{instance}}"),
                Query(rate(("reason",), catalogue.STATE_FAILURES), "failures a second, {{reason}}"),
            ),
            lines(
                About("Index of the join", "Size on disk.", Unit.BYTES, "No data where the join is off.", height=7),
                Query(f"sum by (instance) ({select(catalogue.JOIN_BYTES)})", "{{instance}}"),
            ),
            lines(
                About(
                    "Assigned partitions",
                    "Partitions by worker; a step is a rebalance.",
                    Unit.NUMBER,
                    NO_WORKER,
                    height=7,
                ),
                Query(f"sum by (instance) ({select(catalogue.PARTITIONS)})", "{{instance}}"),
            ),
            lines(
                About(
                    "Log messages",
                    "Warnings and worse by level, also those that the rate limit drops.",
                    Unit.PER_SECOND,
                    NO_WORKER,
                    height=7,
                ),
                Query(
                    f"sum by (instance, level) (rate({select(catalogue.LOG_MESSAGES)}{RATE}))", "{{level}} {{instance}}"
                ),
            ),
            lines(
                About("Memory", "Resident memory by worker.", Unit.BYTES, NO_WORKER, height=7),
                Query(f"max by (instance) ({select('process_resident_memory_bytes')})", "{{instance}}"),
            ),
        ],
    )
