"""Confidence sequence of a share: an interval that may be looked at after every label.

A 95 % Wilson interval looked at after each of 50 to 2000 labels excludes the truth at some moment in 40 % of streams,
this one in at most 5 %: raise alarms from this one, report with Wilson.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, require_fraction
from detectors.contract import Sides
from detectors.intervals.interval import Interval, counts
from detectors.sequential.beta_binomial import BetaBinomial
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
    return BernoulliMixture.tuned(share, alpha=alpha, optimal_n=optimal_n, evidence=evidence).log_e(k, n)


@dataclass(frozen=True, slots=True)
class BernoulliMixture:
    """What `bernoulli_e_value` judges by, to be kept where the same share is judged again and again."""

    mixture: BetaBinomial
    of_misses: bool
    """whether it counts observations less successes, for evidence that the mean falls"""

    @classmethod
    def tuned(
        cls, share: npt.ArrayLike, *, alpha: float, optimal_n: npt.ArrayLike, evidence: Sides = "both"
    ) -> BernoulliMixture:
        """The mixture for these arguments of `bernoulli_e_value`. Raises ValueError for a share outside (0, 1)."""
        p = np.asarray(share, dtype=np.float64)
        if not ((p > 0.0) & (p < 1.0)).all():
            raise ValueError("share: found a number outside (0, 1)")
        one_sided, falls = evidence != "both", evidence == "fall"
        if falls:
            p = 1.0 - p
        rho = mixture_precision(np.asarray(optimal_n) * (p * (1.0 - p)), alpha=alpha, one_sided=one_sided)
        return cls(BetaBinomial.tuned(rho=rho, below=p, above=1.0 - p, one_sided=one_sided), falls)

    def log_e(self, successes: npt.ArrayLike, observations: npt.ArrayLike) -> Floats:
        """`bernoulli_e_value` of possible counts.

        >>> mixture = BernoulliMixture.tuned(0.9, alpha=0.05, optimal_n=100, evidence="fall")
        >>> mixture.log_e([70, 90], 100).round(2).tolist()
        [13.25, -0.94]
        """
        misses = np.subtract(observations, successes)
        return self.mixture.log_e(misses, successes) if self.of_misses else self.mixture.log_e(successes, misses)


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
            mixture = BernoulliMixture.tuned(inside, alpha=alpha, optimal_n=tuned, evidence=evidence)
            below: Floats = level - mixture.log_e(hits, n)
            return below

        return increasing_root(excess, low, high)

    evidence: Literal["rise", "both"] = "both" if side == "both" else "rise"
    lower, upper = np.zeros(n.shape), np.ones(n.shape)
    if side != "upper":
        lower = np.where(k <= 0.0, 0.0, limit(k, evidence, *ends))
    if side != "lower":
        upper = np.where(k >= n, 1.0, 1.0 - limit(n - k, evidence, ends[0], (n - k) / n))
    return Interval(lower=lower, upper=upper).where(known)
