"""Gamma mixtures: one-sided boundaries for increments with heavy upper tails (exponential) or for counts (Poisson).

`s` is a centred sum and `v` its intrinsic time, here the sum of (estimates or bounds of) variances. `scale` is the c of
the paper: the range of an observation below its mean for bounded ones, 1 for counts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, require_fraction
from detectors.sequential.root import unbounded_root


def gamma_exponential(s: npt.ArrayLike, v: npt.ArrayLike, *, rho: npt.ArrayLike, scale: float) -> Floats:
    """log e-value of `s` at `v` for sub-exponential (sub-gamma) increments; `rho` from `mixture_precision`, one-sided.

    The mixture of exp(lambda s - v psi(lambda)), psi = (-ln(1 - c lambda) - c lambda) / c^2, over a gamma density of
    1 - c lambda on (0, 1). Source: Howard et al. 2021, arXiv 1810.08240, proposition 9. -inf below e^-700.

    >>> rho = 100 / (2 * np.log(10) + np.log1p(2 * np.log(10)))
    >>> gamma_exponential(10.0, 100.0, rho=rho, scale=2.0).round(7).item()
    -0.2490165
    """
    square = scale * scale
    prior = np.asarray(rho, dtype=np.float64) / square
    shape = np.asarray(v, dtype=np.float64) / square + prior
    rate = np.asarray(s, dtype=np.float64) / scale + shape
    special = scipy.special
    with np.errstate(divide="ignore"):
        found: Floats = (
            prior * np.log(prior)
            - special.gammaln(prior)
            - np.log(special.gammainc(prior, prior))
            + special.gammaln(shape)
            + np.log(special.gammainc(shape, rate))
            - shape * np.log(rate)
            + (rate - prior)
        )
    return found


def gamma_exponential_bound(v: npt.ArrayLike, *, rho: npt.ArrayLike, alpha: float, scale: float) -> Floats:
    """The s at which `gamma_exponential` reaches ln(1/alpha).

    >>> rho = 100 / (2 * np.log(10) + np.log1p(2 * np.log(10)))
    >>> gamma_exponential_bound(100.0, rho=rho, alpha=0.05, scale=2.0).round(5).item()
    33.02017
    """
    level = np.log(1.0 / require_fraction("alpha", alpha))
    start = np.sqrt(np.asarray(v, dtype=np.float64) + np.asarray(rho))
    return unbounded_root(lambda s: gamma_exponential(s, v, rho=rho, scale=scale) - level, start)


def gamma_poisson(s: npt.ArrayLike, v: npt.ArrayLike, *, rho: npt.ArrayLike, scale: float) -> Floats:
    """log e-value of `s` at `v` for sub-Poisson increments; `rho` from `mixture_precision`, one-sided.

    The mixture of exp(lambda s - v psi(lambda)), psi = (e^(c lambda) - c lambda - 1) / c^2, over a gamma density of
    e^(c lambda) on (1, inf). Source: Howard et al. 2021, arXiv 1810.08240, proposition 10. -inf below e^-700.

    >>> rho = 100 / (2 * np.log(10) + np.log1p(2 * np.log(10)))
    >>> gamma_poisson(10.0, 100.0, rho=rho, scale=2.0).round(8).item()
    -0.06991219
    """
    square = scale * scale
    prior = np.asarray(rho, dtype=np.float64) / square
    time = np.asarray(v, dtype=np.float64) / square
    rate = time + prior
    shape = np.asarray(s, dtype=np.float64) / scale + rate
    special = scipy.special
    with np.errstate(divide="ignore"):
        found: Floats = (
            prior * np.log(prior)
            - special.gammaln(prior)
            - np.log(special.gammaincc(prior, prior))
            + special.gammaln(shape)
            + np.log(special.gammaincc(shape, rate))
            - shape * np.log(rate)
            + time
        )
    return found


def gamma_poisson_bound(v: npt.ArrayLike, *, rho: npt.ArrayLike, alpha: float, scale: float) -> Floats:
    """The s at which `gamma_poisson` reaches ln(1/alpha).

    >>> rho = 100 / (2 * np.log(10) + np.log1p(2 * np.log(10)))
    >>> gamma_poisson_bound(100.0, rho=rho, alpha=0.05, scale=2.0).round(5).item()
    30.1949
    """
    level = np.log(1.0 / require_fraction("alpha", alpha))
    start = np.sqrt(np.asarray(v, dtype=np.float64) + np.asarray(rho))
    return unbounded_root(lambda s: gamma_poisson(s, v, rho=rho, scale=scale) - level, start)
