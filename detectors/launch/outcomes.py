"""Counts of what champion and challenger did with the same decisions: all that a launch comparison keeps.

Only decisions on which at least one of them acts are counted. A decision on which both act needs no label: whatever
the verdict, it adds the same to both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative

KINDS: Final = 6
"""Columns of `Outcomes.discordant`: challenger alone (violating, benign, not sampled), then champion alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Counts; leading axes are series. Sums of two of them are the counts of both streams, in any order.

    `discordant` has shape (..., strata, 6): rows are the sampling strata, each with its known inclusion probability;
    columns are challenger alone and label violating, challenger alone and benign, challenger alone and not sampled,
    then the same for the champion alone. `both` has shape (...). Raises ValueError for other shapes, for counts that
    are negative, not finite or not whole.
    """

    discordant: Floats
    both: Floats

    def __post_init__(self) -> None:
        discordant, both = nonnegative("discordant", self.discordant), nonnegative("both", self.both)
        if discordant.ndim < 2 or discordant.shape[-1] != KINDS or discordant.shape[:-2] != both.shape:
            raise ValueError(
                f"discordant: got shape {discordant.shape} beside both of {both.shape}, "
                f"allowed is (..., strata, {KINDS}) beside (...)"
            )
        if np.any(discordant % 1.0) or np.any(both % 1.0):
            raise ValueError("outcomes: found a count that is not whole, allowed are whole numbers >= 0")
        object.__setattr__(self, "discordant", discordant)
        object.__setattr__(self, "both", both)

    def __add__(self, other: Outcomes) -> Outcomes:
        if self.discordant.shape[-2] != other.discordant.shape[-2]:
            raise ValueError(
                f"strata: got {self.discordant.shape[-2]} and {other.discordant.shape[-2]}, allowed are equal numbers"
            )
        return Outcomes(self.discordant + other.discordant, self.both + other.both)

    @property
    def labels(self) -> Floats:
        """Labels bought, shape (...)."""
        labels: Floats = self.discordant[..., [0, 1, 3, 4]].sum(axis=(-1, -2))
        return labels

    @property
    def decisions(self) -> Floats:
        """Decisions on which at least one acts, shape (...)."""
        decisions: Floats = self.discordant.sum(axis=(-1, -2)) + self.both
        return decisions


def outcomes(
    champion_acts: npt.ArrayLike,
    challenger_acts: npt.ArrayLike,
    *,
    violating: npt.ArrayLike,
    stratum: npt.ArrayLike = 0,
    strata: int = 1,
) -> Outcomes:
    """Count decisions of shape (n,). `violating` is 1 or 0 for a label and NaN for a decision that was not sampled.

    `stratum` (whole numbers below `strata`) says with which inclusion probability the decision was, or could have been,
    sampled. A label of a decision on which both act is ignored, and so is a decision on which neither does.

    Misleads when a label that is still awaited is counted as "not sampled", or when decisions are counted in the order
    of their labels while the time a label takes depends on the verdict: hand a decision in once its label is there and
    those of all decisions before it are, too.

    Raises ValueError for other values and shapes.

    >>> found = outcomes([1, 1, 0, 0], [1, 0, 1, 0], violating=[float("nan"), 1, 0, 1])
    >>> found.discordant.tolist(), float(found.both), float(found.labels)
    ([[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]], 1.0, 2.0)
    """
    champion, challenger, verdict, row = np.broadcast_arrays(
        np.asarray(champion_acts, dtype=np.float64),
        np.asarray(challenger_acts, dtype=np.float64),
        np.asarray(violating, dtype=np.float64),
        np.asarray(stratum),
    )
    if champion.ndim != 1:
        raise ValueError(f"decisions: got shape {champion.shape}, allowed is (n,)")
    for name, acts in (("champion_acts", champion), ("challenger_acts", challenger)):
        if not np.all((acts == 0) | (acts == 1)):
            raise ValueError(f"{name}: found a value that is not 0 or 1")
    if not np.all((verdict == 0) | (verdict == 1) | np.isnan(verdict)):
        raise ValueError("violating: allowed are 1, 0 and NaN for not sampled")
    if (row.size and not np.issubdtype(row.dtype, np.integer)) or np.any((row < 0) | (row >= strata)):
        raise ValueError(f"stratum: allowed are whole numbers from 0 to {strata - 1}")
    alone = champion != challenger
    kind = 3 * (champion[alone] == 1) + np.where(np.isnan(verdict[alone]), 2, verdict[alone] == 0)
    place = row[alone].astype(np.int64) * KINDS + kind.astype(np.int64)
    cells = np.bincount(place, minlength=strata * KINDS)
    both = np.count_nonzero((champion == 1) & (challenger == 1))
    return Outcomes(cells.reshape(strata, KINDS).astype(np.float64), np.asarray(both, dtype=np.float64))
