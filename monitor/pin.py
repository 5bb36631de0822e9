"""Pinning a reference: what scores and features look like in a file or topic range that is accepted as normal.

The decisions are read twice: to choose bins, then to count, with the code that counts a worker's. What the
configuration says of segments, limits and thresholds shapes the reference, so pin with the worker's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.assembly import assemble
from monitor.cells import ALL
from monitor.decode import decode_decisions, name_is_allowed
from monitor.event_log import EventLog
from monitor.events import FeaturedDecision, Variant
from monitor.feature_bins import Sample, TooManyFeatures, features, score_edges
from monitor.layout import SCORE
from monitor.ledger import ModelLedger
from monitor.offline import OfflinePipeline
from monitor.outputs import Outputs
from monitor.reference import FORMAT, Baseline, InvalidReference, ModelReference, Reference, ReferenceSeries
from monitor.settings import Settings
from monitor.streams import StreamSettings
from monitor.summarise import FIRST_BIN

MINIMUM_DECISIONS: Final = 1000
"""Fewer make a reference whose own noise looks like drift."""


@dataclass(frozen=True, slots=True)
class Pinning:
    """What to pin. `models` and `features` None: all that are met."""

    models: frozenset[str] | None = None
    features: frozenset[str] | None = None
    feature_bins: int = 10
    variants: frozenset[Variant] = frozenset({Variant.CHAMPION})
    """roles of the model versions that count"""
    minimum_decisions: int = MINIMUM_DECISIONS
    """for each model"""


def pin(
    logs: Sequence[EventLog],
    settings: Settings,
    what: Pinning,
    *,
    source: str,
    on_batch: Callable[[], None] | None = None,
) -> Reference:
    """The reference of the decisions in `logs`: partitions of the decisions topic, which are read twice.

    `source` is told in the reference. `on_batch` is called whenever a batch of either pass has been taken.

    Raises InvalidReference when a model or feature that was asked for is not there or a model has too few decisions,
    when there are more models than the configuration allows or more features than a reference may have; UnreadableLog.
    """
    tell = on_batch or (lambda: None)
    survey = _survey(logs, settings, what, tell)
    _require({name: sample.decisions for name, sample in survey.samples.items()}, survey, what)
    bins = Reference(
        format=FORMAT,
        source=source,
        first_decision=_rfc3339(survey.first),
        last_decision=_rfc3339(survey.last),
        models=tuple(_bins(name, survey.samples[name], what) for name in sorted(survey.samples)),
    )
    _require_features(bins, survey, what)
    counted = _count(logs, settings, bins, tell)
    roles = frozenset(variant.value for variant in what.variants)
    models = tuple(
        msgspec.structs.replace(model, series=_series(counted[model.model], model, roles))
        for model in bins.models
        if model.model in counted
    )
    accepted = {model.model: sum(one.decisions for one in model.series if one.segment == ALL) for model in models}
    _require(dict.fromkeys(survey.samples, 0) | accepted, survey, what)
    return msgspec.structs.replace(bins, models=models)


def write_reference(reference: Reference, path: Path) -> None:
    """Write a reference for `load_reference`; the same reference gives the same bytes.

    It replaces a former one when it is complete: a worker that starts meanwhile reads the one or the other.
    """
    with Outputs(path.parent, [path.name], force=True) as files:
        files[path.name].write(msgspec.json.format(msgspec.json.encode(reference), indent=1) + b"\n")


@dataclass(slots=True)
class _Survey:
    """What the first pass found. `met` are all models, also those that were not asked for."""

    samples: dict[str, Sample] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None


def _survey(logs: Sequence[EventLog], settings: Settings, what: Pinning, tell: Callable[[], None]) -> _Survey:
    survey = _Survey()
    for log in logs:
        for batch in log.batches():
            for decision in decode_decisions(batch.values, features=True).events:
                if decision.variant in what.variants:
                    _sample(survey, decision, what)
            if len(survey.met) > settings.limits.models:
                raise InvalidReference(
                    f"more than {settings.limits.models} models, the configured limits.models: raise it, or use a "
                    f"file with the decisions of fewer"
                )
            tell()
    return survey


def _sample(survey: _Survey, decision: FeaturedDecision, what: Pinning) -> None:
    name = decision.model
    if name not in survey.met:
        if not name_is_allowed(name):
            return
        survey.met.add(name)
        if what.models is None or name in what.models:
            survey.samples[name] = Sample()
    sample = survey.samples.get(name)
    if sample is not None:
        sample.add(decision)
        at = decision.occurred_at
        survey.first = at if survey.first is None else min(survey.first, at)
        survey.last = at if survey.last is None else max(survey.last, at)


def _require(decisions: Mapping[str, int], survey: _Survey, what: Pinning) -> None:
    met = ", ".join(sorted(survey.met)) or "none"
    missing = sorted((what.models or frozenset()) - set(decisions))
    if missing:
        raise InvalidReference(f"no decisions of model {', '.join(missing)}; there are decisions of: {met}")
    if not decisions:
        raise InvalidReference("no decisions to take a reference from")
    few = {name: count for name, count in sorted(decisions.items()) if count < what.minimum_decisions}
    if few:
        told = ", ".join(f"{name} ({count})" for name, count in few.items())
        raise InvalidReference(
            f"too few decisions of {told}: expected at least {what.minimum_decisions} of each model; take a longer "
            f"range, choose other models or lower the minimum"
        )


def _require_features(bins: Reference, survey: _Survey, what: Pinning) -> None:
    found = {feature.name for model in bins.models for feature in model.features}
    missing = sorted((what.features or frozenset()) - found)
    if SCORE in missing:
        raise InvalidReference(f"feature {SCORE}: the model's own score is told under this name, and always compared")
    if missing:
        met = {
            name
            for sample in survey.samples.values()
            for _, told in sample.values()
            for name, value in told.items()
            if value is not None and name_is_allowed(name)
        }
        raise InvalidReference(
            f"no values of feature {', '.join(missing)}; there are values of: {', '.join(sorted(met)) or 'none'}"
        )


def _bins(name: str, sample: Sample, what: Pinning) -> ModelReference:
    try:
        found = features(sample, bins=what.feature_bins, names=what.features)
    except TooManyFeatures as error:
        raise InvalidReference(f"model {name}: {error}") from error
    return ModelReference(model=name, score_edges=score_edges(sample), features=found, series=())


def _count(
    logs: Sequence[EventLog], settings: Settings, bins: Reference, tell: Callable[[], None]
) -> dict[str, ModelLedger]:
    stages = assemble(settings, bins)
    without_detectors = replace(stages.evaluate, streams=StreamSettings(detectors=()))
    pipeline = OfflinePipeline(replace(stages, evaluate=without_detectors))
    for log in logs:
        for batch in log.batches():
            pipeline.feed(
                log.source, log.partition, batch.offsets, batch.timestamps, batch.values, next_offset=batch.next_offset
            )
            pipeline.advance()  # lets cohorts age: memory does not grow with the length of the range
            tell()
    pipeline.publish_open()
    return {model.name: model.ledger for model in pipeline.models()}


def _series(ledger: ModelLedger, bins: ModelReference, roles: frozenset[str]) -> tuple[ReferenceSeries, ...]:
    """Counts by policy and segment, added up over the versions that have one of the roles."""
    layout, totals = ledger.layout, ledger.totals
    score = np.add.reduceat(totals[:, layout.score.columns], Baseline(bins).score_bins(layout), axis=1)
    rows: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(ledger.table.series):
        if key.variant in roles:
            rows.setdefault((key.policy, key.segment), []).append(row)
    return tuple(
        ReferenceSeries(
            policy=policy,
            segment=segment,
            decisions=int(totals[own, layout.actions.columns].sum()),
            score=_counts(score[own]),
            features={
                feature.name: _counts(totals[own, group.columns][:, FIRST_BIN:])
                for feature, group in zip(layout.features, layout.feature_groups, strict=True)
            },
        )
        for (policy, segment), own in sorted(rows.items())
    )


def _counts(rows: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(rows.sum(axis=0).tolist())


def _rfc3339(at: datetime | None) -> str:
    if at is None:
        return ""
    with suppress(OverflowError):  # at the ends of the calendar: the time as the event tells it
        at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
