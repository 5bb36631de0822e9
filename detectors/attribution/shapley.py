"""Shapley values of a function of few switches: how much each switch adds, averaged over all orders of switching."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats


def shapley(values: npt.ArrayLike) -> Floats:
    """`values` (2^k, ...): entry S is the result with the switches of S on, bit i of S for switch i. Returns (k, ...).

    phi_i = sum over S without i of |S|! (k - |S| - 1)! / k! (v(S + i) - v(S)). They add up to v(all) - v(none), up to
    rounding. With switches that set a factor of a rate from one population's to another's this is Das Gupta's
    decomposition (1993, equation 3.54). The cost is 2^k evaluations: for up to a dozen factors.

    Sources: Shapley 1953; with distributions as switches, Budhathoki et al. 2021, Zhang et al. 2023 (arXiv 2210.10769).
    Raises ValueError if the length is no power of two.

    >>> shapley([0.0, 2.0, 3.0, 6.0]).tolist()
    [2.5, 3.5]
    """
    table = np.asarray(values, dtype=np.float64)
    switches = max(table.shape[0].bit_length() - 1, 0) if table.ndim else 0
    if table.ndim == 0 or table.shape[0] != 1 << switches:
        raise ValueError(f"values: shape {table.shape}, allowed is (2^k, ...)")
    subsets = np.arange(1 << switches)
    size = np.array([int(subset).bit_count() for subset in subsets])
    weight = [math.factorial(s) * math.factorial(switches - s - 1) / math.factorial(switches) for s in range(switches)]
    found = np.empty((switches, *table.shape[1:]))
    for switch in range(switches):
        without = subsets[(subsets >> switch) & 1 == 0]
        gain = table[without | (1 << switch)] - table[without]
        found[switch] = np.tensordot(np.array(weight)[size[without]], gain, axes=1)
    return found
