"""Multivariate EWMA: one chart for several features that move together, and its average run length.

It watches the mean vector. Give it standardised, uncorrelated observations (`whiten`); mean and covariance count as
known, and estimated ones shorten the run length as they do for every chart. It tells that the mean moved, not which
feature: look at the components of `level`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Bools, Floats, finite
from detectors.charts.run_length import RunLength, absorption

_CENTRE: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class MewmaReadings:
    """What the chart says after each of n vectors: `statistic` and `alarm` (..., n), and the `level` to go on from."""

    statistic: Floats
    alarm: Bools
    level: Floats


def whiten(x: npt.ArrayLike, *, mean: npt.ArrayLike, covariance: npt.ArrayLike) -> Floats:
    """Observations (..., n, features) as uncorrelated ones of mean 0 and variance 1: L^-1 (x - mean), covariance L L'.

    Raises ValueError for a covariance that is not positive definite.

    >>> whiten([[3.0, 1.0]], mean=[1.0, 1.0], covariance=[[4.0, 0.0], [0.0, 1.0]]).tolist()
    [[1.0, 0.0]]
    """
    try:
        root = np.linalg.cholesky(finite("covariance", covariance))
    except np.linalg.LinAlgError as error:
        raise ValueError(f"covariance: {error}, allowed is a positive definite matrix") from error
    centred = finite("x", x) - finite("mean", mean)
    return np.asarray(np.linalg.solve(root, np.swapaxes(centred, -1, -2))).swapaxes(-1, -2)


def mewma(x: npt.ArrayLike, *, smoothing: float, threshold: float, level: npt.ArrayLike | None = None) -> MewmaReadings:
    """z = (1 - r) z + r x; the statistic is z'z (2 - r) / r, and alarms above `threshold` (H); r is `smoothing`.

    `x` has shape (..., n, features), oldest first, standardised by `whiten`; leading axes are series. `level` (...,
    features) is z before the first vector, zero if left out. The deviation of z is that of a long stream.

    Source: Lowry, Woodall, Champ and Rigdon 1992, Technometrics 34, 46-53. Raises ValueError for NaN and infinity, for
    a smoothing outside (0, 1] and a threshold that is not positive.

    >>> found = mewma([[0.0, 0.0], [4.0, 3.0], [4.0, 3.0]], smoothing=0.5, threshold=12.0)
    >>> found.statistic.round(3).tolist(), found.alarm.tolist(), found.level.tolist()
    ([0.0, 18.75, 42.188], [False, True, True], [3.0, 2.25])
    """
    _require(smoothing, threshold)
    values = finite("x", x)
    if values.ndim < 2:
        raise ValueError(f"x: got shape {values.shape}, allowed is (..., n, features)")
    before = np.zeros((*values.shape[:-2], values.shape[-1])) if level is None else finite("level", level)
    left = 1.0 - smoothing
    path, _ = scipy.signal.lfilter([smoothing], [1.0, -left], values, axis=-2, zi=left * before[..., None, :])
    statistic = np.sum(path**2, axis=-1) * (2.0 - smoothing) / smoothing
    last = path[..., -1, :] if values.shape[-2] else before
    return MewmaReadings(statistic=statistic, alarm=statistic > threshold, level=np.asarray(last))


@lru_cache(maxsize=256)
def mewma_run_length(shift: float = 0.0, *, features: int, smoothing: float, threshold: float) -> RunLength:
    """The run length from z = 0 for independent normal vectors whose mean is `shift` (Mahalanobis distance) off.

    Only the length of the shift matters, so z is followed by its component along the shift and the length of the rest,
    a Markov process in the plane, by Gauss-Legendre quadrature (two features and more). Runger and Prabhu print 199.78
    and 12.17 for the example: what their chain gives with 50 rings in control, 25 after a shift, and the limit in four
    digits. With more rings it tends to the digits here, and simulation agrees with them.

    Source: Runger and Prabhu 1996, JASA 91, 1701-1706; Rigdon 1995. Raises ValueError as `mewma` does.

    >>> [round(mewma_run_length(d, features=4, smoothing=0.1, threshold=12.73).mean, 2) for d in (0.0, 1.0)]
    [200.5, 12.15]
    """
    _require(smoothing, threshold)
    if features < 2:
        raise ValueError(f"features: got {features}, allowed are 2 and more; of one feature use ewma_run_length")
    radius = float(np.sqrt(threshold * smoothing / (2.0 - smoothing)))
    # Two nodes a standard deviation of a step and some: at a smoothing of .1 means are right to six digits.
    nodes = 16 + int(2.0 * radius / smoothing)
    roots, weights = np.polynomial.legendre.leggauss(nodes)
    left, centre = (1.0 - smoothing) / smoothing, np.zeros(1)
    if shift == 0.0:  # only the length of z matters
        v, width = 0.5 * radius * (roots + 1.0), 0.5 * radius * weights

        def length_kernel(start: Floats) -> Floats:
            return _chi_density(v / smoothing, left * start[:, None], features) / smoothing * width

        return absorption(length_kernel(v), length_kernel(centre)[0])
    unit, share = np.polynomial.legendre.leggauss(12 + nodes // 4)
    height = np.sqrt(radius**2 - (radius * roots) ** 2)[:, None]
    u = np.repeat(radius * roots, len(unit))
    v = (0.5 * height * (unit + 1.0)).ravel()
    area = (radius * weights[:, None] * 0.5 * height * share).ravel()

    def kernel(start_u: Floats, start_v: Floats) -> Floats:
        """Probability of each node from each start: normal along the shift, noncentral chi across it."""
        step = u / smoothing - left * start_u[:, None] - shift
        normal = np.exp(-0.5 * step**2) / np.sqrt(2.0 * np.pi) / smoothing
        return np.asarray(
            normal * _chi_density(v / smoothing, left * start_v[:, None], features - 1) / smoothing * area
        )

    return absorption(kernel(u, v), kernel(centre, centre)[0])


def mewma_threshold(average_run_length: float, *, features: int, smoothing: float) -> float:
    """The threshold with this average run length in control, to six digits.

    Raises ValueError for a wanted run length outside (1, 1e7).

    >>> round(mewma_threshold(200.5, features=4, smoothing=0.1), 3)
    12.73
    """
    if not 1.0 < average_run_length < 1e7:
        raise ValueError(f"average_run_length: got {average_run_length!r}, allowed is 1 < average_run_length < 1e7")

    def excess(threshold: float) -> float:
        found = mewma_run_length(features=features, smoothing=smoothing, threshold=threshold).mean
        return float(np.log(found / average_run_length))

    # Without smoothing the statistics are independent: no smoothing needs a greater threshold.
    highest = float(scipy.special.chdtri(features, 1.0 / average_run_length))
    return float(scipy.optimize.brentq(excess, 1e-3 * highest, highest, rtol=1e-7))


def _chi_density(x: Floats, centre: Floats, freedom: int) -> Floats:
    """Density of the length of a normal vector with `freedom` components whose mean has length `centre`."""
    far = np.maximum(centre, _CENTRE)
    half = 0.5 * freedom - 1.0
    # ive is the Bessel function times exp(-x far), which turns the exponent into that of a distance.
    bessel = scipy.special.ive(half, x * far)
    density: Floats = x * (x / far) ** half * np.exp(-0.5 * (x - far) ** 2) * bessel
    return density


def _require(smoothing: float, threshold: float) -> None:
    if not (0.0 < smoothing <= 1.0 and 0.0 < threshold < 1e4):
        raise ValueError(
            f"smoothing {smoothing}, threshold {threshold}: allowed is 0 < smoothing <= 1 and 0 < threshold < 10000"
        )
