"""One partition of the blocks topic: block messages in, models and source ledgers up to date, snapshots out.

Pure: time comes from the blocks. Whoever owns the partition feeds it, asks for checkpoints and writes them to Kafka.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from monitor import catalogue, overflow
from monitor.blocks import BlockMessage, ModelBlock, SourceBlock, reach_of
from monitor.cells import OTHER
from monitor.model import Model, ModelSettings
from monitor.snapshot import ModelSnapshot, Objective, ServiceSnapshot, Snapshot
from monitor.sources import SourceLedger, merge_totals
from monitor.state import (
    Checkpoint,
    ModelCheckpoints,
    Position,
    UnreadableState,
    keys_by_subject,
    model_names,
    model_subject,
    position_record,
    restore_model,
    restore_positions,
    restore_sources,
    source_record,
    source_subject,
)
from monitor.summarise import MINUTE_MS
from monitor.topics import LAUNCHES

LEAD_MS: Final = 3_600_000
"""An hour: what Kafka itself allows a record to be ahead, unless it is told otherwise."""
IDLE_MS: Final = 600_000
"""A source partition whose time lies further back than this holds no minute open any longer."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of a checkpoint: where blocks have to be read from, and the pieces that had to be set aside."""

    reread_from: int
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """What to write so that a new owner can go on."""

    models: tuple[Checkpoint, ...]
    sources: tuple[tuple[bytes, bytes], ...]
    position: tuple[bytes, bytes]
    obsolete: tuple[bytes, ...]
    """keys of former owners' records"""

    def steps(self) -> tuple[list[tuple[bytes, bytes | None]], ...]:
        """Keys with their values, None for a tombstone, in steps that each wait for the one before."""
        return (
            [record for model in self.models for record in model.parts],
            [*(model.head for model in self.models), *self.sources],
            [self.position],
            [(key, None) for key in (*(key for model in self.models for key in model.obsolete), *self.obsolete)],
        )


def is_ahead(clock_ms: int, now_ms: int | None) -> bool:
    """Whether a source's time cannot be: it lies more than LEAD_MS beyond `now_ms`, the time of whoever reads it.

    Such a time is not believed; else one record with a wrong timestamp would empty all windows. None: any may be.
    """
    return now_ms is not None and clock_ms > now_ms + LEAD_MS


