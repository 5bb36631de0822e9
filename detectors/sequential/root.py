"""The root of an increasing function, found for all elements of an array at once by halving."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detectors.arrays import Floats


def increasing_root(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """x between `low` and `high` with function(x) = 0, to 2^-60 of the bracket; the nearer end if no sign changes.

    >>> increasing_root(lambda x: x**2 - np.array([2.0, 9.0]), np.zeros(2), np.full(2, 4.0)).round(6).tolist()
    [1.414214, 3.0]
    """
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = function(middle) < 0.0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def unbounded_root(function: Callable[[Floats], Floats], start: Floats) -> Floats:
    """As `increasing_root` above 0, with `start` doubled until it is beyond the root (at most 60 times).

    >>> unbounded_root(lambda x: x - 100.0, np.ones(1)).round(6).tolist()
    [100.0]
    """
    high = start
    for _ in range(60):
        below = function(high) < 0.0
        if not below.any():
            break
        high = np.where(below, 2.0 * high, high)
    return increasing_root(function, np.zeros_like(high), high)
