"""Score interval of a weighted share: the default for precision, recall, false-positive rate and prevalence.

Wilson's interval for labels whose weight goes with the verdict, as it does wherever review follows the score. What it
must know is the typical weight of either verdict, and a window with few benign labels does not know theirs: hand in
typical weights from a longer window, or coverage near a share of 0 or 1 rests on the luck of a few labels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, nonnegative, require_fraction
from detectors.intervals.interval import Interval

UNKNOWN_LABELS: Final = 0.5
"""Strength, in labels, of the mean weight of all labels as a guess at the weight of one verdict."""
TYPICAL_LABELS: Final = 20.0
"""Strength, in labels, of a typical weight from a longer window. By simulation anything from 5 on does as well."""
_PRECISION: Final = 1e-13
_STEPS: Final = 60
"""At most: Newton steps converge in five to eight, halvings of the interval in the others."""


def weighted_score(
    weight_violating: npt.ArrayLike,
    weight_benign: npt.ArrayLike,
    *,
    square_violating: npt.ArrayLike,
    square_benign: npt.ArrayLike,
    typical_violating: npt.ArrayLike | None = None,
    typical_benign: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> Interval:
    """The shares p with W (theta - p)^2 <= z^2 p (1 - p) ((1 - p) g_v + p g_b); arrays broadcast, a series each.

    W is the sum of all weights w = 1/pi, theta the weighted share of violating labels, g_v and g_b the typical weights
    sum w^2 / sum w of violating and of benign labels. The right side is z^2 times the variance of W (theta - p) if p
    were true, for Poisson sampling with any dependence of weight and verdict. With equal weights it is Wilson's.
    The four arguments are those of `detectors.estimation.hajek`: sums of w and of w^2 by verdict. For recall give the
    sums of actioned and not actioned violating labels, for the false-positive rate those of benign ones.

    `typical_violating` and `typical_benign` are sum w^2 / sum w of a longer window or of many alike segments (pool the
    sums, then divide); NaN where not known. Without them half a label of the mean weight of all labels stands in.

    Coverage of 95 % intervals of precision, .5 to .99, where review depends on score and segment, by the number of
    labels of the rarer verdict (tests/studies/coverage.py; other rates meet harsher weights and have cells outside):

    rarer labels   Wilson on Kish's n   without typical weights   with those of ten windows
    3 to 10        79.6 to 99.0 %       85.4 to 98.0 %            95.0 to 96.8 %
    10 to 50       76.4 to 99.6 %       90.1 to 96.0 %            94.6 to 96.7 %
    50 and more    78.1 to 99.6 %       93.9 to 95.7 %            94.0 to 95.8 %

    Below three labels whole counts make coverage jump, down to 89.6 %. Typical weights that have aged do little harm:
    from before a fall of precision from .99 to .95, coverage is 94 to 98 %; from before a segment lost a fifth of its
    precision, 92 to 99 %.

    It is for the share in the process that made the decisions, hence without finite population correction; it holds at
    one look only. NaN where W is 0. Exactly 0 as lower limit if no label is violating, 1 as upper if none is benign.

    Source: Wilson 1927, JASA 22, for equal weights; the null variance under Poisson sampling is that of Sarndal,
    Swensson and Wretman 1992, section 3.5. Raises ValueError for sums or weights that are negative or not finite.

    >>> equal = weighted_score([81.0], [182.0], square_violating=[81.0], square_benign=[182.0])
    >>> equal.lower.round(4).tolist(), equal.upper.round(4).tolist()
    ([0.2553], [0.3662])
    >>> few = weighted_score(400.0, 8.0, square_violating=8000.0, square_benign=16.0, typical_benign=6.0)
    >>> float(few.lower.round(3)), float(few.upper.round(3))
    (0.904, 0.996)
    """
    z = scipy.special.ndtri(0.5 + 0.5 * require_fraction("confidence", confidence))
    sums = (
        nonnegative("weight_violating", weight_violating),
        nonnegative("weight_benign", weight_benign),
        nonnegative("square_violating", square_violating),
        nonnegative("square_benign", square_benign),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_weight = (sums[2] + sums[3]) / (sums[0] + sums[1])
    violating, benign, g_violating, g_benign = np.broadcast_arrays(
        sums[0],
        sums[1],
        _typical(sums[0], sums[2], mean_weight, "typical_violating", typical_violating),
        _typical(sums[1], sums[3], mean_weight, "typical_benign", typical_benign),
    )
    total = violating + benign
    with np.errstate(invalid="ignore"):
        share = violating / total
    lower, upper = (_limit(share, end, total, g_violating, g_benign, z) for end in (0.0, 1.0))
    return Interval(lower=lower, upper=upper)


def _typical(weight: Floats, square: Floats, mean_weight: Floats, name: str, given: npt.ArrayLike | None) -> Floats:
    """Sum w^2 / sum w with some labels of the guessed weight added."""
    told = np.asarray(np.nan if given is None else given, dtype=np.float64)
    known = ~np.isnan(told)
    if np.any(known & ~((told > 0) & (told < np.inf))):
        raise ValueError(f"{name}: found a number that is no weight, allowed are finite numbers > 0 and NaN")
    guess = np.where(known, told, mean_weight)
    strength = np.where(known, TYPICAL_LABELS, UNKNOWN_LABELS)
    with np.errstate(invalid="ignore"):
        typical: Floats = (square + strength * guess**2) / (weight + strength * guess)
    return typical


def _limit(share: Floats, end: float, total: Floats, g_violating: Floats, g_benign: Floats, z: float) -> Floats:
    """The limit between `share` and `end`; NaN without labels, `end` where the share is there already."""
    limit = np.where(total > 0, end, np.nan)
    sought = (total > 0) & (share != end)  # few, in most windows
    limit[sought] = _root(share[sought], end, z * z / total[sought], g_violating[sought], g_benign[sought])
    return limit


def _root(share: Floats, end: float, k: Floats, g_violating: Floats, g_benign: Floats) -> Floats:
    """The root of (share - p)^2 - k p (1 - p) ((1 - p) g_v + p g_b), which is below 0 inside, with k = z^2 / total.

    There is one between `share` and `end`, because (share - p)^2 / variance(p) falls from `end` to `share`. Newton
    steps are kept between the points known to be inside and outside of the interval.
    """
    inside, outside = share, np.full_like(share, end)
    p = 0.5 * (inside + outside)
    for _ in range(_STEPS):
        spread = (1.0 - p) * g_violating + p * g_benign
        excess = (share - p) ** 2 - k * p * (1.0 - p) * spread
        slope = 2.0 * (p - share) - k * ((1.0 - 2.0 * p) * spread + p * (1.0 - p) * (g_benign - g_violating))
        held = excess <= 0
        inside, outside = np.where(held, p, inside), np.where(held, outside, p)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = p - excess / slope
        kept = (step - inside) * (step - outside) < 0
        following = np.where(kept, step, 0.5 * (inside + outside))
        if not np.any(np.abs(following - p) > _PRECISION):
            break
        p = following
    return p
