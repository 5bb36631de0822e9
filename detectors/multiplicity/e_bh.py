"""e-BH: the false discovery rate among many e-values, whatever their dependence."""

from __future__ import annotations

import numpy.typing as npt

from detectors.arrays import Floats
from detectors.multiplicity.evidence import e_values_or_nan, step_up


def e_bh(e_values: npt.ArrayLike) -> Floats:
    """Adjusted e-values: rejecting all that are at least 1 / alpha keeps the false discovery rate at alpha.

    The rule is to reject the k largest e-values, k the largest with k e_[k] / m >= 1 / alpha; the adjusted value is the
    max over j >= k of j e_[j] / m. `e_values` has shape (..., hypotheses), a family each; NaN is a hypothesis without
    evidence, does not count in m and stays NaN. A segment with an e-value of 1 has no evidence either, but counts.

    Assumes e-values: nonnegative with expectation at most 1 under the null, however they depend on each other. The
    value at any time of an e-process begun at a fixed time is one (betting capital, the process behind a confidence
    sequence), so it may be looked at every minute. **The value of an e-detector is not**: an e-SR or e-CUSUM starts
    anew at every observation, its expectation after t observations may be as large as t, and `e_bh` of it has no bound
    but t alpha. For pages from e-detectors use the page budget (`e_detector_plan`); to say at time t which of the
    segments changed, divide their e-detectors by t.

    Source: Wang and Ramdas 2022, JRSS B 84:822-852; for e-detectors Dandapanthula and Ramdas 2025, arXiv 2501.04130.
    Raises ValueError for negative numbers, for those above 1e100 (cut off log e-values before) and for a single number.

    >>> adjusted = e_bh([200.0, 50.0, 3.0, 0.1, float("nan")])
    >>> adjusted.tolist(), (adjusted >= 1 / 0.05).tolist()
    ([50.0, 25.0, 2.25, 0.1, nan], [True, True, False, False, False])
    """
    return step_up(e_values_or_nan("e_values", e_values), largest_first=True)
