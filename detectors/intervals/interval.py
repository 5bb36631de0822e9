"""A confidence interval of a proportion, and the reading of the counts that all methods share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats

# Rounding of k = n * estimate may leave k outside [0, n] by a few units in the last place; more is a caller's error.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """Lower and upper confidence limits, arrays of one shape; NaN where there are no observations."""

    lower: Floats
    upper: Floats

    def where(self, known: Bools) -> Interval:
        """The same limits, NaN where not `known`.

        >>> both = Interval(lower=np.array([0.0, 0.0]), upper=np.array([0.5, 1.0]))
        >>> both.where(np.array([True, False])).upper.tolist()
        [0.5, nan]
        """
        return Interval(lower=np.where(known, self.lower, np.nan), upper=np.where(known, self.upper, np.nan))


def counts(successes: npt.ArrayLike, observations: npt.ArrayLike) -> tuple[Floats, Floats]:
    """k and n as float arrays of one shape; NaN passes.

    Raises ValueError for n < 0 or infinite and for k outside [0, n].

    >>> counts(3, [10, 20])[0].tolist()
    [3.0, 3.0]
    """
    k, n = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(observations, dtype=np.float64))
    if np.any((n < 0) | np.isinf(n)):
        raise ValueError("observations: found a negative or infinite number, allowed are finite numbers >= 0")
    if np.any((k < -_ROUNDING) | (k > n * (1.0 + _ROUNDING) + _ROUNDING)):
        raise ValueError("successes: found a number outside [0, observations]")
    return k, n
