"""Checkpoints: the state of a model as records of a compacted topic, written so that a crash never tears it.

A model is a head and parts (cohorts, groups of detectors). A changed part goes to a slot that the last head does not
name; then the head names it. Slots bear the token of their owner, so that a former owner that has not noticed yet never
writes into them. Whatever of this reached Kafka, the last head and the parts it names fit together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.blocks import ModelBlock
from monitor.cohorts import Level
from monitor.layout import Layout
from monitor.ledger import LastBlock, ModelLedger, Taken
from monitor.model import Model, ModelSettings
from monitor.packing import Packed, pack, unpack
from monitor.snapshot import LaunchRecord, SeriesKey
from monitor.sources import SavedSource, SourceLedger
from monitor.streams import SavedDetector, SavedPool
from monitor.tally import Tally

Ints = npt.NDArray[np.int64]

FORMAT: Final = 2
DETECTOR_ROWS: Final = 64
"""Detectors of so many series are one part."""
SEPARATOR: Final = "\x1f"
"""Not allowed in names, so that keys cannot collide."""

PartId = tuple[str, int, int]
"""("cohort", level, start) or ("detectors", group, 0)"""


class UnreadableState(ValueError):  # noqa: N818 - names the situation; the owner sets it aside and rebuilds
    """A checkpoint that cannot be continued from: damaged, incomplete or of a newer format."""


class SavedSums(msgspec.Struct, frozen=True, array_like=True):
    """Sparse sums: differences of ascending places, and values."""

    steps: Packed
    value: Packed


class SavedTaken(msgspec.Struct, frozen=True, array_like=True):
    """`ledger.Taken` under one model name."""

    name: str
    through: int
    block: ModelBlock | None
    rows: Packed | None


class SavedLastBlock(msgspec.Struct, frozen=True, array_like=True):
    """`ledger.LastBlock` of one source partition."""

    topic: str
    partition: int
    first: int
    taken: tuple[SavedTaken, ...]


class Head(msgspec.Struct, frozen=True, array_like=True):
    """The state of a model except its parts, and which slots hold the parts."""

    format: int
    model: str
    signature: tuple[tuple[str, str, int], ...]
    series: tuple[SeriesKey, ...]
    totals: SavedSums
    now: int | None
    last: tuple[SavedLastBlock, ...]
    arrivals: tuple[tuple[int, SavedSums], ...]
    arrivals_from: int
    launches: tuple[LaunchRecord, ...]
    last_decision_ms: int | None
    pool: SavedPool
    slots: tuple[tuple[PartId, str], ...]
    position: int
    """Blocks below this offset of the partition of the blocks topic are in the state."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Records to write, in three steps that each wait for the one before: parts, head, then tombstones."""

    parts: tuple[tuple[bytes, bytes], ...]
    head: tuple[bytes, bytes]
    obsolete: tuple[bytes, ...]


class ModelCheckpoints:
    """Writes one model's checkpoints; remembers which slot holds which part. `owner` is a token no other owner has."""

    def __init__(self, model: str, *, owner: str, slots: Mapping[PartId, str] | None = None) -> None:
        self._model = model
        self._own = (f"{owner}a", f"{owner}b")
        self._slots: dict[PartId, str] = dict(slots or {})
        self._detectors: dict[PartId, bytes] = {}

    def take(self, model: Model, *, position: int) -> Checkpoint:
        """The records that bring the last checkpoint up to the model's present state."""
        ledger = model.ledger
        parts: list[tuple[bytes, bytes]] = []
        obsolete: list[bytes] = []
        for level, start in sorted(ledger.cohorts.touched):
            part: PartId = ("cohort", int(level), start)
            sums = ledger.cohorts.cohort(level, start)
            if sums is None:
                slot = self._slots.pop(part, None)
                used = {*self._own, slot} if slot is not None else set()
                obsolete += [_part_key(self._model, part, name) for name in sorted(used)]
            else:
                parts.append(self._write(part, _ENCODER.encode(_save_sums(*sums)), obsolete))
        ledger.cohorts.touched.clear()
        pool, detectors = model.streams.snapshot()
        for part, group in _grouped(detectors).items():
            data = _ENCODER.encode(group)
            if self._detectors.get(part) != data:
                self._detectors[part] = data
                parts.append(self._write(part, data, obsolete))
        head = _head(ledger, pool, tuple(sorted(self._slots.items())), position)
        return Checkpoint(tuple(parts), (model_key(self._model), _ENCODER.encode(head)), tuple(obsolete))

    def _write(self, part: PartId, data: bytes, obsolete: list[bytes]) -> tuple[bytes, bytes]:
        before = self._slots.get(part)
        slot = self._own[1] if before == self._own[0] else self._own[0]
        if before is not None and before not in self._own:
            obsolete.append(_part_key(self._model, part, before))
        self._slots[part] = slot
        return _part_key(self._model, part, slot), data


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far the partition of the blocks topic is in the state, and how far each model and source was by its key.

    One that is further back than told here was written by a former owner: blocks are read again from there.
    """

    offset: int
    heads: dict[str, int]

    def reread_from(self, heads: Mapping[str, int]) -> int:
        """Where reading of blocks has to start, given the positions of the heads that were found, by key."""
        behind = [heads.get(key, 0) for key, told in self.heads.items() if heads.get(key, 0) < told]
        return min([self.offset, *behind])


POSITION_KEY: Final = b"position"


def position_record(position: Position) -> tuple[bytes, bytes]:
    """The record that is written after all others of a checkpoint."""
    return POSITION_KEY, _ENCODER.encode(position)


def restore_position(records: Mapping[bytes, bytes]) -> Position:
    """The position among the records; zero when there is none. UnreadableState when it is damaged."""
    data = records.get(POSITION_KEY)
    return Position(0, {}) if data is None else _decode(POSITION_KEY, data, Position)


def model_key(model: str) -> bytes:
    """Key of a model's head."""
    return SEPARATOR.join(("model", model)).encode()


