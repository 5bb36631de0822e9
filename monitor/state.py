"""Checkpoints: the state of a model as records of a compacted topic, written so that a crash never tears it.

A model is a head and parts (cohorts, groups of detectors). A changed part goes to a slot that the last head does not
name; then the head names it. Whatever of this reached Kafka, the last head and the parts it names fit together.

All keys bear the token of the owner that writes them, and a head names no part of another owner: a former owner that
writes once more, however late, overwrites nothing. The first checkpoint of an owner is therefore whole, of all models
and sources; once it is acknowledged, the owner removes what it found when it restored, and nothing else. So of any
owners that write at the same time nobody removes what the one that restored last has written. Who restores takes, of
each model and source, the complete state that has come furthest: every complete one is true of the blocks below its
position.
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
from monitor.packing import Compressed, Packed, pack, unpack
from monitor.snapshot import LaunchRecord, SeriesKey
from monitor.sources import SavedSource, SourceLedger
from monitor.streams import SavedDetector, SavedPool
from monitor.tally import Tally, sums

Ints = npt.NDArray[np.int64]

FORMAT: Final = 4
DETECTOR_ROWS: Final = 64
"""Detectors of so many series are one part."""
SEPARATOR: Final = "\x1f"
"""Not allowed in names, so that keys cannot collide."""
SLOTS: Final = ("a", "b")
"""Of each part: the last head names one, the next version goes to the other."""

PartId = tuple[str, int, int]
"""("cohort", level, start) or ("detectors", group, 0)"""


POSITION: Final = "position"


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
    """Writes one model's checkpoints, the first one whole; remembers which slot holds which part.

    `owner` is a token no other owner has.
    """

    def __init__(self, model: str, *, owner: str) -> None:
        self._model = model
        self._owner = owner
        self._whole = True
        """whether the next checkpoint has to hold all parts"""
        self._slots: dict[PartId, str] = {}
        self._detectors: dict[PartId, bytes] = {}

    def take(self, model: Model, *, position: int) -> Checkpoint:
        """The records that bring the last checkpoint up to the model's present state."""
        cohorts = model.ledger.cohorts
        parts: list[tuple[bytes, bytes]] = []
        obsolete: list[bytes] = []
        changed = cohorts.touched.union(cohorts.cohorts() if self._whole else ())
        for level, start in sorted(changed):
            part: PartId = ("cohort", int(level), start)
            compressed = cohorts.compressed(level, start)
            if compressed is not None:
                parts.append(self._write(part, _ENCODER.encode(compressed)))
            elif self._slots.pop(part, None) is not None:
                obsolete += [self._key(part, slot) for slot in SLOTS]
        cohorts.touched.clear()
        pool, detectors = model.streams.snapshot()
        for part, group in _grouped(detectors).items():
            data = _ENCODER.encode(group)
            if self._detectors.get(part) != data:
                self._detectors[part] = data
                parts.append(self._write(part, data))
        self._whole = False
        head = _head(model.ledger, pool, tuple(sorted(self._slots.items())), position)
        return Checkpoint(tuple(parts), (model_key(self._model, self._owner), _ENCODER.encode(head)), tuple(obsolete))

    def _write(self, part: PartId, data: bytes) -> tuple[bytes, bytes]:
        slot = SLOTS[self._slots.get(part) == SLOTS[0]]
        self._slots[part] = slot
        return self._key(part, slot), data

    def _key(self, part: PartId, slot: str) -> bytes:
        return _part_key(self._model, part, self._owner, slot)


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far the partition of the blocks topic is in the state, and how far each model and source was.

    Blocks between what is told of a model or source here and `offset` do not change it. A state of it that is further
    back was written by a former owner: blocks are read again from there.
    """

    offset: int
    heads: dict[str, int]
    """position by `subject`"""
    clocks: tuple[tuple[str, int, int], ...] = ()
    """topic, partition and Kafka time that it had reached: blocks of most sources' own counts go elsewhere"""

    def reread_from(self, heads: Mapping[str, int]) -> int:
        """Where reading of blocks has to start, given the positions of the states that were found, by `subject`."""
        behind = [heads.get(key, 0) for key, told in self.heads.items() if heads.get(key, 0) < told]
        return min([self.offset, *behind])


