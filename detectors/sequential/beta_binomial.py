"""Beta-binomial mixture: e-values for observations on an interval around their mean, sharp for verdicts of 0 and 1.

`s` is the sum of observations minus their means, each at most `below` under and `above` over its mean; the intrinsic
time is v = n below above. For shares: below = p, above = 1 - p.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Bools, Floats, require_fraction
from detectors.sequential.root import increasing_root

# Terms of the series for a tail that underflows; there it converges fast.
_TERMS = 300


def beta_binomial(
    s: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    rho: npt.ArrayLike,
    below: npt.ArrayLike,
    above: npt.ArrayLike,
    one_sided: bool = False,
) -> Floats:
    """log e-value of `s` at `v`; all arguments broadcast. Above ln(1/alpha): the assumed mean is not plausible.

    With p = below / (below + above), n = v / (below above) and k = (s + n below) / (below + above) it is
    ln B(a + k, b + n - k) - ln B(a, b) - k ln p - (n - k) ln(1 - p), a = r / (above (below + above)), b = r / (below
    (below + above)), r = max(rho - below above, .001 below above). One-sided, the beta density is cut to shares above
    p: evidence that the mean is larger, valid for every mean at most the assumed one. `rho`: `mixture_precision` (with
    the same `one_sided`). Source: Howard et al. 2021, arXiv 1810.08240, propositions 7 and 8.

    >>> beta_binomial(10.0, 100.0, rho=12.60056, below=0.2, above=0.8).round(5).item()
    -0.6941
    """
    g, h = np.asarray(below, dtype=np.float64), np.asarray(above, dtype=np.float64)
    width: Floats = g + h
    r: Floats = np.asarray(np.maximum(np.asarray(rho) - g * h, 1e-3 * g * h), dtype=np.float64)
    a, b, p = r / (h * width), r / (g * width), g / width
    n = np.asarray(v, dtype=np.float64) / (g * h)
    k = (np.asarray(s, dtype=np.float64) + n * g) / width
    betaln = scipy.special.betaln
    # Logarithms in the shapes of `p`, most often a single number for many sums.
    ratio = betaln(a + k, b + n - k) - betaln(a, b) - k * np.log(p) - (n - k) * np.log1p(-p)
    if one_sided:
        ratio = ratio + _log_upper_tail(a + k, b + n - k, p) - _log_upper_tail(a, b, p)
    return np.asarray(ratio, dtype=np.float64)


def beta_binomial_bound(
    v: npt.ArrayLike,
    *,
    rho: npt.ArrayLike,
    below: npt.ArrayLike,
    above: npt.ArrayLike,
    alpha: float,
    one_sided: bool = False,
) -> Floats:
    """The s > 0 at which `beta_binomial` reaches ln(1/alpha), the largest possible sum where it never does.

    >>> beta_binomial_bound(100.0, rho=12.60056, below=0.2, above=0.8, alpha=0.05).round(4).item()
    31.4308
    """
    level = np.log(1.0 / require_fraction("alpha", alpha))
    shape = np.broadcast_shapes(np.shape(v), np.shape(rho), np.shape(below), np.shape(above))
    largest: Floats = np.broadcast_to(np.asarray(v, dtype=np.float64) / np.asarray(below, dtype=np.float64), shape)

    def excess(s: Floats) -> Floats:
        found: Floats = beta_binomial(s, v, rho=rho, below=below, above=above, one_sided=one_sided) - level
        return found

    return increasing_root(excess, np.zeros_like(largest), largest)


def _log_upper_tail(a: Floats, b: Floats, x: Floats) -> Floats:
    """ln of the share of Beta(a, b) above x, also where that share underflows (x far above the mean)."""
    special = scipy.special
    tail = np.asarray(special.betaincc(a, b, x), dtype=np.float64)
    tiny: Bools = tail < 1e-280
    with np.errstate(divide="ignore"):
        found: Floats = np.log(tail)
    if not tiny.any():
        return found
    a, b, x = (np.broadcast_to(part, tail.shape)[tiny] for part in (a, b, x))
    index = np.arange(_TERMS)[:, np.newaxis]
    total = 1.0 + np.cumprod((a + b + index) / (b + 1.0 + index) * (1.0 - x), axis=0).sum(axis=0)
    series = special.xlogy(a, x) + special.xlog1py(b, -x) - np.log(b) - special.betaln(a, b) + np.log(total)
    found = np.array(found)
    found[tiny] = series
    return found
