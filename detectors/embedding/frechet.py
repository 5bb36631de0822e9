"""Frechet distance of two sets of embeddings, as if both were normal: means and covariances in one number.

Known as FID for one network's embeddings of images. It is biased: without any drift it is about as large as
d^2 / n times the scale, so compare only windows of one size, or use `block_permutation_test`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.arrays import Floats
from detectors.embedding.moments import Moments, pooled_covariance


@dataclass(frozen=True, slots=True)
class Frechet:
    """Squared distance and its two parts; in squared units of the embedding.

    `mean_noise` is what the mean part is on average without drift: only what is above it speaks of a shift.
    """

    squared: float
    mean_part: float
    covariance_part: float
    mean_noise: float

    @property
    def distance(self) -> float:
        """The Wasserstein-2 distance of the two normal distributions, in units of the embedding."""
        return float(np.sqrt(self.squared))


def frechet(reference: Moments, current: Moments) -> Frechet:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), of Moments with at least two vectors each.

    The second part is the Bures distance of the covariances: 0 only for equal ones. Singular covariances (n <= d) are
    allowed, but then rank alone makes them differ: want n of some 10 d on each side. `mean_noise` is
    tr(S) (1/n + 1/m) with the pooled S. It needs no inverse, and no normality to be a distance; normality makes it that
    of the distributions. Costs two eigendecompositions and the singular values of one matrix: 18 ms at d = 256, .9 s at
    d = 1024 (measured).

    Source: Dowson and Landau 1982, Journal of Multivariate Analysis 12. ValueError for dimensions that differ and fewer
    than two vectors.

    >>> from detectors.embedding import moments
    >>> square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> found = frechet(moments(square), moments(2.0 * square + 3.0))
    >>> round(found.mean_part, 6), round(found.covariance_part, 6)
    (18.0, 2.666667)
    """
    noise = float(np.trace(pooled_covariance(reference, current)) * (1.0 / reference.count + 1.0 / current.count))
    apart = reference.mean - current.mean
    mean_part = float((apart * apart).sum())
    spread = float(np.trace(reference.covariance) + np.trace(current.covariance))
    # In units of the spread: products of four variances leave the range of floats, and eigenvalues of tiny ones are 0.
    unit = spread / reference.dimension or 1.0
    first, second = reference.covariance / unit, current.covariance / unit
    # The eigenvalues of S1^1/2 S2 S1^1/2 are these singular values squared; their own roots would magnify its rounding.
    overlap = float(np.linalg.svd(_root(first) @ _root(second), compute_uv=False).sum())
    covariance_part = max(spread - 2.0 * unit * overlap, 0.0)
    return Frechet(
        squared=mean_part + covariance_part, mean_part=mean_part, covariance_part=covariance_part, mean_noise=noise
    )


def _root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    # Zero eigenvalues come out as rounding of the largest, of either sign, and the root of 1e-16 is 1e-8.
    rounding = len(values) * np.finfo(np.float64).eps * values[-1]
    root: Floats = (vectors * np.sqrt(np.where(values > rounding, values, 0.0))) @ vectors.T
    return root
