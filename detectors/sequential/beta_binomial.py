"""Beta-binomial mixture: e-values for observations on an interval around their mean, sharp for verdicts of 0 and 1.

`s` is the sum of observations minus their means, each at most `below` under and `above` over its mean; the intrinsic
time is v = n below above. For shares: below = p, above = 1 - p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from detectors import step_loops
from detectors.arrays import Bools, Floats, require_fraction
from detectors.sequential.root import increasing_root

# Terms of the series for a tail that underflows; there it converges fast.
_TERMS = 300
# From so many sums on a table pays.
_MANY = 100
# Below this share the continued fraction for the edge needs thousands of terms, and logarithms lose no digits.
_LEAST_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class BetaBinomial:
    """The mixture for one or many assumed means, of the shape of `rho`, `below` and `above` together.

    Built once, it serves any number of sums: the shares of a beta density with parameters `a` and `b`, against `share`.
    """

    share: Floats
    a: Floats
    b: Floats
    one_sided: bool
    log_share: Floats
    log_rest: Floats
    log_density: Floats
    """ln of what the density is divided by: B(a, b), one-sided times its part above `share`"""

    @classmethod
    def tuned(
        cls, *, rho: npt.ArrayLike, below: npt.ArrayLike, above: npt.ArrayLike, one_sided: bool = False
    ) -> BetaBinomial:
        """The mixture that `beta_binomial` describes."""
        g, h = np.asarray(below, dtype=np.float64), np.asarray(above, dtype=np.float64)
        width: Floats = g + h
        r: Floats = np.asarray(np.maximum(np.asarray(rho) - g * h, 1e-3 * g * h), dtype=np.float64)
        a, b, share = r / (h * width), r / (g * width), g / width
        whole = scipy.special.betaln(a, b)
        return cls(
            share=share,
            a=a,
            b=b,
            one_sided=one_sided,
            log_share=np.log(share),
            log_rest=np.log1p(-share),
            log_density=whole + _log_upper_tail(a, b, share) if one_sided else whole,
        )

    def log_e(self, hits: npt.ArrayLike, misses: npt.ArrayLike) -> Floats:
        """log e-value of sums of shares and of what they are short of 1: k and n - k; broadcasts with the mixture.

        ln B(a + k, b + n - k) - ln B(a, b) - k ln p - (n - k) ln(1 - p), one-sided with both B cut to shares above p.

        >>> BetaBinomial.tuned(rho=12.60056, below=0.2, above=0.8).log_e(135.0, 490.0).round(5).item()
        -0.6941
        """
        k, rest = np.asarray(hits, dtype=np.float64), np.asarray(misses, dtype=np.float64)
        a, b = self.a + k, self.b + rest
        # betaln is this difference too, but takes three times as long for parameters below 100.
        found: Floats = np.asarray(_log_gamma(self.a, k) + _log_gamma(self.b, rest))
        found -= _log_gamma(self.a + self.b, k + rest)
        found -= k * self.log_share
        found -= rest * self.log_rest
        found -= self.log_density
        if self.one_sided:
            found += _log_upper_tail(a, b, self.share)
        return found

    def edge(self) -> float:
        """p (1 - p) times the mixing density at p, of one share p: what `step_loops.confidence_sequence` adds a step.

        Two-sided nothing is cut at p, and it is 0.
        """
        if not self.one_sided:
            return 0.0
        if self.share >= _LEAST_SHARE:
            return 1.0 / step_loops.upper_tail(float(self.a), float(self.b), float(self.share))
        return float(np.exp(self.a * self.log_share + self.b * self.log_rest - self.log_density))


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
    n = np.asarray(v, dtype=np.float64) / (g * h)
    k = (np.asarray(s, dtype=np.float64) + n * g) / (g + h)
    return BetaBinomial.tuned(rho=rho, below=g, above=h, one_sided=one_sided).log_e(k, n - k)


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


def _log_gamma(parameter: Floats, sums: Floats) -> Floats:
    """ln Gamma(parameter + sums). Sums of verdicts are whole numbers that repeat: each is computed once, the same."""
    log_gamma = scipy.special.gammaln
    if parameter.ndim or sums.size < _MANY:
        return np.asarray(log_gamma(parameter + sums))
    least, most = sums.min(), sums.max()
    if not most - least < sums.size or not (sums == (whole := sums.astype(np.int64))).all():
        return np.asarray(log_gamma(parameter + sums))
    table: Floats = log_gamma(parameter + np.arange(least, most + 1.0))
    return table[whole - int(least)]


def _log_upper_tail(a: Floats, b: Floats, x: Floats) -> Floats:
    """ln of the share of Beta(a, b) above x, also where that share underflows (x far above the mean)."""
    special = scipy.special
    # The distribution function of F is the incomplete beta function by another algorithm, as exact and 5-10 times
    # faster than betaincc.
    tail = np.asarray(special.fdtrc(2.0 * a, 2.0 * b, b / a * (x / (1.0 - x))), dtype=np.float64)
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
