"""Confidence sequence of a share: an interval that may be looked at after every label.

A 95 % Wilson interval looked at after each of 50 to 2000 labels excludes the truth at some moment in 40 % of streams,
this one in at most 5 %: raise alarms from this one, report with Wilson.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, require_fraction
from detectors.contract import Sides
from detectors.intervals.interval import Interval, counts
from detectors.sequential.beta_binomial import beta_binomial
from detectors.sequential.normal_mixture import mixture_precision
from detectors.sequential.root import increasing_root


def bernoulli_e_value(
    successes: npt.ArrayLike,
    observations: npt.ArrayLike,
    *,
    share: npt.ArrayLike,
    alpha: float,
    optimal_n: float,
    evidence: Sides = "both",
) -> Floats:
    """log e-value against a mean of `share`: above ln(1/alpha) `share` has left the confidence sequence.

    `successes` is the sum of n = `observations` values within [0, 1]; all broadcast. `evidence` "rise" speaks against
    every mean up to `share`, "fall" against every mean from `share` up. It is the `beta_binomial` mixture tuned for
    `optimal_n` observations and `alpha`. The conditional means may change with time: what is refuted is that all were
    `share`, or on its side. Raises ValueError for a share outside (0, 1) and for impossible counts.

    >>> bernoulli_e_value([70, 90], 100, share=0.9, alpha=0.05, optimal_n=100, evidence="fall").round(2).tolist()
    [13.25, -0.94]
    """
    k, n = counts(successes, observations)
    p = np.asarray(share, dtype=np.float64)
    if not ((p > 0.0) & (p < 1.0)).all():
        raise ValueError("share: found a number outside (0, 1)")
    one_sided = evidence != "both"
    if evidence == "fall":
        k, p = n - k, 1.0 - p
    variance = p * (1.0 - p)
    rho = mixture_precision(optimal_n * variance, alpha=alpha, one_sided=one_sided)
    return beta_binomial(k - n * p, n * variance, rho=rho, below=p, above=1.0 - p, one_sided=one_sided)


def bernoulli_sequence(
    successes: npt.ArrayLike,
    observations: npt.ArrayLike,
    *,
    alpha: float,
    optimal_n: float,
    side: Literal["lower", "upper", "both"] = "both",
) -> Interval:
    """All shares whose `bernoulli_e_value` is below ln(1/alpha): with probability 1 - alpha the true one always.

    Arrays broadcast, a series each. `optimal_n`: the number of labels at which the interval should be tightest; it is
    valid at every n. `side` "lower" gives [limit, 1], "upper" [0, limit], each at the full alpha. NaN where n is 0 or
    an input is NaN. Values within [0, 1] other than 0 and 1 are allowed (it is then wider than need be). Unequally
    sampled labels are not: k and n would be of the sample.

    Source: Howard et al. 2021, arXiv 1810.08240, with the tuning of their confseq library.

    >>> found = bernoulli_sequence([700, 15], [1000, 50], alpha=0.05, optimal_n=[100, 50])
    >>> found.lower.round(4).tolist(), found.upper.round(4).tolist()
    ([0.6516, 0.1296], [0.7459, 0.5119])
    """
    level = np.log(1.0 / require_fraction("alpha", alpha))
    k, n, tuned = np.broadcast_arrays(*counts(successes, observations), np.asarray(optimal_n, dtype=np.float64))
    if not (tuned > 0.0).all():
        raise ValueError("optimal_n: found a number that is not above 0")
    known = (n > 0) & np.isfinite(k)
    n = np.where(known, n, 1.0)
    k = np.clip(np.where(known, k, 0.5), 0.0, n)
    ends = np.zeros(n.shape), k / n

    def limit(hits: Floats, evidence: Literal["rise", "both"], low: Floats, high: Floats) -> Floats:
        """The smallest share that `hits` of n do not refute, by halving between 0 and the mean."""

        def excess(p: Floats) -> Floats:
            inside = np.clip(p, 1e-15, 1.0 - 1e-15)
            variance = inside * (1.0 - inside)
            rho = mixture_precision(tuned * variance, alpha=alpha, one_sided=evidence == "rise")
            found = beta_binomial(
                hits - n * inside,
                n * variance,
                rho=rho,
                below=inside,
                above=1.0 - inside,
                one_sided=evidence == "rise",
            )
            below: Floats = level - found
            return below

        return increasing_root(excess, low, high)

    evidence: Literal["rise", "both"] = "both" if side == "both" else "rise"
    lower, upper = np.zeros(n.shape), np.ones(n.shape)
    if side != "upper":
        lower = np.where(k <= 0.0, 0.0, limit(k, evidence, *ends))
    if side != "lower":
        upper = np.where(k >= n, 1.0, 1.0 - limit(n - k, evidence, ends[0], (n - k) / n))
    return Interval(lower=lower, upper=upper).where(known)
