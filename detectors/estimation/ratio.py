"""Ratio of two estimated totals with linearised variance: views a violating item gets, harm an action saves.

Recall, precision and false-positive rate are ratios too, but shares: `detectors.estimation.confusion` has them, with
intervals that hold near 0 and 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, finite, none_without, nonnegative, nonnegative_squares, probabilities, single
from detectors.estimation.estimate import Estimate, Reason, reasons


def ratio(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    *,
    numerator_variance: npt.ArrayLike,
    denominator_variance: npt.ArrayLike,
    covariance: npt.ArrayLike,
    labels: npt.ArrayLike,
) -> Estimate:
    """R = U / V, variance (Var U - 2 R Cov + R^2 Var V) / V^2, from two estimated totals; arrays broadcast.

    The totals and their variances may come from any design; all five add up over independent parts (workers, minutes,
    strata). For Poisson sampling they are sums over labels: U = sum w u, V = sum w v, Var U = sum (w^2 - w) u^2,
    Var V = sum (w^2 - w) v^2, Cov = sum (w^2 - w) u v. `labels` is their number. The variance is that of the residual
    u - R v; it is too small, and R biased by about R Var V / V^2, where V is known to no better than 20 % or so.
    EMPTY_DENOMINATOR where V is 0. `effective_n` is V^2 / Var V, infinite where V is exact; `interval_n` is NaN.

    Source: Sarndal, Swensson and Wretman 1992, section 5.6. Raises ValueError for numbers that are not finite, for
    variances, denominators or labels below 0, for a covariance too large for its variances and for totals without
    labels.

    >>> found = ratio(30.0, 120.0, numerator_variance=25.0, denominator_variance=100.0, covariance=40.0, labels=60)
    >>> float(found.estimate), round(float(found.variance), 6)
    (0.25, 0.000781)
    """
    u, v, var_u, var_v, cov, count = np.broadcast_arrays(
        finite("numerator", numerator),
        nonnegative("denominator", denominator),
        nonnegative_squares("numerator_variance", numerator_variance),
        nonnegative_squares("denominator_variance", denominator_variance),
        finite("covariance", covariance),
        nonnegative("labels", labels),
    )
    for name, sums in (("numerator", u), ("denominator", v)):
        none_without(name, sums, count > 0)
    require_covariance("covariance", cov, var_u, var_v)
    reason = reasons((count == 0, Reason.NO_LABELS), (v == 0, Reason.EMPTY_DENOMINATOR))
    known = reason == Reason.IDENTIFIED
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = u / v
        # Rounding may leave the variance of a nearly constant ratio a hair below zero.
        variance = np.maximum(var_u - 2.0 * estimate * cov + estimate**2 * var_v, 0.0) / v**2
        effective = np.where(known, v**2 / var_v, 0.0)
    return Estimate(
        estimate=np.where(known, estimate, np.nan),
        variance=np.where(known, variance, np.nan),
        effective_n=effective,
        interval_n=np.full(u.shape, np.nan),
        reason=reason,
    )


def ratio_from_labels(
    numerator: npt.ArrayLike, denominator: npt.ArrayLike, inclusion_probability: npt.ArrayLike
) -> Estimate:
    """`ratio` under Poisson sampling from single labels: u and v (n,), v >= 0, `inclusion_probability` in (0, 1].

    >>> found = ratio_from_labels([2.0, 0.0, 6.0], [1.0, 1.0, 2.0], [0.5, 0.5, 0.25])
    >>> round(float(found.estimate), 4), round(float(found.variance), 4)
    (2.3333, 0.2253)
    """
    u, v, pi = single(
        numerator=finite("numerator", numerator),
        denominator=nonnegative("denominator", denominator),
        inclusion_probability=probabilities("inclusion_probability", inclusion_probability),
    )
    spread = (1.0 - pi) / pi**2
    found = ratio(
        np.sum(u / pi),
        np.sum(v / pi),
        numerator_variance=np.sum(spread * u**2),
        denominator_variance=np.sum(spread * v**2),
        covariance=np.sum(spread * u * v),
        labels=u.size,
    )
    # The residuals themselves: of a ratio that hardly varies the three sums leave no digit.
    variance = np.sum(spread * (u - found.estimate * v) ** 2) / np.sum(v / pi) ** 2 if u.size else np.nan
    return replace(found, variance=np.asarray(variance))


def require_covariance(name: str, covariance: Floats, first: Floats, second: Floats) -> None:
    """ValueError unless |covariance| <= sqrt(first second), as for any two variances or sums of squares.

    >>> require_covariance("covariance", np.array(2.0), np.array(1.0), np.array(1.0))
    Traceback (most recent call last):
    ValueError: covariance: found 2.0, allowed is at most 1.0 in size, the root of both variances
    """
    most = np.sqrt(first) * np.sqrt(second)
    # The squares of numbers below 1e-154 are 0.
    wrong = np.abs(covariance) > most * (1.0 + 1e-9) + 1e-150 * (1.0 + np.sqrt(first) + np.sqrt(second))
    if np.any(wrong):
        found, allowed = (float(np.broadcast_to(part, wrong.shape)[wrong][0]) for part in (covariance, most))
        raise ValueError(f"{name}: found {found!r}, allowed is at most {allowed!r} in size, the root of both variances")
