"""Run lengths of the Shiryaev-Roberts procedure for a normal mean: a sum of likelihood ratios over all starts.

Among procedures of one average run length it has the least average delay for a change that comes late.
"""

from __future__ import annotations

import math

import numpy as np
import scipy

from detectors.arrays import Floats
from detectors.charts.run_length import RunLength, absorption, eliminated_mean


def shiryaev_roberts_run_length(shift: float = 0.0, *, expected_shift: float, threshold: float) -> RunLength:
    """The run length of R = (1 + R) exp(t x - t^2 / 2) from R = 0, t = `expected_shift`, that alarms at R >= threshold.

    Observations are independent and normal with mean `shift` and standard deviation 1. Without a shift R less the
    number of observations is a martingale, so the average is at least `threshold`, and near threshold exp(.583 t).
    Gauss-Legendre quadrature of the integral equation in log R.

    Source: Moustakides, Polunchenko and Tartakovsky 2009, Communications in Statistics 38, 3225-3239.
    Raises ValueError for an expected shift of 0 or a threshold that is not positive.

    >>> round(shiryaev_roberts_run_length(expected_shift=0.1, threshold=943.41).mean, 2)
    1000.28
    """
    if not (0.0 < abs(expected_shift) < 10.0 and 0.0 < threshold < 1e12):
        raise ValueError(
            f"expected_shift {expected_shift}, threshold {threshold}: allowed is 0 < |shift| < 10, 0 < threshold < 1e12"
        )
    step = abs(expected_shift)
    drift = expected_shift * shift - 0.5 * step**2
    # From R = 0 the next log R is normal; nine deviations below its mean nothing is left.
    low, high = min(drift, 0.0) - 9.0 * step, math.log(threshold)
    if high <= low:
        return RunLength(1.0, lambda count: np.eye(1, count)[0])
    roots, weights = np.polynomial.legendre.leggauss(60 + int(6.0 * (high - low) / step))
    half = (high - low) / 2.0
    nodes = low + half * (1.0 + roots)

    def kernel(log_one_more: Floats) -> Floats:
        """From log(1 + R) (rows) to log R at the nodes."""
        z = (nodes - log_one_more[:, None] - drift) / step
        return half / step * weights * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)

    one_more = np.logaddexp(0.0, nodes)
    transition, row = kernel(one_more), kernel(np.zeros(1))[0]
    alarm = scipy.special.ndtr((one_more + drift - high) / step)
    return absorption(transition, row, long=lambda: 1.0 + eliminated_mean(transition, alarm, row))