class PartitionEvaluator:
    """The models and sources whose blocks come through one partition of the blocks topic.

    `owner` is a token that no other owner of the partition has or had: it marks what this one writes.
    """

    def __init__(self, settings: ModelSettings, *, owner: str = "") -> None:
        self.settings = settings
        self._owner = owner
        self._heads: dict[str, int] = {}
        self._models: dict[str, Model] = {}
        self._checkpoints: dict[str, ModelCheckpoints] = {}
        self._inherited: tuple[bytes, ...] = ()
        """keys of former owners' records, until a checkpoint replaces them"""
        self._sources: dict[tuple[str, int], SourceLedger] = {}
        self._clocks: dict[tuple[str, int], int] = {}
        self._changed_models: set[str] = set()
        self._changed_sources: set[tuple[str, int]] = set()
        self._discarded: dict[str, int] = {}

    @property
    def clock_ms(self) -> int | None:
        """Kafka time that the sources have reached; None before the first block."""
        return max(self._clocks.values(), default=None)

    def fold(self, message: BlockMessage, *, now_ms: int | None = None) -> None:
        """Take a message of the blocks topic; what is not new changes nothing. `now_ms`: see `is_ahead`."""
        reach = reach_of(message)
        source = (reach.topic, reach.partition)
        self._see(source, reach.clock_ms, now_ms)
        if isinstance(message, SourceBlock):
            ledger = self._sources.setdefault(source, SourceLedger(*source))
            if ledger.fold(message):
                self._changed_sources.add(source)
        elif isinstance(message, ModelBlock):
            model = self._model(message)
            if model.fold(message, clock_ms=self._believed(now_ms)):
                self._changed_models.add(model.name)

    def advance(self, clock_ms: int | None = None) -> None:
        """Move all models to `clock_ms`, or to where the sources have come."""
        now = self.clock_ms if clock_ms is None else clock_ms
        if now is None:
            return
        complete = min(clock for clock in [*self._clocks.values(), now] if clock >= now - IDLE_MS)
        for model in self._models.values():
            model.advance(now // MINUTE_MS, complete=complete // MINUTE_MS)

    def checkpoints(self, *, position: int) -> Checkpoints:
        """The records that bring the checkpoint up to date; `position` is the offset after the last folded block."""
        models, sources = [], []
        for name in sorted(self._changed_models):
            writer = self._checkpoints.setdefault(name, ModelCheckpoints(name, owner=self._owner))
            models.append(writer.take(self._models[name], position=self._reached(model_subject(name), position)))
        for source in sorted(self._changed_sources):
            reached = self._reached(source_subject(*source), position)
            sources.append(source_record(self._sources[source], position=reached, owner=self._owner))
        obsolete, self._inherited = self._inherited, ()
        self._changed_models.clear()
        self._changed_sources.clear()
        clocks = tuple((*source, clock) for source, clock in sorted(self._clocks.items()))
        told = position_record(Position(position, dict(self._heads), clocks), owner=self._owner)
        return Checkpoints(tuple(models), tuple(sources), told, obsolete)

    def restore(self, records: Mapping[bytes, bytes], *, now_ms: int | None = None) -> Restored:
        """Go on from checkpoint records. A damaged piece is set aside, named in the result, and starts anew.

        The next checkpoint holds everything, and removes these records. `now_ms`: see `is_ahead`.
        """
        self._inherited = tuple(records)
        keys = keys_by_subject(records)
        sources, damaged = restore_sources(records)
        for source, (ledger, position) in sources.items():
            self._sources[source] = ledger
            self._heads[source_subject(*source)] = position
            self._see(source, ledger.clock_ms, now_ms)
        for name in model_names(records):
            about = model_subject(name)
            own = {key: records[key] for key in keys[about]}
            try:
                self._models[name], self._heads[about] = restore_model(name, own, self.settings)
            except UnreadableState as error:
                damaged[about] = error
        self._changed_models.update(self._models)
        self._changed_sources.update(self._sources)
        positions, damaged_position = restore_positions(records)
        # Each owner's position is true of whatever states were found: the best one spares the most reading. What it
        # does not name it does not need: a former owner's head may come late, its parts removed.
        reread_from, told = max(((one.reread_from(self._heads), one) for one in positions), key=lambda best: best[0])
        for topic, partition, clock_ms in told.clocks:
            self._see((topic, partition), clock_ms, now_ms)
        unreadable = [str(error) for about, error in damaged.items() if about in told.heads]
        unreadable += [str(error) for error in damaged_position]
        self._discarded["unreadable"] = len(unreadable)
        return Restored(reread_from, tuple(unreadable))

    def set_aside(self, reason: str) -> None:
        """Count a piece of state or a message that cannot be read."""
        self._discarded[reason] = self._discarded.get(reason, 0) + 1

    def models(self) -> Iterable[Model]:
        """The models of the partition, by name."""
        return (self._models[name] for name in sorted(self._models))

    def sources(self) -> Mapping[tuple[str, int], SourceLedger]:
        """The source partitions whose counts this partition keeps."""
        return self._sources

    def discarded(self) -> Mapping[str, int]:
        """Pieces of state that could not be used, by reason."""
        detectors = sum(model.streams.discarded for model in self._models.values())
        return {**self._discarded, "detector": detectors} if detectors else self._discarded

    def _reached(self, about: str, position: int) -> int:
        """How far a model or source is: it may have been restored from further ahead than reading has come since."""
        self._heads[about] = reached = max(position, self._heads.get(about, 0))
        return reached

    def _see(self, source: tuple[str, int], clock_ms: int, now_ms: int | None) -> None:
        # Launches are few and written by people or scripts: whole windows do not hang on one's timestamp.
        if clock_ms >= 0 and source[0] != LAUNCHES.topic and not is_ahead(clock_ms, now_ms):
            self._clocks[source] = max(clock_ms, self._clocks.get(source, clock_ms))

    def _believed(self, now_ms: int | None) -> int | None:
        """The latest time that a block may tell: where sources have come, -1 before the first one. None: any."""
        return self.clock_ms if self.clock_ms is not None or now_ms is None else -1

    def _model(self, block: ModelBlock) -> Model:
        name = block.model
        named = len(self._models) - (OTHER in self._models)
        if name not in self._models and named >= self.settings.ledger.limits.models:
            name = OTHER
        model = self._models.get(name)
        if model is None:
            model = self._models[name] = Model(name, self.settings)
        return model


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """Precision objectives: the default, and those of single models and policies."""

    precision: float = 0.9
    minimum_labels: float = 50.0
    models: Mapping[str, tuple[float, float]] | None = None
    policies: Mapping[tuple[str, str], tuple[float, float]] | None = None

    def of(self, model: str, policy: str) -> Objective:
        """The objective of one policy of a model."""
        precision, labels = (self.policies or {}).get(
            (model, policy), (self.models or {}).get(model, (self.precision, self.minimum_labels))
        )
        return Objective(model=model, policy=policy, precision=precision, minimum_labels=labels)


def take_snapshot(
    partitions: Iterable[PartitionEvaluator],
    *,
    objectives: ObjectiveSettings,
    service: ServiceSnapshot,
    taken_at: float | None,
    ready: bool,
    reason: str,
) -> Snapshot:
    """One consistent copy of all partitions that this process owns. `service` brings what only the shell knows."""
    owned = list(partitions)
    models = overflow.snapshots(model for part in owned for model in part.models())
    clocks = [part.clock_ms for part in owned if part.clock_ms is not None]
    sources = {source: ledger for part in owned for source, ledger in part.sources().items()}
    counters = merge_totals(sources)
    settings = owned[0].settings if owned else None
    chosen = settings.ledger.limits.values if settings else ()
    counters[catalogue.LABEL_OVERFLOW.name] = label_overflow(models, chosen=chosen)
    counters[catalogue.STATE_DISCARDED.name] = {}
    for part in owned:
        for reason_discarded, count in part.discarded().items():
            family = counters[catalogue.STATE_DISCARDED.name]
            family[(reason_discarded,)] = family.get((reason_discarded,), 0) + count
    now_ms = None if taken_at is None else round(1000 * taken_at)
    last_event: dict[str, float] = {}
    for (topic, _), ledger in sources.items():
        if ledger.clock_ms >= 0 and not is_ahead(ledger.clock_ms, now_ms):
            last_event[topic] = max(last_event.get(topic, 0.0), ledger.clock_ms / 1000.0)
    return Snapshot(
        clock=max(clocks) / 1000.0 if clocks else None,
        taken_at=taken_at,
        models=models,
        objectives=tuple(
            objectives.of(model.model, policy)
            for model in models
            for policy in sorted({series.policy for series in model.series})
        ),
        service=replace(service, counters=counters, last_event_at=last_event),
        drift_thresholds=dict(settings.drift_thresholds) if settings else {},
        ready=ready,
        reason=reason,
    )


def label_overflow(models: Iterable[ModelSnapshot], *, chosen: Collection[str] = ()) -> dict[tuple[str, ...], int]:
    """Decisions that count under `other`, by the label that ran over its cap.

    In the dimensions `chosen`, of which the settings say what is told apart, and where the contract does, `other` is
    what they ask for, unless the model is full: then it may be what had no room.
    """
    asked_for = {f"{dimension}={OTHER}" for dimension in ("modality", *chosen)}
    overflow: dict[tuple[str, ...], int] = {("model",): 0, ("model_version",): 0, ("policy",): 0, ("segment",): 0}
    for model in models:
        decisions = model.decisions.values.sum(axis=1)
        excused = () if model.full else asked_for
        for series, count in zip(model.series, decisions.tolist(), strict=True):
            if series.segment != "all":
                if f"={OTHER}" in series.segment:
                    overflow["segment",] += count * any(
                        part.endswith(f"={OTHER}") and part not in excused for part in series.segment.split(",")
                    )
                continue
            overflow["model",] += count * (model.model == OTHER)
            overflow["model_version",] += count * (series.model_version == OTHER)
            overflow["policy",] += count * (series.policy == OTHER)
    return overflow
