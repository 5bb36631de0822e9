"""Benjamini-Yekutieli: the false discovery rate among many p-values, whatever their dependence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats
from detectors.multiplicity.evidence import p_values_or_nan, step_up


def benjamini_yekutieli(p_values: npt.ArrayLike) -> Floats:
    """Adjusted p-values: rejecting all that are at most alpha keeps the false discovery rate at alpha.

    Those of `benjamini_hochberg` times 1 + 1/2 + ... + 1/m, at most 1. `p_values` has shape (..., hypotheses), a family
    each; NaN is a hypothesis without evidence, does not count in m and stays NaN.

    Assumes nothing of the dependence: right for segments by policy, region and language that share their data, in any
    mix of one- and two-sided tests. The price is power: 500 hypotheses are tested at alpha / 6.8. As with any p-values,
    one look: repeated looks are not covered.

    Source: Benjamini and Yekutieli 2001, Annals of Statistics 29:1165-1188, theorem 1.3. Raises ValueError for numbers
    outside [0, 1] and for a single number.

    >>> benjamini_yekutieli([0.001, 0.02, 0.03, 0.8, float("nan")]).round(4).tolist()
    [0.0083, 0.0833, 0.0833, 1.0, nan]
    """
    p = p_values_or_nan("p_values", p_values)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, p.shape[-1] + 1))])
    size = np.count_nonzero(~np.isnan(p), axis=-1, keepdims=True)
    return np.asarray(np.minimum(step_up(p) * harmonic[size], 1.0), dtype=np.float64)
