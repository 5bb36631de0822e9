"""Confidence-based performance estimation (CBPE): precision and more from calibrated scores, without labels.

It assumes that P(violating | score) is what it was in the reference. A model whose precision falls because the world
changed keeps a good CBPE: on public loan data true precision fell from .957 to .922 and CBPE said .941. Use it as an
early flag and as the proxy of `detectors.prediction_powered`; watch it with `calibration_gap`; do not report it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats, finite, fractions, nonnegative


@dataclass(frozen=True, slots=True, eq=False)
class LabelFreeEstimate:
    """Estimates without labels, arrays of one shape, a series each; NaN where the denominator is 0.

    `precision` is NaN where nothing was actioned, `recall` where no violating item is expected, and so on.
    """

    precision: Floats
    recall: Floats
    false_positive_rate: Floats
    f1: Floats
    prevalence: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceBand:
    """Limits of a statistic as it varied between the windows of the reference."""

    lower: Floats
    upper: Floats

    def leaves(self, value: npt.ArrayLike) -> Bools:
        """Where `value` is outside. NaN is not."""
        at = np.asarray(value, dtype=np.float64)
        return (at < self.lower) | (at > self.upper)


def cbpe(probability: npt.ArrayLike, actioned: npt.ArrayLike, *, not_actioned: npt.ArrayLike) -> LabelFreeEstimate:
    """Estimate without labels: TP = sum of c over actioned, FP of 1 - c; FN and TN likewise over not actioned.

    `probability` is the calibrated c of each score bin, (bins,), or (..., bins) for series with their own; `actioned`
    and `not_actioned` (..., bins) count decisions, a series each. For single decisions give their probabilities and
    0/1. Precision = TP / (TP + FP), recall = TP / (TP + FN), false-positive rate = FP / (FP + TN), F1 = 2 TP / (2 TP +
    FP + FN), all ratios of expectations.

    Assumes that P(violating | score) is unchanged and calibrated in the region where scores are now. Misleads under
    concept drift, after a change of model or policy and, beyond the reference's scores, always.
    Source: NannyML, performance estimation (CBPE). Raises ValueError for values outside [0, 1], negative counts and
    bins that differ.

    >>> found = cbpe([0.2, 0.9], [[0, 10], [0, 0]], not_actioned=[[10, 0], [10, 0]])
    >>> found.precision.tolist(), found.recall.round(4).tolist()
    ([0.9, nan], [0.8182, 0.0])
    """
    c = fractions("probability", probability)
    acted, left = nonnegative("actioned", actioned), nonnegative("not_actioned", not_actioned)
    for name, counts in (("actioned", acted), ("not_actioned", left)):
        # One number beside several bins would count in each of them.
        if c.ndim == 0 or counts.shape[-1:] != c.shape[-1:]:
            raise ValueError(f"{name}: shape {counts.shape}, allowed is (..., bins) with probability's, {c.shape}")
    tp, fp = np.sum(acted * c, axis=-1), np.sum(acted * (1.0 - c), axis=-1)
    fn, tn = np.sum(left * c, axis=-1), np.sum(left * (1.0 - c), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return LabelFreeEstimate(
            precision=np.asarray(tp / (tp + fp)),
            recall=np.asarray(tp / (tp + fn)),
            false_positive_rate=np.asarray(fp / (fp + tn)),
            f1=np.asarray(2.0 * tp / (2.0 * tp + fp + fn)),
            prevalence=np.asarray((tp + fn) / (tp + fp + fn + tn)),
        )


def precision_sampling_error(reference_precision: npt.ArrayLike, actioned: npt.ArrayLike) -> Floats:
    """Standard error of the precision of `actioned` decisions if precision is the reference's: sqrt(p (1 - p) / n).

    It is the noise of the *true* precision of a window that size, not the error of CBPE, whose bias it does not know.
    NannyML gives n as the window's size times the share actioned in the reference. NaN where n is 0.

    >>> float(precision_sampling_error(0.95, [400]).round(5)[0])
    0.0109
    """
    p, n = fractions("reference_precision", reference_precision), nonnegative("actioned", actioned)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, np.sqrt(p * (1.0 - p) / n), np.nan)


def reference_band(values: npt.ArrayLike, *, deviations: float = 3.0) -> ReferenceBand:
    """Mean -/+ `deviations` standard deviations (ddof = 0, as NannyML) of values of the reference windows.

    `values` (..., windows): realised performance, mean distances of `principal_subspace`. The windows must have the
    size of those that are compared. With k windows the deviation is known to about 1 / sqrt(2 k) of itself, so a
    false-alarm rate cannot be read from the 3: of independent normal windows the next is outside with probability
    2 T(-deviations sqrt((k - 1) / (k + 1))), T of Student's law with k - 1 degrees of freedom, which is one in 42 for
    10 windows and one in 370 only for very many. Limits are kept within no range. Raises ValueError for fewer than two
    windows, NaN, and `deviations` that are negative or not finite.

    >>> band = reference_band([0.95, 0.96, 0.94])
    >>> float(band.lower.round(4)), float(band.upper.round(4)), bool(band.leaves(0.92))
    (0.9255, 0.9745, True)
    """
    at = finite("values", values)
    if at.ndim == 0 or at.shape[-1] < 2:
        raise ValueError(f"values: shape {at.shape}, allowed is (..., windows) with at least two windows")
    middle, reach = at.mean(axis=-1), nonnegative("deviations", deviations) * at.std(axis=-1)
    return ReferenceBand(lower=np.asarray(middle - reach), upper=np.asarray(middle + reach))
