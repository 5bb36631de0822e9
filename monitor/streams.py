"""Streaming detectors on minute series: mean score, action rate, audited precision of every series.

A point is the value over the minutes since the last point, taken as soon as they hold enough records. Decisions enter
by the minute of the decision, labels by the minute of their arrival; a minute is seen once, when it is over, and what
arrives for it later restates the ledger but not the detectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from detectors import AnyDetector, Domain, Logic, StateMismatch, resume, save
from monitor.layout import ACTIONS, LIMB_BITS, SCORE_UNIT, Group, Layout
from monitor.packing import Packed, pack, unpack
from monitor.snapshot import Detection

Ints = npt.NDArray[np.int64]


class Input(StrEnum):
    """A minute series."""

    SCORE = "score"
    ACTION_RATE = "action_rate"
    PRECISION = "precision"


_POOLED: Final = ("decisions", "score", "acted", "labels", "violating", "benign")
_DECISIONS, _SCORE, _ACTED, _LABELS, _VIOLATING, _BENIGN = range(len(_POOLED))


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Which detectors run, and how many records make a point."""

    detectors: tuple[AnyDetector, ...]
    minimum_decisions: int = 20
    minimum_labels: int = 10


class SavedDetector(msgspec.Struct, frozen=True, array_like=True):
    """One running detector and what it has found."""

    row: int
    input: Input
    kind: str
    state: bytes
    count: int
    last_at: float | None


class SavedPool(msgspec.Struct, frozen=True, array_like=True):
    """The records that have not made a point yet."""

    next_minute: int
    sums: Packed


