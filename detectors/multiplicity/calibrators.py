"""Between p-values and e-values: what one kind of evidence is worth in the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import LARGEST, Floats, require_fraction
from detectors.multiplicity.evidence import e_values_or_nan, p_values_or_nan


def p_to_e(p_values: npt.ArrayLike, *, kappa: float = 0.5) -> Floats:
    """E-values kappa p^(kappa - 1) of p-values, of any shape but a single number; NaN stays NaN.

    An e-value by any `kappa` in (0, 1), chosen before the data are seen, because its integral over [0, 1] is 1. The
    exchange costs: p = .01 is worth 5, p = .0001 50. Use it to merge tests that come as p-values with e-processes, or
    to test dependent p-values with `e_bh`, not where an e-value can be had directly. It does not heal a p-value that
    was looked at until it was small. At most 1e100, the most that `e_bh` takes: less evidence is still an e-value.

    Source: Vovk and Wang 2021, Annals of Statistics 49:1736-1754, equation 1. Raises ValueError for numbers outside
    [0, 1] and a `kappa` outside (0, 1).

    >>> p_to_e([0.01, 0.25, 1.0]).round(6).tolist()
    [5.0, 1.0, 0.5]
    """
    require_fraction("kappa", kappa)
    p = p_values_or_nan("p_values", p_values)
    with np.errstate(divide="ignore"):
        return np.minimum(kappa * p ** (kappa - 1.0), LARGEST)


def e_to_p(e_values: npt.ArrayLike) -> Floats:
    """P-values min(1, 1 / e) of e-values, of any shape but a single number; NaN stays NaN.

    By Markov's inequality, the only admissible way. For an e-process, 1 / max over time is a p-value at any time.

    Source: Vovk and Wang 2021, Annals of Statistics 49:1736-1754, proposition 2.2. Raises ValueError for negative
    numbers and for those above 1e100.

    >>> e_to_p([20.0, 0.5]).tolist()
    [0.05, 1.0]
    """
    return 1.0 / np.maximum(e_values_or_nan("e_values", e_values), 1.0)
