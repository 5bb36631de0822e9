"""Mergeable sums of weighted labels by action and verdict: what every rate of decisions is estimated from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, binary, nonnegative, probabilities, single, some_with


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionSums:
    """Sums over labels, arrays of shape (..., 2, 2): [not actioned, actioned] by [benign, violating].

    With w = 1/pi and v = 1, or the views of the item: `weight` = sum w v, `square` = sum (w v)^2, and
    `correction` = sum w v^2, which is `weight` where v is 1. Sums of disjoint labels add with `+`. ValueError for sums
    that are negative or not finite, and for a weight without its square.
    """

    weight: Floats
    square: Floats
    correction: Floats

    def __add__(self, other: ConfusionSums) -> ConfusionSums:
        return ConfusionSums(self.weight + other.weight, self.square + other.square, self.correction + other.correction)

    def __post_init__(self) -> None:
        for name in ("weight", "square", "correction"):
            array = nonnegative(name, getattr(self, name))
            if array.shape[-2:] != (2, 2):
                raise ValueError(f"{name}: got shape {array.shape}, allowed is (..., 2, 2)")
            object.__setattr__(self, name, array)
        some_with("square", *np.broadcast_arrays(self.square, self.weight > 0))


def confusion_from_labels(
    actioned: npt.ArrayLike,
    violating: npt.ArrayLike,
    inclusion_probability: npt.ArrayLike,
    *,
    exposure: npt.ArrayLike = 1.0,
) -> ConfusionSums:
    """Sums of single labels (n,): 0/1 or bool, probabilities in (0, 1]; `exposure` (views) >= 0 makes every rate one of
    views: prevalence is then the violative view rate.

    >>> sums = confusion_from_labels([1, 1, 0], [1, 0, 1], [0.5, 1.0, 0.1])
    >>> sums.weight.tolist()
    [[0.0, 10.0], [1.0, 2.0]]
    """
    a, y, pi, v = single(
        actioned=binary("actioned", actioned),
        violating=binary("violating", violating),
        inclusion_probability=probabilities("inclusion_probability", inclusion_probability),
        exposure=nonnegative("exposure", exposure),
    )
    cell = (2 * a + y).astype(np.int64)
    return ConfusionSums(*(_cells(cell, part) for part in (v / pi, (v / pi) ** 2, v**2 / pi)))


def _cells(cell: npt.NDArray[np.int64], values: Floats) -> Floats:
    return np.bincount(cell, weights=values, minlength=4).reshape(2, 2).astype(np.float64)
