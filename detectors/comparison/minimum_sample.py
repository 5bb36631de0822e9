"""How many current observations a comparison needs before it is worth reading.

All laws here depend on both samples through 1/n + 1/m only, so "how many" means: which m brings 1/n + 1/m down to what
the effect allows. A reference that is too small cannot be made up for by any m.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats
from detectors.comparison.distance import Histograms

POWER: Final = 0.8
POWER_QUANTILE: Final = 0.8416212335729143
"""Standard normal quantile of POWER."""
PER_BIN: Final = 5
"""Observations a bin, on average, from which on a chi-square law holds well enough (Cochran 1954, Biometrics 10)."""


def require_effect(value: float) -> float:
    """`smallest_effect` if it is a finite number above 0."""
    if not 0.0 < value < np.inf:
        raise ValueError(f"smallest_effect: got {value!r}, allowed is a finite number > 0")
    return float(value)


def current_needed(pair: Histograms, scale: npt.ArrayLike, *, at_least: npt.ArrayLike) -> Floats:
    """The least m with 1/n + 1/m <= `scale` and n, m >= `at_least`; infinite where n does not allow it.

    `scale` and `at_least` broadcast over the series. NaN where the reference is empty or `scale` is NaN.
    """
    n = pair.reference_total
    floor = np.asarray(at_least, dtype=np.float64)
    allowed = np.asarray(scale, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = allowed - 1.0 / n
        needed = np.where(left > 0, np.ceil(1.0 / left), np.inf)
    needed = np.where(n < floor, np.inf, np.maximum(needed, floor))
    return np.where((n > 0) & ~np.isnan(allowed), needed, np.nan)


def current_needed_chi_square(
    pair: Histograms, squared_effect: float, *, alpha: float, thinnest: float = 1.0
) -> Floats:
    """The least m for a statistic whose law is (1/n + 1/m) chi-square, and whose value is near `squared_effect`.

    Under a shift the statistic over (1/n + 1/m) is noncentral chi-square, with noncentrality equal to the effect over
    the same. For the law to hold, both samples must hold PER_BIN observations a bin on average, and as many that
    the thinnest bin (of those not empty) expects `thinnest`: some statistics bear thin bins worse than others.
    """
    freedom = pair.freedom
    known = np.unique(freedom[~np.isnan(freedom)])
    wanted = np.array([*(noncentrality(value, alpha) for value in known.tolist()), np.nan])
    place = np.where(np.isnan(freedom), known.size, np.searchsorted(known, freedom))
    together = pair.reference + pair.current
    total = together.sum(axis=-1)
    least = np.where(together > 0, together, np.inf).min(axis=-1)
    at_least = np.maximum(PER_BIN * (freedom + 1.0), np.ceil(thinnest * total / least))
    return current_needed(pair, squared_effect / wanted[place], at_least=at_least)


@lru_cache(maxsize=1024)
def noncentrality(freedom: float, alpha: float) -> float:
    """The noncentrality at which a chi-square test of level `alpha` rejects with probability POWER."""
    return float(scipy.special.chndtrinc(scipy.special.chdtri(freedom, alpha), freedom, 1.0 - POWER))
