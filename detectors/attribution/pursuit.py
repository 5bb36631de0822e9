"""Greedy choice of few segments that explain a departure from a model, with each choice reconsidered given the others.

Matching pursuit with replacement: forward steps alone would keep a parent that was taken for two of its children.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from detectors.arrays import Bools, Floats
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
    """Take segments while the best one's corrected p-value is at most `alpha`, at most `most`.

    The correction is Bonferroni's with weights: `trials` searches, each order of crossing an equal share, and within an
    order each segment that can be tested.
    """
    tested, order = 0, found.order

    def corrected(scan: Scan) -> Floats:
        nonlocal tested
        able = model.candidates & np.isfinite(scan.z)
        tested = int(able.sum())
        counts = np.bincount(order[able], minlength=int(order.max()) + 1)
        price = np.log(np.maximum(counts, 1) * max(int((counts > 0).sum()), 1) * trials)
        # Of two complements, which are one hypothesis, the one that grows: the new version, not the old.
        falls = 1e-6 * (np.where(able, scan.effect, 0.0) < 0)
        able &= (np.abs(alone) >= MOVED) & (np.sign(alone) == np.sign(scan.z))
        return np.where(able, log_p_value(np.where(able, scan.z, 0.0)) + price[order] + falls, np.inf)

    def expect(rows: Sequence[int]) -> Scan:
        model.reset()
        for _ in range(ROUNDS if rows else 0):
            for row in rows:
                model.shift(row)
            model.refit()
        return model.scan()

    alone = np.nan_to_num(expect([]).z)
    taken: list[int] = []
    while len(taken) < most:
        penalty = corrected(expect(taken))
        penalty[taken] = np.inf
        best = int(np.argmin(penalty))
        if not penalty[best] <= np.log(alpha):
            break
        taken.append(best)
        for _ in range(ROUNDS if len(taken) > 1 else 0):
            before = list(taken)
            for place in range(len(taken)):
                others = taken[:place] + taken[place + 1 :]
                penalty = corrected(expect(others))
                penalty[others] = np.inf
                taken[place] = int(np.argmin(penalty))
            if before == taken:
                break
    rows, departures, p_values = [], [], []
    for place, row in enumerate(taken):
        scan = expect(taken[:place] + taken[place + 1 :])
        value = corrected(scan)[row]
        if value <= np.log(alpha):
            rows.append(row)
            departures.append(Departure(float(scan.effect[row]), float(scan.standard_error[row])))
            p_values.append(float(np.exp(value)))
    return Pursuit(tuple(rows), tuple(departures), tuple(p_values), tested)