def position_key(owner: str) -> bytes:
    """Key of an owner's position."""
    return SEPARATOR.join((POSITION, owner)).encode()


def position_record(position: Position, *, owner: str) -> tuple[bytes, bytes]:
    """The record that is written after all others of a checkpoint but tombstones."""
    return position_key(owner), _ENCODER.encode(position)


def restore_positions(records: Mapping[bytes, bytes]) -> tuple[list[Position], list[UnreadableState]]:
    """The positions of all owners, zero when there is none; and what is wrong with them when none can be read."""
    found: list[Position] = []
    damaged: list[UnreadableState] = []
    for key, data in records.items():
        if subject(key) == POSITION:
            try:
                found.append(_decode(key, data, Position))
            except UnreadableState as error:
                damaged.append(error)
    return (found, []) if found else ([Position(0, {})], damaged)


def subject(key: bytes) -> str:
    """What a record with this key is about: a model, a source partition, or the position. The same for all owners."""
    kind, *names = key.decode(errors="replace").split(SEPARATOR)
    if kind in ("model", "part"):
        return model_subject(*names[:1])
    return source_subject(*names[:2]) if kind == "source" else kind


def model_subject(*model: str) -> str:
    """What the head and the parts of a model are about."""
    return SEPARATOR.join(("model", *model))


def source_subject(*source: object) -> str:
    """What the record of a source partition, given as topic and number, is about."""
    return SEPARATOR.join(("source", *map(str, source)))


def keys_by_subject(records: Mapping[bytes, bytes]) -> dict[str, list[bytes]]:
    """The keys of the records about each model, each source partition and the position."""
    keys: dict[str, list[bytes]] = {}
    for key in records:
        keys.setdefault(subject(key), []).append(key)
    return keys


def model_key(model: str, owner: str) -> bytes:
    """Key of an owner's head of a model."""
    return SEPARATOR.join((model_subject(model), owner)).encode()


def source_key(topic: str, partition: int, owner: str) -> bytes:
    """Key of the one record in which an owner holds a source partition."""
    return SEPARATOR.join((source_subject(topic, partition), owner)).encode()


def source_record(ledger: SourceLedger, *, position: int, owner: str) -> tuple[bytes, bytes]:
    """The record that holds the state of a source partition."""
    return source_key(ledger.topic, ledger.partition, owner), _ENCODER.encode(ledger.snapshot(position))


def restore_sources(
    records: Mapping[bytes, bytes],
) -> tuple[dict[tuple[str, int], tuple[SourceLedger, int]], dict[str, UnreadableState]]:
    """The source ledgers among the records, each with its position; and by `subject` what is wrong with the others."""
    furthest: dict[str, SavedSource] = {}
    damaged: dict[str, UnreadableState] = {}
    for key, data in records.items():
        about = subject(key)
        if about.split(SEPARATOR)[0] == "source":
            try:
                saved = _decode(key, data, SavedSource)
            except UnreadableState as error:
                damaged[about] = error
            else:
                if about not in furthest or saved.position > furthest[about].position:
                    furthest[about] = saved
    ledgers = {
        (saved.topic, saved.partition): (SourceLedger.restore(saved), saved.position) for saved in furthest.values()
    }
    return ledgers, {about: error for about, error in damaged.items() if about not in furthest}


def model_names(records: Mapping[bytes, bytes]) -> list[str]:
    """Models that have a head among the records."""
    split = [key.decode(errors="replace").split(SEPARATOR) for key in records]
    return sorted({parts[1] for parts in split if parts[0] == "model" and len(parts) > 1})


