"""Benjamini-Hochberg: the false discovery rate among many p-values that are independent or positively dependent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats
from detectors.multiplicity.evidence import p_values_or_nan, step_up


def benjamini_hochberg(p_values: npt.ArrayLike) -> Floats:
    """Adjusted p-values: rejecting all that are at most alpha keeps the false discovery rate at alpha.

    The rule is to reject the k smallest p-values, k the largest with p_(k) <= alpha k / m; the adjusted value is the
    smallest alpha at which that rejects, min over j >= k of m p_(j) / j, and at most 1. `p_values` has shape
    (..., hypotheses), a family each; NaN is a hypothesis without evidence, does not count in m and stays NaN.

    Assumes p-values that are independent, or positively dependent on the true nulls (PRDS), as one-sided tests of
    segments that share data are. Under the worst dependence the rate is alpha (1 + 1/2 + ... + 1/m); two-sided tests of
    segments by policy, region and language, which no theorem covers, stayed below alpha in simulation. It misleads when
    run again every minute: each look is a new family, and looking until something is rejected is not covered (for that
    take e-values that hold at any time, and `e_bh`). The rate is an average over families: a week with one false
    discovery and nothing else counts as fully false.

    Source: Benjamini and Hochberg 1995, JRSS B 57:289-300; dependence: Benjamini and Yekutieli 2001, Annals of
    Statistics 29:1165-1188, theorem 1.2. Raises ValueError for numbers outside [0, 1] and for a single number.

    >>> benjamini_hochberg([0.001, 0.02, 0.03, 0.8, float("nan")]).round(4).tolist()
    [0.004, 0.04, 0.04, 0.8, nan]
    """
    return np.minimum(step_up(p_values_or_nan("p_values", p_values)), 1.0)
