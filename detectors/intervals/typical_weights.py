"""Typical weights of labels by verdict, from sums of a longer window: what `weighted_score` is to be told.

Few labels do not know what a label of their verdict weighs. Where reviews are drawn with unequal probabilities, some
labels weigh a hundred times what others do, and the few heavy ones may all have one verdict: the plain sum w^2 / sum w
of the other is then far too small, and an interval that trusts it far too narrow.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative, nonnegative_squares

ASSUMED_LABELS: Final = 2.0
"""Strength, in labels, of the mean weight of all labels as a guess at the weight of one verdict. By simulation 1 is too
little where ten labels carry all weight; 2 costs a tenth of the width where they are known."""


def shrunk_weight(weight: Floats, square: Floats, *, guess: Floats, labels: Floats | float) -> Floats:
    """sum w^2 / sum w, what a label weighs, after so many `labels` of the weight `guess` were added.

    >>> shrunk_weight(np.array(6.0), np.array(20.0), guess=np.array(5.0), labels=2.0).item()
    4.375
    """
    found: Floats = (square + labels * guess**2) / (weight + labels * guess)
    return found


class TypicalWeights(NamedTuple):
    """Weights of a violating and of a benign label, of the shape of the sums; NaN without any label."""

    violating: Floats
    benign: Floats


def typical_weights(
    weight_violating: npt.ArrayLike,
    weight_benign: npt.ArrayLike,
    *,
    square_violating: npt.ArrayLike,
    square_benign: npt.ArrayLike,
) -> TypicalWeights:
    """(sum w^2 + k g^2) / (sum w + k g) of either verdict, g the same ratio of all labels and k two labels.

    Arguments as of `weighted_score`; arrays broadcast, a series each. The window may contain the one that is judged, or
    be that one: 95 % intervals told of their own weights cover 93 to 99 % where ten to sixty labels of a hundred times
    or twenty times the weight stand beside fifty to a thousand of weight one, and 65 to 83 % if told of the plain ratio
    (tests/detectors/intervals/test_typical_weights.py). Ours. Raises ValueError for sums that are negative or not
    finite.

    >>> found = typical_weights(1000.0, 10.0, square_violating=91_000.0, square_benign=10.0)
    >>> found.violating.round(1).tolist(), found.benign.round(1).tolist()
    (90.9, 85.4)
    """
    sums = (
        nonnegative("weight_violating", weight_violating),
        nonnegative("weight_benign", weight_benign),
        nonnegative_squares("square_violating", square_violating),
        nonnegative_squares("square_benign", square_benign),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (sums[2] + sums[3]) / (sums[0] + sums[1])
        found = [
            shrunk_weight(weight, square, guess=mean, labels=ASSUMED_LABELS)
            for weight, square in ((sums[0], sums[2]), (sums[1], sums[3]))
        ]
    # Damaged sums may hold weights without squares; what is no weight is not known.
    violating, benign = (np.where((told > 0) & np.isfinite(told), told, np.nan) for told in found)
    return TypicalWeights(violating, benign)
