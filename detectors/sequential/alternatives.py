"""The changes that an e-detector bets on: means on a doubling grid away from the null mean, with weights of sum 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.arrays import Floats
from detectors.contract import Sides


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """Means that are bet on, shape (grid,), and the share of the stake on each, of sum 1."""

    means: Floats
    weights: Floats


def alternatives(
    mean: float, *, smallest_change: float, largest_change: float | None = None, direction: Sides = "both"
) -> Alternatives:
    """Means at `mean` +- `smallest_change` times 1, 2, 4, ..., as far as `largest_change`, inside (0, 1).

    Why doubling: for a small change c the log of the stake grows by 2 h c - h^2 (in units of twice the variance) an
    observation on the alternative at distance h, and by c^2 at best. Between h and 2h the worst c is 1.5 h, where both
    neighbours grow at 8/9 of the best: no change between the smallest and the largest costs more than 11 % of the
    speed, plus log(grid) of stake shared out. Twice `smallest_change` is found as fast as can be; half of it is the
    limit below which the smallest bet loses. Weights are equal within a direction and 1/2 for each of two directions.
    `largest_change` equal to `smallest_change` gives the single bet of a planned change.

    Raises ValueError where no alternative fits between `mean` and the end of the range.

    >>> found = alternatives(0.9, smallest_change=0.05, direction="both")
    >>> found.means.round(3).tolist(), found.weights.round(3).tolist()
    ([0.95, 0.85, 0.8, 0.7, 0.5, 0.1], [0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    """
    if not 0.0 < mean < 1.0:
        raise ValueError(f"mean: got {mean!r}, allowed is 0 < mean < 1")
    if not 0.0 < smallest_change < 1.0:
        raise ValueError(f"smallest_change: got {smallest_change!r}, allowed is 0 < smallest_change < 1")
    if largest_change is not None and not smallest_change <= largest_change < 1.0:
        raise ValueError(f"largest_change: got {largest_change!r}, allowed is smallest_change <= largest_change < 1")
    signs = {"rise": (1.0,), "fall": (-1.0,), "both": (1.0, -1.0)}[direction]
    means, weights = [], []
    for sign in signs:
        changes = [smallest_change]
        while (mean + sign * 2 * changes[-1] > 0.0) and (mean + sign * 2 * changes[-1] < 1.0):
            if largest_change is not None and 2 * changes[-1] > largest_change:
                break
            changes.append(2 * changes[-1])
        found = [mean + sign * change for change in changes]
        if not 0.0 < found[0] < 1.0:
            word = "above" if sign > 0 else "below"
            raise ValueError(
                f"smallest_change: got {smallest_change!r}, allowed is less than the room {word} the mean, "
                f"{(1.0 - mean if sign > 0 else mean):.6g}"
            )
        means += found
        weights += [1.0 / (len(signs) * len(found))] * len(found)
    return Alternatives(means=np.array(means), weights=np.array(weights))
