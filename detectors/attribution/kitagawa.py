"""Kitagawa's decomposition of a change in a rate into mix and rates, category by category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, finite, nonnegative


@dataclass(frozen=True, slots=True, eq=False)
class MixAndRate:
    """Effects of shape (..., categories); summed over the last axis and added they are `change`, shape (...)."""

    change: Floats
    mix: Floats
    rate: Floats


def kitagawa(
    reference_volume: npt.ArrayLike,
    reference_rate: npt.ArrayLike,
    *,
    current_volume: npt.ArrayLike,
    current_rate: npt.ArrayLike,
) -> MixAndRate:
    """With shares q, Q of the volume and rates r, R: Sum QR - Sum qr = Sum (Q - q)(m - M) + Sum (R - r)(q + Q)/2.

    m = (r + R)/2 is a category's mean rate and M the mean of both windows' total rates: subtracting M changes no sum
    (shares add up to 1) and lets a category say whether it grew *and* is worse than the whole. No interaction is left
    over; for two factors this is also the Shapley value. Volumes are counts or weights, last axis the categories.

    A category without volume in a window has no rate there; whatever `*_rate` holds (any finite number) is replaced by
    the other window's, so that its coming or going is mix. NaN where a window has no volume at all.

    It misleads where a category hides a change of mix inside it: use `decompose` on the finest cells that are counted.
    Source: Kitagawa 1955, JASA 50(272), as symmetric form; Das Gupta 1993, Standardization and Decomposition of Rates.

    Raises ValueError for volumes that are negative and for numbers that are not finite.

    >>> found = kitagawa([50, 50], [0.95, 0.85], current_volume=[20, 80], current_rate=[0.95, 0.85])
    >>> found.mix.round(4).tolist(), found.rate.tolist(), round(float(found.change), 4)
    ([-0.0195, -0.0105], [0.0, 0.0], -0.03)
    """
    volume, volume_now, rate, rate_now = np.broadcast_arrays(
        nonnegative("reference_volume", reference_volume),
        nonnegative("current_volume", current_volume),
        finite("reference_rate", reference_rate),
        finite("current_rate", current_rate),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        share = volume / volume.sum(axis=-1, keepdims=True)
        share_now = volume_now / volume_now.sum(axis=-1, keepdims=True)
    rate, rate_now = np.where(volume > 0, rate, rate_now), np.where(volume_now > 0, rate_now, rate)
    total, total_now = (share * rate).sum(axis=-1), (share_now * rate_now).sum(axis=-1)
    middle = (0.5 * (total + total_now))[..., None]
    return MixAndRate(
        change=total_now - total,
        mix=(share_now - share) * (0.5 * (rate + rate_now) - middle),
        rate=0.5 * (share + share_now) * (rate_now - rate),
    )
