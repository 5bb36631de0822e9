"""Mean time to a label, or to an alarm, counted up to a limit: what censored delays can tell of their mean.

The mean itself cannot be known where some are still waiting, and the mean of those seen is too small.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative
from detectors.delay.exits import require_axes
from detectors.delay.kaplan_meier import from_here_on, product_limit


def restricted_mean(events: npt.ArrayLike, censored: npt.ArrayLike, *, limit: int | None = None) -> Floats:
    """Expected min(delay, `limit`) = sum of S(t) over the bins t < `limit`, S by `kaplan_meier`; shape (...,).

    `events` and `censored` are sums over decisions by delay bin, (..., bins), as for `kaplan_meier`: what has its label
    in bin t waited t, what is censored in bin t waited longer. Result and `limit` (default: all) are numbers of bins;
    who was followed beyond the limit is counted in any bin from `limit` on.

    NaN where S(limit - 1) is not known: nobody was followed so long and not all had a label; and without bins.
    Assumes, as `kaplan_meier` does, that when one was last seen says nothing of its delay.

    Source: Irwin 1949, J. Hygiene 47; Royston and Parmar 2013, BMC Medical Research Methodology 13, 152.
    Raises ValueError for sums that are negative or not finite, for bins that differ and for a limit that is no number
    of them.

    >>> restricted_mean([0, 1, 0, 0], [0, 0, 0, 1], limit=3).tolist(), restricted_mean([1, 0], [1, 0]).tolist()
    (2.0, nan)
    """
    d, c = nonnegative("events", events), nonnegative("censored", censored)
    require_axes("events", d, "bins")
    if d.shape[-1:] != c.shape[-1:]:
        raise ValueError(f"events has bins {d.shape[-1:]} and censored {c.shape[-1:]}, allowed are equal bins")
    bins = d.shape[-1]
    if limit is None:
        limit = bins
    if not (0 <= limit <= bins and limit % 1 == 0):
        raise ValueError(f"limit: got {limit!r}, allowed are whole numbers within [0, {bins}]")
    survival = product_limit(d, from_here_on(d + c))
    return np.where(bins > 0, survival[..., : int(limit)].sum(axis=-1), np.nan)
