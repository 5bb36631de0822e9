"""Interval for a share that is safe at any time, from labels sampled with unequal, known probabilities.

Where `rate_interval` holds at one look, this holds at all looks at once: alarms may be raised from it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, nonnegative, require_fraction
from detectors.intervals import Interval
from detectors.sequential.root import increasing_root
from detectors.sequential.weighted import part_of_largest_weight

_BETS: Final = 0.5 ** np.arange(10)
"""From all that may be bet without ruin to a five-hundredth: for differences down to some .001."""


def weighted_sequence(
    violating: npt.ArrayLike,
    benign: npt.ArrayLike,
    *,
    inclusion_probability: npt.ArrayLike,
    smallest_probability: float,
    confidence: float = 0.95,
) -> Interval:
    """Limits that hold the share among all decisions at every number of labels, with probability `confidence`.

    `violating` and `benign` (..., strata) count the labels of each inclusion probability (strata,): they add up over
    minutes and workers, and their order does not matter. The lower limit is the largest m that ten bets together do not
    refute: sum over k of prod (1 + b_k f (y/m - 1)) / 10 >= 2 / alpha, b_k = 2^-k, f = smallest / own probability.
    Under a share of at most m every factor has a mean of at most 1, so the product is a test supermartingale (Ville
    1939). The upper limit is that of the benign share. For equal probabilities `bernoulli_sequence` is narrower around
    the sample size it is tuned for.

    `smallest_probability` is a promise of the sampling design, fixed before the first label; each tenfold step of it
    below the typical probability costs about ten times the labels. An unlabelled decision must be one that was not
    sampled: while verdicts are still awaited, and some come sooner than others, see `detectors.delay`.

    [0, 1] without labels. Source: Waudby-Smith and Ramdas 2024, JRSS B 86, 1-27 (betting), with fixed bets; inverse
    probability weights as in Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro 2022, arXiv 2210.10768.
    Raises ValueError for negative counts and for an inclusion probability below the smallest.

    >>> found = weighted_sequence([400, 90], [30, 2], inclusion_probability=[0.1, 0.4], smallest_probability=0.1)
    >>> float(found.lower.round(3)), float(found.upper.round(3))
    (0.885, 0.965)
    """
    ones, zeros, part = np.broadcast_arrays(
        nonnegative("violating", violating),
        nonnegative("benign", benign),
        part_of_largest_weight(inclusion_probability, smallest_probability=smallest_probability),
    )
    needed = float(np.log(2.0 / (1.0 - require_fraction("confidence", confidence))))
    return Interval(lower=_lower(ones, zeros, part, needed), upper=1.0 - _lower(zeros, ones, part, needed))


def _lower(ones: Floats, zeros: Floats, part: Floats, needed: float) -> Floats:
    bets = part[..., None] * _BETS
    # xlog1py(0, -1) is 0: a bet is ruined, and its logarithm -inf, by the first label against it only.
    lost = scipy.special.xlog1py(zeros[..., None], -bets).sum(axis=-2)

    def short(m: Floats) -> Floats:
        """What the evidence against a share of at most m lacks of `needed`: increases with m."""
        gained = scipy.special.xlog1py(ones[..., None], bets * (1.0 / m - 1.0)[..., None, None]).sum(axis=-2)
        evidence: Floats = scipy.special.logsumexp(gained + lost, axis=-1) - np.log(len(_BETS))
        return needed - evidence

    shape = ones.shape[:-1]
    found = increasing_root(short, np.zeros(shape), np.ones(shape))
    return np.where(ones.sum(axis=-1) > 0, found, 0.0)
