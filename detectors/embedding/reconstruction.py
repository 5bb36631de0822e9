"""PCA reconstruction error: how far do the embeddings leave the subspace in which the reference lies?

It sees new directions, which a distance of means misses; it is blind to moves within the subspace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.embedding.moments import Moments, pooled_covariance

_ROUNDING: Final = 4.0 * float(np.finfo(np.float64).eps)
"""Times d, the share of a variance that the arithmetic alone may leave outside of a subspace that holds it whole."""


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Mean squared distance from the subspace, of reference and current vectors, and the share that it keeps.

    `kept` is the share of the reference's variance within the subspace.
    """

    reference: float
    current: float
    kept: float

    @property
    def ratio(self) -> float:
        """Current over reference: 1 without drift; NaN where the subspace holds the reference whole."""
        return self.current / self.reference if self.reference > 0 else float("nan")


def reconstruction(reference: Moments, current: Moments, *, components: int) -> Reconstruction:
    """Mean squared error of both sides, projected on the first principal components of the reference.

    With P the projection on the other directions and r the reference mean: tr(P S) for the reference and tr(P (S + (m -
    r)(m - r)^T)) for the current window, S with divisor n. Both follow from the sums, no vector is needed again. (Root
    mean squares are near, but not equal, to the mean errors that other libraries print.) The reference error is too
    small where n is not far above d: the components were fitted to it. Errors that are no more than rounding are 0.
    ValueError for `components` outside 1 to d - 1.

    >>> from detectors.embedding import moments
    >>> line = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.1], [0.0, -0.1]])
    >>> found = reconstruction(moments(line), moments(line + [0.0, 1.0]), components=1)
    >>> round(found.reference, 6), round(found.current, 6), round(found.kept, 4)
    (0.005, 1.005, 0.9901)
    """
    pooled_covariance(reference, current)
    if not 1 <= components < reference.dimension:
        raise ValueError(f"components: got {components}, allowed is 1 to {reference.dimension - 1}")
    values, vectors = np.linalg.eigh(reference.scatter / reference.count)
    outside = vectors[:, : reference.dimension - components]
    apart = (current.mean - reference.mean) @ outside
    spread = ((outside.T @ current.scatter) * outside.T).sum() / current.count
    whole = float(values.sum())
    error = _error(float(np.maximum(values[: reference.dimension - components], 0.0).sum()), whole, reference.dimension)
    moved = float(np.trace(current.scatter)) / current.count + float(((current.mean - reference.mean) ** 2).sum())
    return Reconstruction(
        reference=error,
        current=_error(float(spread + (apart**2).sum()), moved, reference.dimension),
        kept=1.0 - error / whole if whole > 0 else float("nan"),
    )


def _error(found: float, whole: float, dimension: int) -> float:
    """`found`, the part outside of the subspace of `whole`, a mean square; 0 where rounding alone may be it."""
    return found if found > _ROUNDING * dimension * whole else 0.0