def source_key(topic: str, partition: int) -> bytes:
    """Key of the one record that holds a source partition."""
    return SEPARATOR.join(("source", topic, str(partition))).encode()


def source_record(ledger: SourceLedger, *, position: int) -> tuple[bytes, bytes]:
    """The record that holds the state of a source partition."""
    return source_key(ledger.topic, ledger.partition), _ENCODER.encode(ledger.snapshot(position))


def restore_sources(
    records: Mapping[bytes, bytes],
) -> tuple[dict[tuple[str, int], tuple[SourceLedger, int]], list[UnreadableState]]:
    """The source ledgers among the records, each with its position, and what is wrong with the damaged ones."""
    ledgers: dict[tuple[str, int], tuple[SourceLedger, int]] = {}
    damaged: list[UnreadableState] = []
    for key, data in records.items():
        if key.split(SEPARATOR.encode())[0] == b"source":
            try:
                saved = _decode(key, data, SavedSource)
            except UnreadableState as error:
                damaged.append(error)
            else:
                ledgers[saved.topic, saved.partition] = SourceLedger.restore(saved), saved.position
    return ledgers, damaged


def model_names(records: Mapping[bytes, bytes]) -> list[str]:
    """Models that have a head among the records."""
    split = [key.decode(errors="replace").split(SEPARATOR) for key in records]
    return sorted(parts[1] for parts in split if parts[0] == "model" and len(parts) == 2)


def restore_model(
    name: str, records: Mapping[bytes, bytes], settings: ModelSettings, *, owner: str
) -> tuple[Model, ModelCheckpoints, int]:
    """The model as its last complete checkpoint left it, and the position of its head; or UnreadableState."""
    key = model_key(name)
    head = _decode(key, records[key], Head)
    if head.format != FORMAT:
        raise UnreadableState(f"state of model {name}: expected format {FORMAT}, got {head.format}")
    try:
        model = _restore_model(name, head, records, settings)
    except UnreadableState:
        raise
    except (ValueError, IndexError) as error:
        # Bytes that decode, but whose numbers do not fit together.
        raise UnreadableState(f"state of model {name}: {error}") from error
    return model, ModelCheckpoints(name, owner=owner, slots=dict(head.slots)), head.position


