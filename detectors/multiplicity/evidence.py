"""Evidence about many hypotheses: the checks of p-values and e-values, and the step-up rule that BH, BY and e-BH share.

NaN is a hypothesis without evidence (a segment without labels): it is left out of its family, as if it had not been
listed, and stays NaN. That is honest only if evidence is missing for reasons that have nothing to do with its value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import LARGEST, Floats, finite, fractions


def p_values_or_nan(name: str, values: npt.ArrayLike) -> Floats:
    """P-values, numbers within [0, 1], or NaN; any shape but a single number."""
    array = _family(name, values)
    fractions(name, np.where(np.isnan(array), 0.0, array))
    return array


def e_values_or_nan(name: str, values: npt.ArrayLike) -> Floats:
    """E-values, numbers from 0 to 1e100, or NaN; any shape but a single number."""
    array = _family(name, values)
    known = finite(name, np.where(np.isnan(array), 0.0, array))
    if (known < 0).any():
        place = tuple(int(index) for index in np.argwhere(known < 0)[0])
        where = ", ".join(map(str, place))
        raise ValueError(f"{name}: found {float(known[place])!r} at position {where}, allowed are 0 to {LARGEST:g}")
    return array


def step_up(values: Floats, *, largest_first: bool = False) -> Floats:
    """At rank k of the m numbers that are not NaN, the least of m x_(j) / j over the ranks j >= k, along the last axis.

    `largest_first` ranks e-values: the largest of j x_[j] / m. Not cut off at 1. In the order of `values`.
    """
    order = np.argsort(-values if largest_first else values, axis=-1)  # NaN last
    ranked = np.take_along_axis(values, order, axis=-1)
    size = np.count_nonzero(~np.isnan(values), axis=-1, keepdims=True)
    rank = np.arange(1, values.shape[-1] + 1)
    if largest_first:
        best = np.fmax.accumulate((ranked * rank / np.maximum(size, 1))[..., ::-1], axis=-1)
    else:
        best = np.fmin.accumulate((ranked * (size / rank))[..., ::-1], axis=-1)
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, np.where(np.isnan(ranked), np.nan, best[..., ::-1]), axis=-1)
    return adjusted


def _family(name: str, values: npt.ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0:
        raise ValueError(f"{name}: got a single number, allowed is an array of shape (..., hypotheses)")
    return array
