"""Isotonic calibration of scores: the non-decreasing map from score to share of violating items that fits best.

It is fitted from counts by score bin, which add up over minutes and workers, so fixed histograms are enough. It knows
nothing outside the scores it has seen: there it repeats its first or last value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, binary, finite, nonnegative, single


@dataclass(frozen=True, slots=True, eq=False)
class Calibrator:
    """A non-decreasing, piecewise linear map: `probability` at each of the increasing `score`s, constant outside."""

    score: Floats
    probability: Floats

    def __call__(self, score: npt.ArrayLike) -> Floats:
        """Calibrated probabilities for scores of any shape. Raises ValueError for NaN and infinity."""
        return np.interp(finite("score", score), self.score, self.probability)


def isotonic(score: npt.ArrayLike, violating: npt.ArrayLike, *, benign: npt.ArrayLike) -> Calibrator:
    """Fit from counts: `score` (bins,) increasing, `violating` and `benign` (bins,) counts or sums of weights 1/pi.

    Minimises sum n (c - violating / n)^2 over non-decreasing c, n = violating + benign, by pooling adjacent violators.
    Bins without labels are left out and interpolated over. With one bin for each distinct score it is the fit to the
    single labels; with wider bins a score stands for the point given for its bin. Labels drawn with unequal
    probabilities must be weighted, or the map is that of the reviewed items. A few hundred labels are a rough map.

    Source: Barlow, Bartholomew, Bremner and Brunk 1972; Zadrozny and Elkan 2002 (KDD) for calibration.
    Raises ValueError for shapes that differ, scores not increasing, negative counts and no label at all.

    >>> fitted = isotonic([0.1, 0.4, 0.6, 0.9], [1, 4, 3, 9], benign=[9, 6, 7, 1])
    >>> fitted.probability.round(3).tolist(), fitted([0.0, 0.75, 1.0]).round(3).tolist()
    ([0.1, 0.35, 0.35, 0.9], [0.1, 0.625, 0.9])
    """
    at, positive, negative = finite("score", score), nonnegative("violating", violating), nonnegative("benign", benign)
    if at.ndim != 1 or not at.shape == positive.shape == negative.shape:
        raise ValueError(
            f"score, violating, benign: shapes {at.shape}, {positive.shape}, {negative.shape}; allowed is (bins,)"
        )
    if np.any(np.diff(at) <= 0):
        raise ValueError("score: allowed are strictly increasing numbers")
    total = positive + negative
    seen = total > 0
    if not seen.any():
        raise ValueError("violating and benign: no labels, allowed is at least one")
    share = positive[seen] / total[seen]
    fitted = scipy.optimize.isotonic_regression(share, weights=total[seen]).x
    return Calibrator(score=at[seen], probability=np.clip(fitted, 0.0, 1.0))


def isotonic_from_labels(score: npt.ArrayLike, violating: npt.ArrayLike, *, weight: npt.ArrayLike = 1.0) -> Calibrator:
    """`isotonic` on single labels: `score` and `violating` (0/1) of shape (n,), `weight` = 1/pi (n,) or one number.

    >>> isotonic_from_labels([0.2, 0.8, 0.2], [0, 1, 1]).probability.tolist()
    [0.5, 1.0]
    """
    at, y, w = single(
        score=finite("score", score),
        violating=binary("violating", violating),
        weight=nonnegative("weight", weight),
    )
    points, place = np.unique(at, return_inverse=True)
    positive = np.bincount(place, weights=w * y, minlength=points.size)
    negative = np.bincount(place, weights=w * (1.0 - y), minlength=points.size)
    return isotonic(points, positive, benign=negative)
