"""Array types, and the checks of arguments that the functions of all families share.

Each check returns the argument as a float array or raises ValueError with its name, what was found and what is allowed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LARGEST: Final = 1e100
"""Squares and sums of values up to this size stay finite for any stream; one of 1e300 would silently blind a chart."""

_ROUNDING: Final = 1e-9
"""A difference of sums of weights leaves up to this share of them where nothing is left."""


def require_fraction(name: str, value: float) -> float:
    """`value` if it is strictly between 0 and 1: a level, a confidence.

    >>> require_fraction("alpha", 0.05)
    0.05
    """
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name}: got {value!r}, allowed is 0 < {name} < 1")
    return float(value)


def finite(name: str, values: npt.ArrayLike) -> Floats:
    """Finite numbers of any shape.

    >>> finite("score", [0.5, float("nan")])
    Traceback (most recent call last):
    ValueError: score: found nan at position 1, allowed are finite numbers of at most 1e+100 in size
    """
    array = np.asarray(values, dtype=np.float64)
    return _all(name, array, np.abs(array) <= LARGEST, f"finite numbers of at most {LARGEST:g} in size")


def nonnegative(name: str, values: npt.ArrayLike, *, largest: float = LARGEST) -> Floats:
    """Finite numbers of at least 0: counts, weights, and sums of them."""
    array = np.asarray(values, dtype=np.float64)
    return _all(name, array, (array >= 0) & (array <= largest), f"finite numbers >= 0, at most {largest:g}")


def nonnegative_squares(name: str, values: npt.ArrayLike) -> Floats:
    """Finite numbers of at least 0: variances and sums of squares of what `nonnegative` and `finite` allow."""
    return nonnegative(name, values, largest=LARGEST**2)


def fractions(name: str, values: npt.ArrayLike) -> Floats:
    """Numbers within [0, 1]: scores, shares, verdicts that are no more than likely."""
    array = np.asarray(values, dtype=np.float64)
    return _all(name, array, (array >= 0) & (array <= 1), "numbers within [0, 1]")


def binary(name: str, values: npt.ArrayLike) -> Floats:
    """Zeros and ones, or booleans."""
    array = np.asarray(values, dtype=np.float64)
    return _all(name, array, (array == 0) | (array == 1), "0 and 1")


def probabilities(name: str, values: npt.ArrayLike) -> Floats:
    """Numbers within (0, 1]: inclusion probabilities.

    >>> probabilities("inclusion_probability", [0.5, 0.0])
    Traceback (most recent call last):
    ValueError: inclusion_probability: found 0.0 at position 1, allowed are numbers within (0, 1]
    """
    array = np.asarray(values, dtype=np.float64)
    return _all(name, array, (array > 0) & (array <= 1), "numbers within (0, 1]")


def none_without(name: str, sums: Floats, there: Bools) -> None:
    """ValueError for sums other than 0 where nothing is `there` to be added up: no label, no decision.

    >>> none_without("total", np.array([2.0, 2.0]), np.array([3.0, 0.0]) > 0)
    Traceback (most recent call last):
    ValueError: total: found 2.0 at position 1, allowed are sums of 0 where there are no labels
    """
    _all(name, sums, there | (sums == 0), "sums of 0 where there are no labels")


def some_with(name: str, sums: Floats, there: Bools) -> None:
    """ValueError for sums of 0 where something is `there` that adds more than 0: weights w = 1/pi, and w^2.

    >>> some_with("square", np.array([0.0, 0.0]), np.array([0.0, 3.0]) > 0)
    Traceback (most recent call last):
    ValueError: square: found 0.0 at position 1, allowed are sums > 0 where there are labels
    """
    _all(name, sums, ~there | (sums != 0), "sums > 0 where there are labels")


def without_squares(weight: Floats, square: Floats, total: Floats) -> Bools:
    """Whether sums of weights lack their squares, which no labels do. `total` is the weight of all verdicts.

    >>> without_squares(np.array([2.0, 0.0, 1e-12]), np.zeros(3), np.array([5.0, 5.0, 5.0])).tolist()
    [True, False, False]
    """
    return np.asarray((square == 0) & (weight > _ROUNDING * total))


def single(**columns: Floats) -> list[Floats]:
    """Columns of single labels, (n,) each or one number for all, as arrays of one shape (n,).

    ValueError for tables: a column of shape (n, 1) beside one of (n,) would make n^2 labels of n.

    >>> single(violating=np.array([[1.0], [0.0]]), weight=np.array([1.0, 2.0]))
    Traceback (most recent call last):
    ValueError: violating, weight: found shapes (2, 1), (2,), allowed are (n,) and single numbers
    """
    together = np.broadcast_arrays(*columns.values())
    if together[0].ndim != 1:
        shapes = ", ".join(str(column.shape) for column in columns.values())
        raise ValueError(f"{', '.join(columns)}: found shapes {shapes}, allowed are (n,) and single numbers")
    return list(together)


def mask(name: str, values: npt.ArrayLike, size: int) -> Bools:
    """Zeros and ones, or booleans, of shape (..., size): which of `size` are meant. Places (indices) are refused.

    >>> mask("window", [2], 3)
    Traceback (most recent call last):
    ValueError: window: found 2.0 at position 0, allowed are 0 and 1
    """
    array = binary(name, values)
    if array.shape[-1:] != (size,):
        raise ValueError(f"{name}: got shape {array.shape}, allowed is (..., {size})")
    return array.astype(np.bool_)


def _all(name: str, array: Floats, usable: Bools, allowed: str) -> Floats:
    if not usable.all():
        place = tuple(int(index) for index in np.argwhere(~usable)[0])
        where = f" at position {', '.join(map(str, place))}" if place else ""
        raise ValueError(f"{name}: found {float(array[place])!r}{where}, allowed are {allowed}")
    return array
