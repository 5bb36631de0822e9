"""Score interval of a weighted share: the default for precision, recall, false-positive rate and prevalence.

For labels whose weight goes with the verdict, as it does wherever review follows the score. What it must know is the
typical weight of either verdict, and a window with few benign labels does not know theirs: hand in typical weights from
a longer window, or coverage near a share of 0 or 1 rests on the luck of a few labels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative, nonnegative_squares, without_squares
from detectors.intervals.interval import Interval
from detectors.intervals.modified_wilson import modified_wilson
from detectors.intervals.typical_weights import shrunk_weight

UNKNOWN_LABELS: Final = 0.5
"""Strength, in labels, of the mean weight of all labels as a guess at the weight of one verdict."""
TYPICAL_LABELS: Final = 20.0
"""Strength, in labels, of a typical weight from a longer window. By simulation 100 does as well, below 5 too little."""


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
    """Limits of a weighted share: `modified_wilson` on counts of typical labels of either verdict, made shares again.

    With A and B the sums of the weights w = 1/pi of violating and of benign labels, and g_v and g_b their typical
    weights sum w^2 / sum w, it is the interval of q for X = A / g_v successes in X + B / g_b labels, and each limit is
    given as p = q g_v / (q g_v + (1 - q) g_b). Why: a weighted sum of Poisson counts has the mean and the variance of g
    times one Poisson count; of two Poisson counts with a known sum one is binomial. So it holds for Poisson sampling
    with any dependence of weight and verdict, and for equal weights it is the binomial interval. The four arguments are
    those of `detectors.estimation.hajek`: sums of w and of w^2 by verdict; arrays broadcast, a series each. For recall
    give the sums of actioned and not actioned violating labels, for the false-positive rate those of benign ones.

    `typical_violating` and `typical_benign` are sum w^2 / sum w of a longer window or of many alike segments (pool the
    sums, then divide); NaN where not known. Without them half a label of the mean weight of all labels stands in.

    Coverage of 95 % intervals of precision, .5 to .99, where review depends on score and segment, by the number of
    labels of the rarer verdict (tests/studies/coverage.py; README.md of this library on the other rates):

    rarer labels   Wilson on Kish's n   without typical weights   with those of ten windows
    below 3        88.8 to 98.5 %       95.8 to 99.4 %            95.5 to 98.4 %
    3 to 10        79.6 to 99.0 %       86.4 to 98.6 %            95.8 to 96.9 %
    10 to 50       76.4 to 99.6 %       90.1 to 96.0 %            94.6 to 96.7 %
    50 and more    78.1 to 99.6 %       94.0 to 95.7 %            94.0 to 95.8 %

    Typical weights that have aged do little harm: from before a fall of precision from .99 to .95, coverage is 94 to 97
    %; from before a segment lost a fifth of its precision, 90 to 99 %.

    It is for the share in the process that made the decisions, hence without finite population correction; it holds at
    one look only. NaN where there are no labels, or weights without squares. Exactly 0 as lower limit if no label is
    violating, 1 as upper if none is benign.

    Source: Brown, Cai and DasGupta 2001, Statistical Science 16, for equal weights; one scaled Poisson count for a
    weighted sum as in Fay and Feuer 1997, Statistics in Medicine 16. Raises ValueError for sums or weights that are
    negative or not finite.

    >>> equal = weighted_score([81.0], [182.0], square_violating=[81.0], square_benign=[182.0])
    >>> equal.lower.round(4).tolist(), equal.upper.round(4).tolist()
    ([0.2553], [0.3662])
    >>> few = weighted_score(400.0, 8.0, square_violating=8000.0, square_benign=16.0, typical_benign=6.0)
    >>> float(few.lower.round(3)), float(few.upper.round(3))
    (0.913, 0.998)
    """
    sums = (
        nonnegative("weight_violating", weight_violating),
        nonnegative("weight_benign", weight_benign),
        nonnegative_squares("square_violating", square_violating),
        nonnegative_squares("square_benign", square_benign),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_weight = (sums[2] + sums[3]) / (sums[0] + sums[1])
        g_violating = _typical(sums[0], sums[2], mean_weight, "typical_violating", typical_violating)
        g_benign = _typical(sums[1], sums[3], mean_weight, "typical_benign", typical_benign)
        violating, benign = sums[0] / g_violating, sums[1] / g_benign
        ratio = g_benign / g_violating
        labels = violating + benign
    total = sums[0] + sums[1]
    impossible = without_squares(sums[0], sums[2], total) | without_squares(sums[1], sums[3], total)
    known = (labels > 0) & (labels < np.inf) & ~impossible
    limits = modified_wilson(np.where(known, violating, 0.0), np.where(known, labels, 0.0), confidence=confidence)
    return Interval(lower=_share(limits.lower, ratio), upper=_share(limits.upper, ratio))


def _share(of_labels: Floats, ratio: Floats) -> Floats:
    """The share of weight from the share of labels, where a benign label weighs `ratio` violating ones."""
    share: Floats = of_labels / (of_labels + (1.0 - of_labels) * ratio)
    return share


def _typical(weight: Floats, square: Floats, mean_weight: Floats, name: str, given: npt.ArrayLike | None) -> Floats:
    """Sum w^2 / sum w with some labels of the guessed weight added."""
    told = np.asarray(np.nan if given is None else given, dtype=np.float64)
    known = ~np.isnan(told)
    if np.any(known & ~((told > 0) & (told < np.inf))):
        raise ValueError(f"{name}: found a number that is no weight, allowed are finite numbers > 0 and NaN")
    guess = np.where(known, told, mean_weight)
    strength = np.where(known, TYPICAL_LABELS, UNKNOWN_LABELS)
    with np.errstate(invalid="ignore"):
        return shrunk_weight(weight, square, guess=guess, labels=strength)
