"""Normal mixture: the boundary that a centred sum crosses with probability at most alpha, at any time.

`s` is a sum of observations minus their means, `v` its intrinsic time: the sum of variance proxies (variances of normal
observations, (b - a)^2 / 4 of observations within [a, b]).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, nonnegative, require_fraction
from detectors.sequential.root import increasing_root


def mixture_precision(v_opt: npt.ArrayLike, *, alpha: float, one_sided: bool = False) -> Floats:
    """rho = v_opt / (2 ln(1/alpha) + ln(1 + 2 ln(1/alpha))): the mixture whose boundary is tightest near v = `v_opt`.

    One-sided boundaries take it at 2 alpha, at most at .5: the mixture is valid with any rho, and near 1 it would be
    infinite. A boundary is within 10 % of the best from v_opt / 10 to 10 v_opt or so:
    take the intrinsic time at which a decision is wanted. Source: Howard et al. 2021, arXiv 1810.08240, section 3.5.

    >>> mixture_precision(100.0, alpha=0.05).round(5).item()
    12.60056
    """
    told = require_fraction("alpha", alpha)
    level = np.log(1.0 / (min(0.5, 2.0 * told) if one_sided else told))
    rho: Floats = nonnegative("v_opt", v_opt) / (2.0 * level + np.log1p(2.0 * level))
    return rho


def normal_mixture(s: npt.ArrayLike, v: npt.ArrayLike, *, rho: npt.ArrayLike, one_sided: bool = False) -> Floats:
    """log e-value of the sum `s` at intrinsic time `v`; all broadcast. Above ln(1/alpha): mean 0 is not plausible.

    ln sqrt(rho / (v + rho)) + s^2 / (2 (v + rho)); one-sided (evidence of a positive mean) plus ln(2 Phi(s / sqrt(v +
    rho))). Holds for sub-Gaussian increments. Source: Howard et al. 2021, arXiv 1810.08240, propositions 5 and 6.

    >>> normal_mixture(10.0, 100.0, rho=mixture_precision(100.0, alpha=0.05)).round(7).item()
    -0.6510052
    """
    prior = np.asarray(rho, dtype=np.float64)
    total = np.asarray(v, dtype=np.float64) + prior
    z = np.asarray(s, dtype=np.float64) / np.sqrt(total)
    both: Floats = 0.5 * (np.log(prior) - np.log(total)) + 0.5 * z**2
    if not one_sided:
        return both
    found: Floats = both + np.log(2.0) + scipy.special.log_ndtr(z)
    return found


def normal_mixture_bound(v: npt.ArrayLike, *, rho: npt.ArrayLike, alpha: float, one_sided: bool = False) -> Floats:
    """The s (two-sided: |s|) at which `normal_mixture` reaches ln(1/alpha); of the shape of `v` and `rho` together.

    The confidence sequence of a mean after n observations is the sample mean +- bound / n.

    >>> normal_mixture_bound(100.0, rho=mixture_precision(100.0, alpha=0.05), alpha=0.05).round(5).item()
    30.35209
    """
    level = np.log(1.0 / require_fraction("alpha", alpha))
    prior = np.asarray(rho, dtype=np.float64)
    total = np.asarray(v, dtype=np.float64) + prior
    both: Floats = np.sqrt(total * (np.log(total) - np.log(prior) + 2.0 * level))
    if not one_sided:
        return both
    return increasing_root(lambda s: normal_mixture(s, v, rho=rho, one_sided=True) - level, np.zeros_like(both), both)
