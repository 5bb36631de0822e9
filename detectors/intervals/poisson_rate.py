"""The rate of rare events, with an exact interval that also speaks when none came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, nonnegative, require_fraction


@dataclass(frozen=True, slots=True, eq=False)
class PoissonRate:
    """Events per unit of exposure with two-sided limits, and the mean exposure between events.

    Arrays of one shape. `mean_between` is NaN where no event came: the gap has not been seen. `mean_between_lower`,
    its one-sided lower limit, is there then too. All are NaN where there was no exposure.
    """

    rate: Floats
    lower: Floats
    upper: Floats
    mean_between: Floats
    mean_between_lower: Floats


def poisson_rate(events: npt.ArrayLike, exposure: npt.ArrayLike, *, confidence: float = 0.95) -> PoissonRate:
    """Rate k / E of k events in the exposure E (observations, hours), limits by Garwood 1936, Biometrika 28.

    Lower = G(k, (1 - confidence) / 2) / E, upper = G(k + 1, (1 + confidence) / 2) / E, where G(a, q) is the q-quantile
    of the gamma distribution of shape a; the limit of the mean gap is E / G(k + 1, confidence), one-sided: with no
    event in E observations, fewer than one in E / 3.00 at 95 %. Inputs broadcast.

    It takes events that come one by one, at a steady rate and independently: episodes do, single alarms of a detector
    that stays in alarm do not, and the limits are then far too narrow. Events of series that share their traffic too.

    Raises ValueError for negative or infinite numbers and for a confidence outside (0, 1).

    >>> found = poisson_rate([0, 10], 500_000)
    >>> [round(x) for x in found.mean_between_lower.tolist()], found.mean_between.tolist()
    ([166904, 29477], [nan, 50000.0])
    """
    require_fraction("confidence", confidence)
    k, e = np.broadcast_arrays(nonnegative("events", events), nonnegative("exposure", exposure))
    below, above = 0.5 * (1.0 - confidence), 0.5 * (1.0 + confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = np.where(k > 0, scipy.special.gammaincinv(np.maximum(k, 1e-300), below), 0.0) / e
        upper = scipy.special.gammaincinv(k + 1.0, above) / e
        found = (
            k / e,
            lower,
            upper,
            e / np.where(k > 0, k, np.nan),
            e / scipy.special.gammaincinv(k + 1.0, confidence),
        )
    return PoissonRate(*(np.where(e > 0, values, np.nan) for values in found))
