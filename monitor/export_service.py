"""What is exported of the service and of the snapshot as a whole: few samples, read row by row.

Counters whose label values can be listed start at 0, but not before the worker has its state back: the step from 0 to
the true value would look like that many events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from monitor import catalogue
from monitor.catalogue import Metric
from monitor.decode import Reason
from monitor.exposition import Labels
from monitor.snapshot import Quantity, ServiceSnapshot, Snapshot
from monitor.topics import APPEALS, JOIN, REPORTS, REVIEWS, SOURCES

Read = Callable[[Snapshot], Iterable[tuple[Labels, float]]]

_TOPICS: Final = tuple((source.topic,) for source in SOURCES)
_FEEDBACK: Final = tuple((source.topic,) for source in (REVIEWS, APPEALS, REPORTS))

SERVICE_COUNTERS: Final[Mapping[Metric, tuple[Labels, ...]]] = MappingProxyType(
    {
        catalogue.RECORDS: _TOPICS,
        catalogue.DEAD_LETTERS: tuple((source.topic, reason.value) for source in SOURCES for reason in Reason),
        catalogue.DUPLICATES: _TOPICS,
        catalogue.ORPHANS: _FEEDBACK,
        catalogue.TOMBSTONES: _TOPICS,
        catalogue.LATE: _TOPICS,
        catalogue.FUTURE: _TOPICS,
        catalogue.MISSED: _TOPICS,
        catalogue.UNKNOWN_VALUES: (),
        catalogue.LABEL_OVERFLOW: (),
        catalogue.STATE_DISCARDED: (),
        catalogue.JOIN_EVICTED: ((),),
    }
)
"""The counters of the service and the label values that they start with."""
JOIN_COUNTERS: Final[Mapping[Metric, tuple[Labels, ...]]] = MappingProxyType(
    {
        catalogue.RECORDS: ((JOIN,),),
        catalogue.DEAD_LETTERS: tuple((JOIN, reason.value) for reason in (Reason.MALFORMED, Reason.INVALID)),
        catalogue.TOMBSTONES: ((JOIN,),),
        catalogue.MISSED: ((JOIN,),),
    }
)
"""With a join they start with these too."""


def counter_rows(metric: Metric, snapshot: Snapshot) -> Iterator[tuple[Labels, float]]:
    # A worker that has not read its state back yet must not show 0: the step to the true value would look like events.
    counts = snapshot.service.counters.get(metric.name, {})
    labels = SERVICE_COUNTERS[metric] if snapshot.ready else ()
    if snapshot.ready and snapshot.service.join is not None:
        labels += JOIN_COUNTERS.get(metric, ())
    start = dict.fromkeys(labels, 0)
    yield from (start | counts).items()


def _scalar(value: Callable[[Snapshot], float | None]) -> Read:
    def rows(snapshot: Snapshot) -> Iterator[tuple[Labels, float]]:
        number = value(snapshot)
        if number is not None:
            yield (), number

    return rows


def _rows_by_name(values: Callable[[ServiceSnapshot], Mapping[str, float]]) -> Read:
    def rows(snapshot: Snapshot) -> Iterator[tuple[Labels, float]]:
        yield from (((name,), number) for name, number in values(snapshot.service).items())

    return rows


def _join(snapshot: Snapshot, name: str) -> float | None:
    join = snapshot.service.join
    return None if join is None else float(getattr(join, name))


def _state_failures(snapshot: Snapshot) -> Iterator[tuple[Labels, float]]:
    if snapshot.service.join is not None:
        yield from (((reason,), float(count)) for reason, count in snapshot.service.join.failures.items())


def _drift_thresholds(snapshot: Snapshot) -> Iterator[tuple[Labels, float]]:
    for model in snapshot.models:
        for column in model.readings:
            if column.quantity is Quantity.DRIFT:
                configured = snapshot.drift_thresholds.get(column.method)
                threshold = configured if column.threshold is None else column.threshold
                if threshold is not None:
                    yield (model.model, column.window, column.method), threshold


WHOLE: Final[Mapping[Metric, Read]] = MappingProxyType(
    {
        catalogue.PRECISION_OBJECTIVE: lambda snapshot: (
            ((objective.model, objective.policy), objective.precision) for objective in snapshot.objectives
        ),
        catalogue.PRECISION_MINIMUM_LABELS: lambda snapshot: (
            ((objective.model, objective.policy), objective.minimum_labels) for objective in snapshot.objectives
        ),
        catalogue.DRIFT_THRESHOLD: _drift_thresholds,
        catalogue.LAG: lambda snapshot: (
            ((topic, str(partition)), lag) for (topic, partition), lag in snapshot.service.lag.items()
        ),
        catalogue.LAST_EVENT: _rows_by_name(lambda service: service.last_event_at),
        catalogue.LAST_COMMIT: _scalar(lambda snapshot: snapshot.service.last_commit_at),
        catalogue.CLOCK: _scalar(lambda snapshot: snapshot.clock),
        catalogue.SNAPSHOT_TIMESTAMP: _scalar(lambda snapshot: snapshot.taken_at),
        catalogue.SNAPSHOT_SECONDS: _scalar(lambda snapshot: snapshot.service.snapshot_seconds),
        catalogue.CHECKPOINT_TIMESTAMP: _scalar(lambda snapshot: snapshot.service.last_checkpoint_at),
        catalogue.JOIN_ENTRIES: _scalar(lambda snapshot: _join(snapshot, "entries")),
        catalogue.JOIN_WAITING: _scalar(lambda snapshot: _join(snapshot, "waiting")),
        catalogue.JOIN_HELD: _scalar(lambda snapshot: _join(snapshot, "held")),
        catalogue.STATE_FAILURES: _state_failures,
        catalogue.JOIN_BYTES: _scalar(lambda snapshot: _join(snapshot, "bytes")),
        catalogue.SERIES_COUNT: _scalar(
            lambda snapshot: len({key for model in snapshot.models for key in model.series})
        ),
        catalogue.PARTITIONS: _rows_by_name(lambda service: service.assigned),
        catalogue.LOG_MESSAGES: _rows_by_name(lambda service: service.log_messages),
    }
)
