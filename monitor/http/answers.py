"""Parts of the snapshot as parts of the API's answers. A model can consist of several parts (`other`, by partition)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitor.catalogue import CATALOGUE
from monitor.http import schemas
from monitor.http.readings import WHOLE, instant, series_fields
from monitor.http.text import printable
from monitor.snapshot import Counters, Detection, LaunchRecord, ModelSnapshot, Objective, Snapshot

_LABELS = {metric.name: metric.labels for metric in CATALOGUE}


def summary(parts: Sequence[ModelSnapshot]) -> schemas.ModelSummary:
    """What there is of a model."""
    series = list(dict.fromkeys(key for part in parts for key in part.series))
    last = [part.last_decision_at for part in parts if part.last_decision_at is not None]
    return schemas.ModelSummary(
        model=printable(parts[0].model),
        roles=[
            schemas.Role(model_version=printable(version), variant=printable(variant))
            for version, variant in dict.fromkeys((key.model_version, key.variant) for key in series)
        ],
        policies=_distinct(key.policy for key in series),
        series=len(series),
        decisions=sum(
            int(part.decisions.values[row].sum())
            for part in parts
            for row, key in enumerate(part.series)
            if key.segment == WHOLE
        ),
        last_decision_at=instant(max(last, default=None)),
    )


def launch(one: LaunchRecord) -> schemas.Launch | None:
    """A launch; None where its time is not one that a calendar has."""
    at = instant(one.at)
    if at is None:
        return None
    return schemas.Launch(
        model_version=printable(one.model_version),
        variant=printable(one.variant),
        stage=printable(one.stage),
        at=at,
        traffic_share=one.traffic_share,
    )


def objective(one: Objective) -> schemas.ObjectiveOut:
    """Configured bounds."""
    return schemas.ObjectiveOut(
        policy=printable(one.policy), precision=one.precision, minimum_labels=one.minimum_labels
    )


def detection(part: ModelSnapshot, one: Detection) -> schemas.DetectionOut:
    """What a detector has found in a series."""
    return schemas.DetectionOut(
        **series_fields(part.series[one.series]),
        input=printable(one.input),
        detector=one.detector,
        count=one.count,
        last_at=instant(one.last_at),
    )


def segment(part: ModelSnapshot, row: int) -> schemas.SegmentRow:
    """A series and its counts."""
    actions = zip(part.decisions.labels, part.decisions.values[row].tolist(), strict=True)
    return schemas.SegmentRow(
        **series_fields(part.series[row]),
        decisions={action: count for (action,), count in actions if count},
        reviews=_count(part.reviews, row),
        appeals_filed=_count(part.appeals, row, label="filed"),
        reports=_count(part.reports, row),
    )


def windows(snapshot: Snapshot) -> schemas.Windows:
    """All windows with what is read over them."""
    columns = [column for model in snapshot.models for column in model.readings]
    return schemas.Windows(
        windows=[
            schemas.WindowOut(
                window=window,
                quantities=list(dict.fromkeys(column.quantity for column in columns if column.window == window)),
                methods=_distinct(column.method for column in columns if column.window == window),
                inputs=_distinct(column.input for column in columns if column.window == window),
            )
            for window in dict.fromkeys(column.window for column in columns)
        ]
    )


def service(snapshot: Snapshot, *, version: str, config_fingerprint: str) -> schemas.Service:
    """The state of the worker."""
    state = snapshot.service
    events = {topic: instant(at) for topic, at in state.last_event_at.items()}
    return schemas.Service(
        version=version,
        config=config_fingerprint,
        ready=snapshot.ready,
        reason=printable(snapshot.reason),
        clock=instant(snapshot.clock),
        taken_at=instant(snapshot.taken_at),
        snapshot_seconds=state.snapshot_seconds,
        last_commit_at=instant(state.last_commit_at),
        last_checkpoint_at=instant(state.last_checkpoint_at),
        last_event_at={topic: at for topic, at in events.items() if at is not None},
        assigned_partitions=state.assigned,
        lag=[
            schemas.PartitionLag(topic=topic, partition=partition, records=records)
            for (topic, partition), records in state.lag.items()
        ],
        counters=[
            schemas.Count(
                metric=name, labels=dict(zip(_LABELS[name], map(printable, values), strict=True)), value=count
            )
            for name, counts in state.counters.items()
            for values, count in counts.items()
        ],
    )


def _count(counters: Counters, row: int, *, label: str | None = None) -> int:
    return sum(
        int(value)
        for labels, value in zip(counters.labels, counters.values[row].tolist(), strict=True)
        if label is None or label in labels
    )


def _distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, without the empty one, in order of appearance."""
    return [printable(text) for text in dict.fromkeys(texts) if text]
