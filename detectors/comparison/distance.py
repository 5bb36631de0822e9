"""What every distance between a reference and a current histogram shares: the result and the reading of the counts.

`threshold` is a critical value of the sampling law, not an effect size: at 100,000 decisions every difference exceeds
it. Act on the p-value and on `effect_size`, and on neither below `minimum_sample`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats, nonnegative


@dataclass(frozen=True, slots=True, eq=False)
class Distance:
    """One statistic for each series; all arrays have the same shape (series,), or () for a single pair.

    `statistic` is NaN where either histogram is empty. `p_value` and `threshold` (a statistic above it is significant
    at the `alpha` asked for) are NaN there too, and wherever the method has no sampling law to offer.

    `effect_size` says how large the difference is, on a scale that does not grow with the samples; which quantity it is
    stands with each method. It is estimated, so it is not 0 without a shift: it settles as 1/sqrt(n).

    `minimum_sample` is the number of current observations from which on the comparison is worth reading, with the
    reference as it is: the sampling law holds, and an effect of the size that the caller named is significant with
    probability .8. It is infinite where the reference itself is too small for that, NaN where it is empty.
    """

    statistic: Floats
    p_value: Floats
    threshold: Floats
    effect_size: Floats
    minimum_sample: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """Reference and current counts of shape (series, bins) with their totals of shape (series,)."""

    reference: Floats
    current: Floats
    reference_total: Floats
    current_total: Floats

    @property
    def comparable(self) -> Bools:
        """Where both sides hold at least one observation."""
        return (self.reference_total > 0) & (self.current_total > 0)

    @property
    def sampling_scale(self) -> Floats:
        """1/n + 1/m, the variance scale of a difference between two empirical distributions; NaN where one is empty."""
        with np.errstate(divide="ignore"):
            scale = 1.0 / self.reference_total + 1.0 / self.current_total
        return np.where(self.comparable, scale, np.nan)

    @property
    def freedom(self) -> Floats:
        """Degrees of freedom of a chi-square test: bins not empty on both sides, less one; NaN with a single bin."""
        bins = ((self.reference + self.current) > 0).sum(axis=-1).astype(np.float64)
        return np.where(bins > 1, bins - 1.0, np.nan)

    def proportions(self) -> tuple[Floats, Floats]:
        """Both sides as shares of their totals, shape (series, bins); NaN where that side is empty."""
        with np.errstate(invalid="ignore"):
            return self.reference / self.reference_total[..., None], self.current / self.current_total[..., None]


def histograms(reference: npt.ArrayLike, current: npt.ArrayLike) -> Histograms:
    """Read two arrays of counts whose last axis is the bins; leading axes broadcast: one reference serves many series.

    Counts may be fractional (weighted). Raises ValueError for negative or non-finite counts and for bins that differ.

    >>> histograms([2, 3], [[1, 1], [4, 0]]).current_total.tolist()
    [2.0, 4.0]
    """
    left, right = nonnegative("reference counts", reference), nonnegative("current counts", current)
    for name, counts in (("reference", left), ("current", right)):
        if counts.ndim == 0 or counts.shape[-1] == 0:
            raise ValueError(f"{name} counts: shape {counts.shape}, allowed is (..., bins) with at least one bin")
    if left.shape[-1] != right.shape[-1]:
        raise ValueError(f"reference has {left.shape[-1]} bins and current {right.shape[-1]}, allowed are equal bins")
    left, right = np.broadcast_arrays(left, right)
    return Histograms(left, right, left.sum(axis=-1), right.sum(axis=-1))


def cumulative_difference(pair: Histograms) -> Floats:
    """F - G at the upper edge of each bin, shape (series, bins); NaN where a side is empty.

    Each side is divided by its total after it was summed: the last entry is 0 to the last bit.
    """
    with np.errstate(invalid="ignore"):
        return (
            np.cumsum(pair.reference, axis=-1) / pair.reference_total[..., None]
            - np.cumsum(pair.current, axis=-1) / pair.current_total[..., None]
        )
