"""Greedy choice of few segments that explain a departure from a model, with each choice reconsidered given the others.

Matching pursuit with replacement: forward steps alone would keep a parent that was taken for two of its children.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from detectors.arrays import Bools, Floats, Ints
from detectors.attribution.crossings import Crossings
from detectors.attribution.scans import Scan, log_p_value

ROUNDS: Final = 4
"""Rounds of fitting the effects of overlapping segments in turn, and of reconsidering choices."""


MOVED: Final = 2.0
"""A segment is taken only if it moved, by so many standard errors, before anything else is taken away.

Else a parent of which all children but one fell would be taken, and with it, as a rise, the child that did not move.
"""


class Model(Protocol):
    """What cells are expected to hold, given effects of some segments."""

    candidates: Bools

    def reset(self) -> None:
        """Expect no effect."""

    def shift(self, row: int) -> None:
        """Expect of this segment what is observed."""

    def refit(self) -> None:
        """Fit what has no effect to what is observed, given the effects."""

    def scan(self) -> Scan:
        """The departure of every segment from what is expected."""


@dataclass(frozen=True, slots=True)
class Departure:
    """One segment's effect, given the others."""

    effect: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Pursuit:
    """The rows taken, in the order of taking, each with its departure given the others and its corrected p-value."""

    rows: tuple[int, ...]
    scans: tuple[Departure, ...]
    p_values: tuple[float, ...]
    tested: int


def pursue(model: Model, found: Crossings, *, trials: int, alpha: float, most: int) -> Pursuit:
    """Take segments while a departure's corrected p-value is at most `alpha`, at most `most`.

    The correction is Bonferroni's with weights: `trials` searches, each order of crossing an equal share, and within an
    order each segment that can be tested.
    """
    search = _Search(model, found.order, trials, alone=np.nan_to_num(_expecting(model, []).z))
    taken: list[int] = []
    while len(taken) < most:
        scan = _expecting(model, taken)
        best = search.best(scan, besides=taken)
        # A segment that did not move itself can show that what was taken is wrong: then go on, and reconsider.
        if best is None or not search.penalty(scan).min() <= np.log(alpha):
            break
        taken = search.reconsidered([*taken, best])
    rows, departures, p_values = [], [], []
    for place, row in enumerate(taken):
        scan = _expecting(model, taken[:place] + taken[place + 1 :])
        penalty = float(search.penalty(scan)[row])
        if penalty <= np.log(alpha):
            rows.append(row)
            departures.append(Departure(float(scan.effect[row]), float(scan.standard_error[row])))
            p_values.append(float(np.exp(penalty)))
    return Pursuit(tuple(rows), tuple(departures), tuple(p_values), search.tested)


def _expecting(model: Model, rows: Sequence[int]) -> Scan:
    """The departures left once the effects of these segments are expected."""
    model.reset()
    for _ in range(ROUNDS if rows else 0):
        for row in rows:
            model.shift(row)
        model.refit()
    return model.scan()


@dataclass(slots=True, eq=False)
class _Search:
    """`alone` is each segment's z before anything is expected."""

    model: Model
    order: Ints
    trials: int
    alone: Floats
    tested: int = 0

    def penalty(self, scan: Scan) -> Floats:
        """Logarithm of each segment's corrected p-value; infinite where it cannot be tested."""
        able = self.model.candidates & np.isfinite(scan.z)
        self.tested = int(able.sum())
        counts = np.bincount(self.order[able], minlength=int(self.order.max()) + 1)
        price = np.log(np.maximum(counts, 1) * max(int((counts > 0).sum()), 1) * self.trials)
        return np.where(able, log_p_value(np.where(able, scan.z, 0.0)) + price[self.order], np.inf)

    def best(self, scan: Scan, *, besides: Sequence[int]) -> int | None:
        """The segment of the smallest penalty among those that moved themselves."""
        penalty = self.penalty(scan)
        # Of two complements, which are one hypothesis, the one that grows: the new version, not the old.
        penalty += 1e-6 * (np.nan_to_num(scan.effect) < 0)
        moved = (np.abs(self.alone) >= MOVED) & (np.sign(self.alone) == np.sign(np.nan_to_num(scan.z)))
        penalty[~moved] = np.inf
        penalty[list(besides)] = np.inf
        found = int(np.argmin(penalty))
        return found if np.isfinite(penalty[found]) else None

    def reconsidered(self, taken: list[int]) -> list[int]:
        """Each segment in turn replaced by the best given the others, until nothing changes."""
        for _ in range(ROUNDS if len(taken) > 1 else 0):
            before = list(taken)
            for place in range(len(taken)):
                others = taken[:place] + taken[place + 1 :]
                best = self.best(_expecting(self.model, others), besides=others)
                taken[place] = taken[place] if best is None else best
            if before == taken:
                break
        return taken
