"""Where a function that only rises meets a value: by halving, which finds it however far away it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats

HALVINGS = 60
"""Down to the last bit of a double within ranges of some hundreds."""


def halved(below: Callable[[Floats], Bools], reach: npt.ArrayLike) -> Floats:
    """The largest x found within -/+ `reach` at which the function is still below the value, element by element.

    >>> round(float(halved(lambda x: x**3 < 8.0, 40.0)), 12)
    2.0
    """
    high = np.asarray(reach, dtype=np.float64)
    low = -high
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        less = below(middle)
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return low
