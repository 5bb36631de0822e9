"""An interval from an Estimate alone, where its sums are no longer at hand.

Which interval when: for precision, recall, false-positive rate and prevalence from labels `rate_interval` (or
`weighted_score` on the sums), with typical weights of a longer window; for any other share `share_interval`; for
volumes `total_interval`, or the interval of the share times N where N is known: it is narrower.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, nonnegative, require_fraction
from detectors.estimation.estimate import Estimate
from detectors.estimation.stratified import StratifiedEstimate
from detectors.intervals.interval import Interval
from detectors.intervals.wilson import wilson


def share_interval(
    estimate: Estimate, *, method: Callable[..., Interval] = wilson, confidence: float = 0.95
) -> Interval:
    """A binomial interval (`wilson`, `modified_wilson`, ...) on `interval_n` labels; NaN without them.

    Raises ValueError for an estimate that is no share: `interval_n` is NaN there.

    >>> from detectors.estimation import hajek
    >>> sums = hajek([40.0, 0.0], [10.0, 0.0], square_violating=[400.0, 0.0], square_benign=[10.0, 0.0])
    >>> found = share_interval(sums)
    >>> found.lower.round(3).tolist(), found.upper.round(3).tolist()
    ([0.48, nan], [0.945, nan])
    """
    if np.isnan(estimate.interval_n).any():
        raise ValueError("interval_n: found nan, a total or a ratio of amounts; allowed are shares")
    labels = estimate.interval_n
    return method(np.where(labels > 0, estimate.estimate * labels, 0.0), labels, confidence=confidence)


def total_interval(estimate: Estimate, *, typical: npt.ArrayLike | None = None, confidence: float = 0.95) -> Interval:
    """Limits of a volume T: T + z^2 g / 2 -+ z sqrt(T g + z^2 g^2 / 4), with g = variance / T.

    These are the totals t with (T - t)^2 <= z^2 g t: a variance in proportion to the total, as of a sum over rare
    items. The limits are never negative, are the score interval of a Poisson count for g = 1, and become T -+ z SE for
    many labels. Their product is T^2, and the lower one is computed by it: where T is far below g the difference would
    have no digit left.

    `typical` is variance / total of a longer window and replaces g. Without it 95 % limits cover 90 % with five
    violating labels of unequal weight and 93 % with twenty, with it 95 %.

    NaN where the estimate is, and where nothing typical is given and the estimate is 0, or stratified with labels that
    agree in each stratum: the sums do not say how much could have been missed. It is for what is rare: of a stratified
    total of common items take the interval of their share, times N. Raises ValueError for a typical scale that is
    negative or not finite.

    >>> import numpy as np
    >>> from detectors.estimation import horvitz_thompson_total
    >>> found = total_interval(horvitz_thompson_total(300.0, 30_000.0, correction=300.0, labels=90))
    >>> float(found.lower.round(1)), float(found.upper.round(1))
    (102.5, 877.8)
    """
    z = scipy.special.ndtri(0.5 + 0.5 * require_fraction("confidence", confidence))
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.where(estimate.estimate >= 0, estimate.estimate, np.nan)
        scale = z * z * (_measured(estimate) / total if typical is None else nonnegative("typical", typical))
        half = np.sqrt(total * scale + 0.25 * scale**2)
        upper = total + 0.5 * scale + half
        # Both are 0 where the total and what is typical are.
        lower = np.where(upper == 0, 0.0, total * (total / upper))
    return Interval(lower=lower, upper=upper)


def _measured(estimate: Estimate) -> Floats:
    """The variance, NaN where it is 0 only because few labels agree."""
    if not isinstance(estimate, StratifiedEstimate):
        return estimate.variance
    return np.where((estimate.variance == 0) & ~estimate.complete, np.nan, estimate.variance)
