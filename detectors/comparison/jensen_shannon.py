"""Jensen-Shannon divergence and distance of two histograms.

The distance is the square root of the divergence. SciPy's `jensenshannon` is the distance; papers often mean the other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, require_fraction
from detectors.comparison.distance import Distance, Histograms, histograms
from detectors.comparison.minimum_sample import current_needed_chi_square, require_effect


def jensen_shannon_divergence(reference: npt.ArrayLike, current: npt.ArrayLike, *, base: float = 2.0) -> Floats:
    """JSD = (KL(p || h) + KL(q || h)) / 2 with h = (p + q) / 2, in units of log `base`; 0 to 1 in base 2.

    `reference` and `current` are counts of shape (..., bins); leading axes broadcast; NaN where a side is empty. Empty
    bins need no pseudo-count. Source: Lin 1991, IEEE Transactions on Information Theory 37(1).

    Raises ValueError for negative or non-finite counts, for bins that differ and for a `base` not above 1.

    >>> jensen_shannon_divergence([1, 0, 0], [[0, 1, 0], [1, 0, 0], [0, 0, 0]]).tolist()
    [1.0, 0.0, nan]
    """
    return _divergence(histograms(reference, current)) / _log(base)


def jensen_shannon(
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    *,
    base: float = 2.0,
    alpha: float = 0.05,
    smallest_effect: float = 0.1,
) -> Distance:
    """Jensen-Shannon distance, the square root of the divergence; in base 2 from 0 (equal) to 1 (disjoint).

    Shapes and errors as `jensen_shannon_divergence`. To second order the divergence in nats is 1/8 of the chi-square
    distance sum (q - p)^2 / p, so without a shift 8 JSD / (1/n + 1/m) is chi-square with B - 1 degrees of freedom; B
    counts the bins that are not empty on both sides. p-value and threshold use this; they are NaN with B = 1.
    Thin bins make the test reject too often: by simulation, with 10 equal bins, 7.9 % instead of 5 % at 5 observations
    a bin, 5.7 % at 10, 5.1 % at 30; with 256 bins of 4 observations 32 %. `minimum_sample` asks for 10 in the thinnest.

    Effect size: the distance itself, in the unit of `base`; in bits it is near w / 2.355 with Cohen's w.

    >>> drift = jensen_shannon([500, 500], [250, 750])
    >>> float(drift.statistic.round(7)), float(drift.threshold.round(4)), bool(drift.p_value < 1e-6)
    (0.2208958, 0.0372, True)
    """
    require_fraction("alpha", alpha)
    require_effect(smallest_effect)
    pair = histograms(reference, current)
    unit = _log(base)
    nats = _divergence(pair)
    freedom = pair.freedom
    statistic = np.sqrt(nats / unit)
    scale = pair.sampling_scale / 8.0
    return Distance(
        statistic=statistic,
        p_value=scipy.special.chdtrc(freedom, nats / scale),
        threshold=np.sqrt(scale * scipy.special.chdtri(freedom, alpha) / unit),
        effect_size=statistic,
        minimum_sample=current_needed_chi_square(pair, 8.0 * unit * smallest_effect**2, alpha=alpha, thinnest=10.0),
    )


def _divergence(pair: Histograms) -> Floats:
    p, q = pair.proportions()
    middle = 0.5 * (p + q)
    with np.errstate(invalid="ignore"):
        nats = 0.5 * (scipy.special.rel_entr(p, middle) + scipy.special.rel_entr(q, middle)).sum(axis=-1)
    # Rounding can leave a sum of -1e-17 for equal histograms, whose square root would be NaN.
    return np.where(pair.comparable, np.maximum(nats, 0.0), np.nan)


def _log(base: float) -> float:
    if not 1.0 < base < np.inf:
        raise ValueError(f"base: got {base!r}, allowed is a finite number > 1 (2 for bits, e for nats)")
    return float(np.log(base))
