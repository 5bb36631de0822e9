"""True share of violating items from the share that imperfect reviewers call violating (Rogan and Gladen).

An estimate outside [0, 1] is returned as it is and marked: it says that the error rates do not fit these reviews.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Ints, fractions, nonnegative
from detectors.feedback.reason import Reason


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedShare:
    """Corrected share, delta-method variance and mapped limits, arrays of one shape; `reason` holds `Reason` values."""

    estimate: Floats
    variance: Floats
    lower: Floats
    upper: Floats
    reason: Ints


def rogan_gladen(
    flagged_share: npt.ArrayLike,
    *,
    sensitivity: npt.ArrayLike,
    specificity: npt.ArrayLike,
    variance: npt.ArrayLike,
    lower: npt.ArrayLike = np.nan,
    upper: npt.ArrayLike = np.nan,
    sensitivity_variance: npt.ArrayLike = 0.0,
    specificity_variance: npt.ArrayLike = 0.0,
    least_discrimination: float = 0.1,
) -> CorrectedShare:
    """p = (q + Sp - 1) / J with J = Se + Sp - 1; Var p = (Var q + p^2 Var Se + (1 - p)^2 Var Sp) / J^2.

    `flagged_share` q with its `variance` may be a weighted estimate; `lower` and `upper`, an interval of q (Wilson on
    an effective n), are mapped by the same line, which treats Se and Sp as known: with uncertain ones use the variance.
    Se and Sp come from golden items judged by the same people under the same policy version. All broadcast. For NaN q
    the reason is NO_DATA; for J below `least_discrimination` everything is NaN, NOT_IDENTIFIED. An estimate outside
    [0, 1] stays as it is, OUT_OF_RANGE.

    Source: Rogan and Gladen 1978 (Am. J. Epidemiology 107).
    Raises ValueError for rates outside [0, 1] and variances < 0.

    >>> found = rogan_gladen([0.3, 6 / 151], sensitivity=[0.96, 0.964], specificity=[0.89, 0.927], variance=0.0014)
    >>> found.estimate.round(6).tolist(), [Reason(code).name for code in found.reason]
    ([0.223529, -0.037334], ['VALID', 'OUT_OF_RANGE'])
    """
    se, sp = fractions("sensitivity", sensitivity), fractions("specificity", specificity)
    var_se = nonnegative("sensitivity_variance", sensitivity_variance)
    var_sp = nonnegative("specificity_variance", specificity_variance)
    raw = [np.asarray(value, dtype=np.float64) for value in (flagged_share, variance, lower, upper)]
    for name, value in zip(("flagged_share", "variance", "lower", "upper"), raw, strict=True):
        if np.any((value < 0) | (value > 1)):
            raise ValueError(f"{name}: found a number outside [0, 1]; allowed are numbers within it, or NaN")
    if not 0.0 < least_discrimination <= 1.0:
        raise ValueError(f"least_discrimination: got {least_discrimination!r}, allowed is 0 < it <= 1")
    q, var_q, low, high, se, sp, var_se, var_sp = np.broadcast_arrays(*raw, se, sp, var_se, var_sp)
    discrimination = se + sp - 1.0
    # 1e-12: sums such as .6 + .5 - 1 round to just below .1.
    usable = np.where(discrimination >= least_discrimination - 1e-12, discrimination, np.nan)
    p = (q + sp - 1.0) / usable
    reason = np.where((p < 0) | (p > 1), Reason.OUT_OF_RANGE, Reason.VALID)
    reason = np.where(np.isnan(q), Reason.NO_DATA, reason)
    reason = np.where(np.isnan(usable), Reason.NOT_IDENTIFIED, reason)
    return CorrectedShare(
        estimate=p,
        variance=(var_q + p**2 * var_se + (1.0 - p) ** 2 * var_sp) / usable**2,
        lower=(low + sp - 1.0) / usable,
        upper=(high + sp - 1.0) / usable,
        reason=reason.astype(np.int64),
    )