def _restore_model(name: str, head: Head, records: Mapping[bytes, bytes], settings: ModelSettings) -> Model:
    model = Model(name, settings)
    ledger = model.ledger
    widths = sum(width for *_, width in head.signature)
    translate = _translation(ledger.layout, head.signature, rows=len(head.series), width=widths)
    ledger.table.restore(head.series)
    ledger.restore_totals(_dense(*translate(head.totals), rows=len(head.series), width=ledger.layout.width))
    cohorts: dict[tuple[Level, int], tuple[Ints, Ints]] = {}
    detectors: list[SavedDetector] = []
    for part, slot in head.slots:
        part_key = _part_key(name, part, slot)
        data = records.get(part_key)
        if data is None:
            raise UnreadableState(f"state of model {name}: part {part} is missing")
        if part[0] == "cohort":
            cohorts[Level(part[1]), part[2]] = translate(_decode(part_key, data, SavedSums))
        else:
            detectors += _decode(part_key, data, tuple[SavedDetector, ...])
    if head.now is not None:
        ledger.cohorts.restore(head.now, len(head.series), cohorts)
    ledger.arrivals = {minute: Tally(*translate(sums)) for minute, sums in head.arrivals}
    ledger.arrivals_from = head.arrivals_from
    ledger.launches = {(launch.model_version, launch.variant, launch.stage): launch for launch in head.launches}
    ledger.last_decision_ms = head.last_decision_ms
    ledger.last = {(last.topic, last.partition): _restore_last(last) for last in head.last}
    model.streams.restore(head.pool, detectors)
    return model


def _head(ledger: ModelLedger, pool: SavedPool, slots: tuple[tuple[PartId, str], ...], position: int) -> Head:
    totals = ledger.totals.reshape(-1)
    places = np.flatnonzero(totals)
    return Head(
        format=FORMAT,
        model=ledger.model,
        signature=ledger.layout.signature,
        series=tuple(ledger.table.series),
        totals=_save_sums(places, totals[places]),
        now=ledger.cohorts.now,
        last=tuple(
            SavedLastBlock(
                topic,
                partition,
                last.first,
                tuple(
                    SavedTaken(name, taken.through, taken.block, None if taken.rows is None else pack(taken.rows))
                    for name, taken in sorted(last.taken.items())
                ),
            )
            for (topic, partition), last in sorted(ledger.last.items())
        ),
        arrivals=tuple((minute, _save_sums(*tally.items())) for minute, tally in sorted(ledger.arrivals.items())),
        arrivals_from=ledger.arrivals_from,
        launches=tuple(ledger.launches[key] for key in sorted(ledger.launches)),
        last_decision_ms=ledger.last_decision_ms,
        pool=pool,
        slots=slots,
        position=position,
    )


def _restore_last(saved: SavedLastBlock) -> LastBlock:
    return LastBlock(saved.first, {taken.name: _restore_taken(taken) for taken in saved.taken})


def _restore_taken(saved: SavedTaken) -> Taken:
    if saved.block is None or saved.rows is None:
        return Taken(saved.through, None, None)
    return Taken(saved.through, saved.block, unpack(saved.rows))


def _save_sums(place: Ints, value: Ints) -> SavedSums:
    return SavedSums(pack(np.diff(place, prepend=0)), pack(value))


def _translation(
    layout: Layout, signature: Sequence[tuple[str, str, int]], *, rows: int, width: int
) -> Callable[[SavedSums], tuple[Ints, Ints]]:
    """A function from saved sums to (places, values) in today's layout; ValueError where they cannot be such sums."""
    columns = layout.translation(signature)

    def translate(sums: SavedSums) -> tuple[Ints, Ints]:
        steps, value = unpack(sums.steps), unpack(sums.value)
        place = np.cumsum(steps)
        ascending = bool((steps[1:] > 0).all())
        if len(place) != len(value) or not ascending or (len(place) and not 0 <= place[0] <= place[-1] < rows * width):
            raise ValueError(f"sums: expected ascending places of {rows} rows of {width} columns, a value each")
        if columns is None:
            return place, value
        column = columns[place % width]
        moved = (place // width) * layout.width + column
        order = np.argsort(moved[column >= 0], kind="stable")
        return moved[column >= 0][order], value[column >= 0][order]

    return translate


def _dense(place: Ints, value: Ints, *, rows: int, width: int) -> Ints:
    dense = np.zeros(rows * width, dtype=np.int64)
    dense[place] = value
    return dense.reshape(rows, width)


def _grouped(detectors: Sequence[SavedDetector]) -> dict[PartId, tuple[SavedDetector, ...]]:
    groups: dict[PartId, list[SavedDetector]] = {}
    for detector in detectors:
        groups.setdefault(("detectors", detector.row // DETECTOR_ROWS, 0), []).append(detector)
    return {part: tuple(group) for part, group in groups.items()}


def _part_key(model: str, part: PartId, slot: str) -> bytes:
    return SEPARATOR.join(("part", model, *map(str, part), slot)).encode()


_ENCODER: Final = msgspec.msgpack.Encoder()


T = TypeVar("T")


def _decode(key: bytes, data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableState(f"state {key!r}: {error}") from error
