"""What is counted of a model: named groups of integer columns, the same for blocks, ledger and checkpoints.

Every column is an int64 sum, so that blocks merge exactly in any order. Quantities that are not counts are fixed
point: scores in 2^-30, latencies in microseconds, label weights in 2^-32 and their squares in 2^-16. Sums of scores,
weights and squares would overflow within days of heavy traffic, so each takes two columns, split at 2^20: they hold
8e12 decisions and 8e9 labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.events import Action, AppealStage, ReviewSource, Verdict

SCORE_UNIT: Final = 2.0**-30
LATENCY_UNIT: Final = 1e-6
WEIGHT_UNIT: Final = 2.0**-32
SQUARED_WEIGHT_UNIT: Final = 2.0**-16

LIMB_BITS: Final = 20
"""A wide sum is kept as the sum of `value >> 20` and the sum of the rest."""

SCORE_EDGES: Final = tuple(round(0.025 * i, 3) for i in range(1, 40))
"""Upper bounds (inclusive) of the score bins; thresholds of the configuration are added to them."""
LATENCY_EDGES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

SCORE: Final = "score"
"""The score among the inputs that drift is told of; no feature has this name."""
ACTIONS: Final = tuple(Action)
STAGES: Final = tuple(AppealStage)
REVIEW_KINDS: Final = tuple((source, verdict) for source in ReviewSource for verdict in Verdict)
POSITIVE_ACTIONS: Final = frozenset({Action.REMOVE, Action.RESTRICT, Action.LABEL, Action.AGE_GATE})
"""Actions that say "violating": the domain of precision, unless the configuration names others."""
LABEL_VERDICTS: Final = (Verdict.VIOLATING, Verdict.BENIGN)


class NumericFeature(msgspec.Struct, frozen=True, tag="numeric"):
    """Bins of a numeric feature: `edges` cut (-inf, inf); values outside [low, high] are out of range."""

    name: str
    edges: tuple[float, ...]
    low: float
    high: float

    @property
    def bins(self) -> int:
        """Number of bins of the histogram."""
        return len(self.edges) + 1


class CategoricalFeature(msgspec.Struct, frozen=True, tag="categorical"):
    """Categories of a feature; any other value is out of range and has the last bin."""

    name: str
    categories: tuple[str, ...]

    @property
    def bins(self) -> int:
        """Number of bins: the categories, then everything else."""
        return len(self.categories) + 1


Feature = NumericFeature | CategoricalFeature


@dataclass(frozen=True, slots=True)
class Group:
    """Adjacent columns with one meaning. `identity` changes when the meaning of a column does (edges, categories).

    `daily` groups are kept for the whole horizon; the others (histograms) only as long as windows need them.
    """

    name: str
    width: int
    identity: str
    start: int
    daily: bool

    @property
    def columns(self) -> slice:
        """The columns of the group in a row."""
        return slice(self.start, self.start + self.width)


class Layout:
    """The columns of one model's rows. Two layouts with equal `signature` have equal columns.

    The groups `score_sum`, `weights` and `squared_weights` are wide: the first half of their columns holds the high
    limbs, the second half the low ones.

    `labels`, `weights` and `squared_weights` hold the labels of known inclusion probability, by (acted on, verdict):
    column `2 * acted + verdict` with the verdicts in the order of `LABEL_VERDICTS`.
    """

    def __init__(
        self,
        *,
        thresholds: Sequence[float] = (),
        positive_actions: Collection[Action] = POSITIVE_ACTIONS,
        features: Sequence[Feature] = (),
    ) -> None:
        self.score_edges = np.asarray(sorted({*SCORE_EDGES, *(t for t in thresholds if 0 < t < 1)}), dtype=np.float64)
        self.positive_actions = frozenset(positive_actions)
        self.latency_edges = np.asarray(LATENCY_EDGES, dtype=np.float64)
        self.features = tuple(features)
        self.groups: list[Group] = []
        self.width = 0
        self.actions = self._add("actions", len(ACTIONS), daily=True)
        self.score_sum = self._add("score_sum", 2, daily=True)
        self.score = self._add("score", len(self.score_edges) + 1, tuple(self.score_edges))
        self.latency = self._add("latency", len(LATENCY_EDGES) + 1, LATENCY_EDGES)
        self.latency_sum = self._add("latency_sum", 1)
        self.reviews = self._add("reviews", len(REVIEW_KINDS), daily=True)
        acted = tuple(sorted(self.positive_actions))
        self.labels = self._add("labels", 2 * len(LABEL_VERDICTS), acted, daily=True)
        self.weights = self._add("weights", 4 * len(LABEL_VERDICTS), acted, daily=True)
        self.squared_weights = self._add("squared_weights", 4 * len(LABEL_VERDICTS), acted, daily=True)
        self.appeals = self._add("appeals", len(STAGES), daily=True)
        self.reports = self._add("reports", 1, daily=True)
        self.feature_groups = tuple(
            self._add(f"feature:{feature.name}", 2 + feature.bins, (msgspec.json.encode(feature).decode(),))
            for feature in self.features
        )

    def _add(self, name: str, width: int, meaning: Sequence[float | str] = (), *, daily: bool = False) -> Group:
        identity = hashlib.sha256(repr((name, width, tuple(meaning))).encode()).hexdigest()[:12]
        group = Group(name=name, width=width, identity=identity, start=self.width, daily=daily)
        self.groups.append(group)
        self.width += width
        return group

    @cached_property
    def signature(self) -> tuple[tuple[str, str, int], ...]:
        """(name, identity, width) of every group, in order: travels with blocks and checkpoints."""
        return tuple((group.name, group.identity, group.width) for group in self.groups)

    @cached_property
    def daily(self) -> npt.NDArray[np.bool_]:
        """Columns that day cohorts keep; shape (width,)."""
        mask = np.zeros(self.width, dtype=np.bool_)
        for group in self.groups:
            mask[group.columns] = group.daily
        return mask

    @property
    def judged(self) -> tuple[Group, ...]:
        """The groups that rates and precision are computed from: as wide in every layout."""
        return (self.actions, self.appeals, self.reports, self.weights, self.squared_weights)

    def translation(self, signature: Sequence[tuple[str, str, int]]) -> npt.NDArray[np.int64] | None:
        """Columns of another layout in terms of this one; None if the layouts are equal.

        Shape (width of the other layout,); -1 where this one has no equal column. A changed setting (other edges,
        other features) keeps every group whose meaning is the same.
        """
        if tuple(tuple(entry) for entry in signature) == self.signature:
            return None
        own = {(group.name, group.identity): group for group in self.groups}
        columns: list[npt.NDArray[np.int64]] = []
        for name, identity, width in signature:
            group = own.get((name, identity))
            if group is None or group.width != width:
                columns.append(np.full(width, -1, dtype=np.int64))
            else:
                columns.append(np.arange(group.start, group.start + width, dtype=np.int64))
        return np.concatenate(columns) if columns else np.empty(0, dtype=np.int64)


def wide(sums: npt.NDArray[np.int64], unit: float) -> npt.NDArray[np.float64]:
    """The values of a wide group, from its columns: shape (rows, half the group's width)."""
    half = sums.shape[1] // 2
    high, low = sums[:, :half].astype(np.float64), sums[:, half:].astype(np.float64)
    values: npt.NDArray[np.float64] = (high * 2.0**LIMB_BITS + low) * unit
    return values
