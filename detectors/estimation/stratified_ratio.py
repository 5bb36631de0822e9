"""Ratio of two amounts in a stratified sample, from sums by stratum: violating views per view, harm per action.

Right only where all decisions of a stratum had the same chance to be reviewed, as for `stratified_mean`; for labels
with probabilities of their own take `ratio`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import finite, none_without, nonnegative, nonnegative_squares
from detectors.estimation.estimate import Reason
from detectors.estimation.ratio import require_covariance
from detectors.estimation.stratified import StratifiedEstimate, stratified_total


def stratified_ratio(
    sizes: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    numerator_squares: npt.ArrayLike,
    denominator_squares: npt.ArrayLike,
    products: npt.ArrayLike,
) -> StratifiedEstimate:
    """R = U / V of stratified totals; the variance is that of the total of u - R v, over V^2.

    The last axis is the strata, leading axes broadcast, a series each. `sizes` and `labels` are those of
    `stratified_mean`, which says what happens to thin strata. The other five are plain sums over the labels of a
    stratum, of u, v, u^2, v^2 and u v: all add up over workers and minutes. This is the combined ratio, one R for all
    strata; a mean of ratios by stratum is biased where strata are thin. R itself is biased by about R Var V / V^2: do
    not use it where V is known to no better than 20 % or so.

    EMPTY_DENOMINATOR where V is 0, the other reasons and `collapsed` as `stratified_mean`. `effective_n` is Kish's;
    `interval_n` is NaN, a ratio of amounts is no share.

    Source: Cochran 1977, Sampling Techniques, section 6.11. Raises ValueError for sums that are not finite, for a
    `denominator` below 0, negative counts, more labels than decisions, squares too small for their total, and
    products too large for their squares.

    >>> found = stratified_ratio(
    ...     [1000, 200], [4, 4], numerator=[2, 9], denominator=[8, 12], numerator_squares=[2, 23],
    ...     denominator_squares=[18, 42], products=[5, 31])
    >>> round(float(found.estimate), 4), round(float(found.variance) ** 0.5, 4)
    (0.3654, 0.083)
    """
    v = nonnegative("denominator", denominator)
    below = stratified_total(sizes, labels, total=v, squares=denominator_squares)
    above = stratified_total(sizes, labels, total=numerator, squares=numerator_squares)
    known = (above.reason == Reason.IDENTIFIED) & (below.estimate > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.where(known, above.estimate / below.estimate, np.nan)
    # Where R is missing, 0 stands in for it, so that the shapes and counts below hold for all series.
    r = np.where(known, estimate, 0.0)[..., np.newaxis]
    u, uu, vv, uv, count = (
        finite("numerator", numerator),
        nonnegative_squares("numerator_squares", numerator_squares),
        nonnegative_squares("denominator_squares", denominator_squares),
        finite("products", products),
        nonnegative("labels", labels),
    )
    none_without("products", uv, count > 0)
    require_covariance("products", uv, uu, vv)
    residual = u - r * v
    squares = uu - 2.0 * r * uv + r**2 * vv
    # Rounding may leave the squares of a nearly constant ratio a hair below what their sum needs.
    squares = np.maximum(squares, residual**2 / np.maximum(count, 1.0))
    spread = stratified_total(sizes, labels, total=residual, squares=squares)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(known, spread.variance / below.estimate**2, np.nan)
    empty = (spread.reason == Reason.IDENTIFIED) & ~known
    return StratifiedEstimate(
        estimate=estimate,
        variance=variance,
        effective_n=spread.effective_n,
        interval_n=spread.interval_n,
        reason=np.where(empty, np.uint8(Reason.EMPTY_DENOMINATOR), spread.reason).astype(np.uint8),
        collapsed=spread.collapsed,
        complete=spread.complete,
    )
