"""Maximum mean discrepancy by random Fourier features: any change of the distribution, from sums that merge.

Map vectors to features, keep the Moments of the features, compare them with `mmd`. The features are an approximation
of the Gaussian kernel: of MMD^2 by about 1 / sqrt(pairs), of the test's level not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, finite
from detectors.comparison import Distance
from detectors.embedding.mean_shift import mean_shift
from detectors.embedding.moments import Moments, moments

_ROUNDING: Final = 1e-20
"""Variance of features of length 1 that their arithmetic alone may make: angles up to 1e5 are off by 1e-11."""


@dataclass(frozen=True, slots=True, eq=False)
class RandomFeatures:
    """The map x -> (cos(W x), sin(W x)) / sqrt(pairs), with `frequencies` W of shape (pairs, d)."""

    frequencies: Floats

    def __call__(self, vectors: npt.ArrayLike) -> Floats:
        """Features of shape (n, 2 pairs) of vectors of shape (n, d); each has length 1."""
        values = finite("vectors", vectors)
        pairs, dimension = self.frequencies.shape
        if values.ndim != 2 or values.shape[1] != dimension:
            raise ValueError(f"vectors: shape {values.shape}, allowed is (n, {dimension})")
        angles = values @ self.frequencies.T
        features: Floats = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(pairs)
        return features

    def moments(self, vectors: npt.ArrayLike) -> Moments:
        """Moments of the features: what to merge, keep, and hand to `mmd`."""
        return moments(self(vectors))


def random_features(dimension: int, *, bandwidth: float, pairs: int = 128, seed: int) -> RandomFeatures:
    """Features whose inner product is near the Gaussian kernel exp(-|x - y|^2 / (2 `bandwidth`^2)).

    Frequencies are normal with standard deviation 1 / `bandwidth` (Rahimi and Recht 2007, NeurIPS 20); the error of a
    kernel value is at most of standard deviation 1 / sqrt(2 `pairs`). Reference and current must use one `seed`,
    `pairs` and `bandwidth`: keep them with the reference. 128 pairs are 256 x 256 sums, 0.5 MB, and cost 2 n d pairs
    operations beside 8 n pairs^2 for the sums.

    >>> features = random_features(2, bandwidth=1.0, pairs=20_000, seed=1)
    >>> x, y = features([[0.0, 0.0], [1.0, 0.5]])
    >>> bool(abs(float(x @ y) - np.exp(-0.625)) < 0.02)
    True
    """
    if dimension < 1 or pairs < 1 or not 0.0 < bandwidth < np.inf:
        raise ValueError(
            f"random features: dimension {dimension}, pairs {pairs}, bandwidth {bandwidth!r}, allowed are >= 1, >= 1 "
            "and a finite number > 0"
        )
    return RandomFeatures(np.random.default_rng(seed).standard_normal((pairs, dimension)) / bandwidth)


def median_bandwidth(vectors: npt.ArrayLike) -> float:
    """The median distance between different vectors of the reference, shape (n, d): the usual bandwidth.

    Costs n^2 / 2 distances, so give it some 500 to 2000 random vectors (2000 of d = 1024: 4 s, measured). It suits
    changes as wide as the data; a change in a small cluster wants a smaller one. Source: Gretton et al. 2012, JMLR 13,
    section 8. ValueError below two vectors, and where the median is 0: most vectors are the same.

    >>> median_bandwidth([[0.0], [1.0], [3.0]])
    2.0
    """
    values = finite("vectors", vectors)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"vectors: shape {values.shape}, allowed is (n, d) with n >= 2")
    # Distances from differences: inner products leave rounding between equal vectors.
    found = float(np.median(scipy.spatial.distance.pdist(values)))
    if not found > 0:
        raise ValueError("vectors: more than half of the pairs are equal, allowed is a median distance > 0")
    return found


def mmd(reference: Moments, current: Moments, *, alpha: float = 0.05, smallest_effect: float = 0.1) -> Distance:
    """Unbiased MMD^2 of two samples from the Moments of their random features; arrays of shape ().

    MMD^2 = |mean feature of P - mean feature of Q|^2 (Gretton et al. 2012, JMLR 13); the estimate may be negative. It
    is the distance of means of `mean_shift` in the space of features, with its p-value: the asymptotic law of the
    kernel test, a weighted sum of chi-squares with the eigenvalues of the feature covariance as weights. By simulation
    the size at a nominal 5 % is 4 to 6 % from 5 vectors a side. The test sees any change that the kernel can see at
    its bandwidth, but one concentrated in few of many dimensions only with many vectors.

    Effect size: MMD, 0 where the estimate of its square is negative; at most sqrt(2). For a Gaussian kernel of
    bandwidth 1 and N(0, 1) against N(1, 1) it is .421. `minimum_sample` is for an MMD of `smallest_effect`.

    Moments must be of features of one `random_features`: sums of other vectors give numbers without meaning. NaN where
    each side's vectors are equal but for rounding: their variance is then below 1e-20.

    >>> features = random_features(1, bandwidth=1.0, pairs=500, seed=3)
    >>> rng = np.random.default_rng(4)
    >>> sides = features.moments(rng.normal(0, 1, (2000, 1))), features.moments(rng.normal(1, 1, (2000, 1)))
    >>> found = mmd(*sides)
    >>> bool(abs(found.statistic - 0.1773) < 0.03), bool(found.p_value < 1e-6)
    (True, True)
    """
    total = float(np.trace(reference.scatter + current.scatter)) / max(reference.count + current.count - 2, 1)
    if total <= _ROUNDING:
        reference, current = (replace(side, scatter=np.zeros_like(side.scatter)) for side in (reference, current))
        total = 0.0
    # An effect in units of the features' total standard deviation is one of MMD divided by it.
    unit = np.sqrt(total) if total > 0 else 1.0
    found = mean_shift(reference, current, alpha=alpha, smallest_effect=smallest_effect / unit)
    return replace(found, effect_size=np.asarray(found.effect_size * unit))