def restore_model(name: str, records: Mapping[bytes, bytes], settings: ModelSettings) -> tuple[Model, int]:
    """The model as the checkpoint that has come furthest left it, and its position; UnreadableState if none is whole.

    `records` need to hold only those about the model. A former owner's head that comes late may name parts that have
    been removed since: another owner's state is then whole.
    """
    heads: list[tuple[Head, str]] = []
    damaged: list[UnreadableState] = []
    for key, data in records.items():
        kind, *names = key.decode(errors="replace").split(SEPARATOR)
        if kind == "model" and names[:1] == [name]:
            try:
                heads.append((_head_of(name, key, data), names[-1]))
            except UnreadableState as error:
                damaged.append(error)
    for head, owner in sorted(heads, key=lambda found: found[0].position, reverse=True):
        try:
            return _restore_model(name, head, owner, records, settings), head.position
        except UnreadableState as error:
            damaged.append(error)
        except (ValueError, IndexError) as error:
            # Bytes that decode, but whose numbers do not fit together.
            damaged.append(UnreadableState(f"state of model {name}: {error}"))
    raise damaged[0]


def _head_of(name: str, key: bytes, data: bytes) -> Head:
    head = _decode(key, data, Head)
    if head.format != FORMAT:
        raise UnreadableState(f"state of model {name}: expected format {FORMAT}, got {head.format}")
    return head


def _restore_model(name: str, head: Head, owner: str, records: Mapping[bytes, bytes], settings: ModelSettings) -> Model:
    model = Model(name, settings)
    ledger = model.ledger
    widths = sum(width for *_, width in head.signature)
    translate = _translation(ledger.layout, head.signature, rows=len(head.series), width=widths)
    ledger.table.restore(head.series)
    ledger.restore_totals(
        _dense(*translate(*_load_sums(head.totals)), rows=len(head.series), width=ledger.layout.width)
    )
    score = ledger.layout.score
    if (score.name, score.identity, score.width) not in head.signature:
        # With other bins their counts begin anew; the sum of the same histogram must as well.
        ledger.totals[:, ledger.layout.score_sum.columns] = 0
    cohorts: dict[tuple[Level, int], tuple[Ints, Ints]] = {}
    detectors: list[SavedDetector] = []
    for part, slot in head.slots:
        part_key = _part_key(name, part, owner, slot)
        data = records.get(part_key)
        if data is None:
            raise UnreadableState(f"state of model {name}: part {part} is missing")
        if part[0] == "cohort":
            cohorts[Level(part[1]), part[2]] = translate(*sums(_decode(part_key, data, Compressed)))
        else:
            detectors += _decode(part_key, data, tuple[SavedDetector, ...])
    if head.now is not None:
        ledger.cohorts.restore(head.now, len(head.series), cohorts)
    ledger.arrivals = {minute: Tally(*translate(*_load_sums(saved))) for minute, saved in head.arrivals}
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


def _load_sums(saved: SavedSums) -> tuple[Ints, Ints]:
    return np.cumsum(unpack(saved.steps)), unpack(saved.value)


def _translation(
    layout: Layout, signature: Sequence[tuple[str, str, int]], *, rows: int, width: int
) -> Callable[[Ints, Ints], tuple[Ints, Ints]]:
    """A function from saved sums to those in today's layout; ValueError where they cannot be such sums."""
    columns = layout.translation(signature)

    def translate(place: Ints, value: Ints) -> tuple[Ints, Ints]:
        ascending = bool((place[1:] > place[:-1]).all())
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


def _part_key(model: str, part: PartId, owner: str, slot: str) -> bytes:
    return SEPARATOR.join(("part", model, *map(str, part), owner, slot)).encode()


_ENCODER: Final = msgspec.msgpack.Encoder()


T = TypeVar("T")


def _decode(key: bytes, data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableState(f"state {key!r}: {error}") from error