class StreamDetectors:
    """The streaming detectors of one model."""

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._specs = {kind_of(spec): spec for spec in settings.detectors}
        self._pool = np.zeros((0, len(_POOLED)), dtype=np.int64)
        self._logics: dict[tuple[int, Input, str], Logic] = {}
        self._found: dict[tuple[int, Input, str], tuple[int, float]] = {}
        self._detections: tuple[Detection, ...] | None = None
        """As last told, which is said again until a minute is seen."""
        self.next_minute = 0
        """Minutes before this one have been seen."""
        self.discarded = 0
        """States that could not be continued: other parameters or another library version."""

    def close(
        self, minute: int, *, rows: int, layout: Layout, decisions: tuple[Ints, Ints], labels: tuple[Ints, Ints]
    ) -> None:
        """See a minute: sums (places, values) of its decisions and of the labels that arrived in it."""
        self._detections = None
        self._grow(rows)
        self._collect(layout, decisions, labels)
        self.next_minute = minute + 1
        pool = self._pool
        for row in np.flatnonzero(pool[:, _DECISIONS] >= self._settings.minimum_decisions).tolist():
            decided = float(pool[row, _DECISIONS])
            self._feed(row, Input.SCORE, float(pool[row, _SCORE]) * SCORE_UNIT / decided, minute)
            self._feed(row, Input.ACTION_RATE, float(pool[row, _ACTED]) / decided, minute)
            pool[row, :_LABELS] = 0
        for row in np.flatnonzero(pool[:, _LABELS] >= self._settings.minimum_labels).tolist():
            violating, benign = float(pool[row, _VIOLATING]), float(pool[row, _BENIGN])
            self._feed(row, Input.PRECISION, violating / (violating + benign), minute)
            pool[row, _LABELS:] = 0

    def detections(self) -> tuple[Detection, ...]:
        """What was found, for every series and input that a detector has seen."""
        if self._detections is None:
            self._detections = tuple(
                Detection(series=row, input=name.value, detector=kind, count=count, last_at=at)
                for (row, name, kind) in self._logics
                for count, at in [self._found.get((row, name, kind), (0, None))]
            )
        return self._detections

    def snapshot(self) -> tuple[SavedPool, tuple[SavedDetector, ...]]:
        """The state, to be continued by `restore`."""
        detectors = []
        for key, logic in self._logics.items():
            row, name, kind = key
            count, at = self._found.get(key, (0, None))
            detectors.append(SavedDetector(row, name, kind, save(self._specs[kind], logic), count, at))
        return SavedPool(self.next_minute, pack(self._pool.reshape(-1))), tuple(detectors)

    def restore(self, pool: SavedPool, detectors: Sequence[SavedDetector]) -> None:
        """Continue from a state; what cannot be continued starts anew and is counted in `discarded`."""
        self._detections = None
        self.next_minute = pool.next_minute
        self._pool = unpack(pool.sums).reshape(-1, len(_POOLED))
        for detector in detectors:
            key = (detector.row, detector.input, detector.kind)
            spec = self._specs.get(detector.kind)
            if spec is None:
                self.discarded += 1
                continue
            if detector.count and detector.last_at is not None:
                self._found[key] = (detector.count, detector.last_at)
            try:
                self._logics[key] = resume(spec, detector.state)
            except StateMismatch:
                self.discarded += 1
                self._logics[key] = spec.build()

    def _feed(self, row: int, name: Input, value: float, minute: int) -> None:
        for kind, spec in self._specs.items():
            key = (row, name, kind)
            logic = self._logics.get(key)
            if logic is None:
                logic = self._logics[key] = spec.build()
            reading = logic.update(value)
            if reading is not None and reading.alarm:
                count, _ = self._found.get(key, (0, None))
                self._found[key] = (count + 1, (minute + 1) * 60.0)
                # One change is one detection: the detector learns the new level from here on.
                self._logics[key] = spec.build()

    def _collect(self, layout: Layout, decisions: tuple[Ints, Ints], labels: tuple[Ints, Ints]) -> None:
        width = layout.width
        place, value = decisions
        row, column = place // width, place % width
        counted = (column >= layout.actions.start) & (column < layout.actions.columns.stop)
        np.add.at(self._pool[:, _DECISIONS], row[counted], value[counted])
        positive = np.zeros(width, dtype=np.bool_)
        positive[layout.actions.columns] = [action in layout.positive_actions for action in ACTIONS]
        np.add.at(self._pool[:, _ACTED], row[positive[column]], value[positive[column]])
        self._add_wide(_SCORE, layout.score_sum, 0, row, column, value)
        place, value = labels
        row, column = place // width, place % width
        for verdict, pooled in enumerate((_VIOLATING, _BENIGN)):
            acted = 2 + verdict  # labels of acted-on decisions
            told = column == layout.labels.start + acted
            np.add.at(self._pool[:, _LABELS], row[told], value[told])
            self._add_wide(pooled, layout.weights, acted, row, column, value)

    def _add_wide(self, pooled: int, group: Group, index: int, row: Ints, column: Ints, value: Ints) -> None:
        """Add one quantity of a wide group; what a point pools fits into one number."""
        for start, bits in ((group.start, LIMB_BITS), (group.start + group.width // 2, 0)):
            told = column == start + index
            np.add.at(self._pool[:, pooled], row[told], value[told] << bits)

    def _grow(self, rows: int) -> None:
        if len(self._pool) < rows:
            grown = np.zeros((rows, len(_POOLED)), dtype=np.int64)
            grown[: len(self._pool)] = self._pool
            self._pool = grown


def kind_of(spec: AnyDetector) -> str:
    """The name under which a detector is configured and exported."""
    return str(type(spec).__struct_config__.tag)


def require_distinct(specs: Sequence[AnyDetector]) -> None:
    """ValueError if two detectors share a kind: their counters would be one series."""
    kinds = [kind_of(spec) for spec in specs]
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"detectors: expected each kind once, got {', '.join(kinds)}")


def require_for_shares(specs: Sequence[AnyDetector]) -> None:
    """ValueError for a detector of single verdicts or of counts: a point of a stream is a share of many records."""
    other = [kind_of(spec) for spec in specs if spec.domain not in {Domain.REAL, Domain.UNIT}]
    if other:
        raise ValueError(f"detectors: expected detectors of shares, got {', '.join(other)} for verdicts or counts")
