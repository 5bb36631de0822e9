"""PCA reconstruction error: the mean distance of vectors of features from the subspace in which a reference lies.

One number for many features together: it rises where features stop moving as they did with one another, though each of
them alone looks as before. A move that keeps to the subspace is not seen. (`reconstruction` compares two windows of
embeddings by mean squares, from their sums alone.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, finite, require_fraction
from detectors.embedding.moments import Moments


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalSubspace:
    """The first principal components of standardised features: what is pinned of a reference of d features.

    `mean` and `scale` (d,) standardise; `components` (k, d) are orthonormal rows, by falling share of the variance;
    `kept` is the share that they hold together.
    """

    mean: Floats
    scale: Floats
    components: Floats
    kept: float

    def distances(self, vectors: npt.ArrayLike) -> Floats:
        """|z - C^T C z| of each vector, z = (x - mean) / scale and C the components; (..., d) to (...).

        The reconstruction error of a chunk is their mean, its standard error their standard deviation over sqrt(n).
        ValueError for NaN, infinity and another number of features.

        >>> plane = PrincipalSubspace(np.zeros(2), np.array([1.0, 2.0]), np.array([[1.0, 0.0]]), kept=0.5)
        >>> plane.distances([[7.0, 4.0], [7.0, -1.0]]).tolist()
        [2.0, 0.5]
        """
        values = finite("vectors", vectors)
        if values.ndim == 0 or values.shape[-1] != self.mean.size:
            raise ValueError(f"vectors: shape {values.shape}, allowed is (..., {self.mean.size})")
        standard = (values - self.mean) / self.scale
        standard -= (standard @ self.components.T) @ self.components
        apart: Floats = np.sqrt(np.square(standard).sum(axis=-1))
        return apart


def principal_subspace(reference: Moments, *, share: float = 0.65) -> PrincipalSubspace:
    """The fewest principal components of the standardised reference that hold more than `share` of its variance.

    Features are brought to mean 0 and standard deviation 1 (divisor n), so their units do not matter; one that is
    constant is only centred, and counts in its own units when it moves. Components are the eigenvectors of the
    correlation matrix, so sums suffice: `moments` of minutes and workers, added up with `merge`.

    Give categories as numbers first: the share of each in the reference (an unseen one: 0), or an indicator each.
    Missing values must be filled, with means of the reference. Then `distances` of current vectors against those of
    the reference: their mean against `reference_band` of the means of the reference's chunks, or
    `block_permutation_test` on `moments(distances[:, None])`. Chunks of the reference itself lie a little too near,
    since the components were fitted to them: have n far above d. Where the share can only be held by all d components
    there is nothing outside, and no error: ValueError; likewise below two vectors and where no feature varies.

    The method of NannyML's reconstruction error (share .65, mean distance, chunk by chunk), whose published series on
    its car loans this gives to the digits printed: `tests/bench/car_loan.py`.

    >>> from detectors.embedding import moments
    >>> rng = np.random.default_rng(4)
    >>> height = rng.normal(size=2000)
    >>> pair = np.stack([height, 100 * height + rng.normal(size=2000)], axis=1)
    >>> subspace = principal_subspace(moments(pair))
    >>> swapped = np.stack([height, rng.permutation(pair[:, 1])], axis=1)  # each feature as before, but not together
    >>> [round(float(subspace.distances(one).mean()), 3) for one in (pair, swapped)]
    [0.006, 0.78]
    """
    require_fraction("share", share)
    if reference.count < 2:
        raise ValueError(f"reference: {reference.count} vectors, allowed are at least 2")
    spread = np.sqrt(np.diag(reference.scatter) / reference.count)
    if not spread.any():
        raise ValueError("reference: no feature varies")
    scale = np.where(spread > 0, spread, 1.0)
    values, vectors = np.linalg.eigh(reference.scatter / reference.count / np.outer(scale, scale))
    held = np.cumsum(values[::-1]) / values.sum()
    count = int(np.searchsorted(held, share, side="right")) + 1
    if count >= reference.dimension:
        raise ValueError(f"share: got {share!r}, which takes all {reference.dimension} components")
    return PrincipalSubspace(
        mean=reference.mean.copy(),
        scale=scale,
        components=np.ascontiguousarray(vectors.T[::-1][:count]),
        kept=float(held[count - 1]),
    )
