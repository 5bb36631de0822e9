"""The gap between precision estimated without labels and audited precision: when CBPE must not be used.

Without a gap nothing is proved: few audits leave a wide interval. `least_visible` says what gap could be seen at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Bools, Floats, require_fraction


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationGap:
    """Label-free minus audited precision with its interval; NaN, and `significant` false, where either is unknown.

    `least_visible` is the size of a gap that would be significant with a chance of one half: above a gap that would
    matter, the audits are too few to vouch for the estimate.
    """

    gap: Floats
    lower: Floats
    upper: Floats
    significant: Bools
    least_visible: Floats


def calibration_gap(
    estimated: npt.ArrayLike, audited: npt.ArrayLike, *, audited_variance: npt.ArrayLike, confidence: float = 0.95
) -> CalibrationGap:
    """gap = estimated - audited, interval gap -/+ z sqrt(audited_variance); significant where it excludes 0.

    Arrays that broadcast, a series each: the label-free estimate, the audited one (Hajek) of the *same* decisions and
    its variance. Give theta (1 - theta) / interval_n for that variance: the plug-in one is 0 where all labels agree,
    and such a gap is not judged here (NaN limits). The calibrator's own error is not in it: with a reference much
    larger than the audit it is small. A positive gap is the dangerous one: the estimate flatters. For one look;
    a rule that looks every minute needs a confidence sequence. Source: normal approximation of a difference.

    Raises ValueError for values outside [0, 1], negative variance and confidence outside (0, 1); NaN is allowed.

    >>> found = calibration_gap([0.95, 0.95], [0.90, 0.94], audited_variance=[1e-4, 1e-4])
    >>> found.gap.round(3).tolist(), found.significant.tolist(), found.least_visible.round(4).tolist()
    ([0.05, 0.01], [True, False], [0.0196, 0.0196])
    """
    require_fraction("confidence", confidence)
    inputs = (("estimated", estimated), ("audited", audited), ("audited_variance", audited_variance))
    arrays = [np.asarray(value, dtype=np.float64) for _, value in inputs]
    for (name, _), array in zip(inputs, arrays, strict=True):
        if np.any((array < 0) | (array > 1)):
            raise ValueError(f"{name}: found a number outside [0, 1]; allowed are numbers within it, or NaN")
    left, right, variance = np.broadcast_arrays(*arrays)
    gap = left - right
    half = scipy.special.ndtri(0.5 + 0.5 * confidence) * np.sqrt(np.where(variance > 0, variance, np.nan))
    lower, upper = gap - half, gap + half
    return CalibrationGap(
        gap=gap, lower=lower, upper=upper, significant=(lower > 0) | (upper < 0), least_visible=half + 0.0 * gap
    )
