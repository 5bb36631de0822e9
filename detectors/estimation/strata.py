"""Strata (score bins) with too few labels are joined to a neighbour; none is dropped."""

from __future__ import annotations

import numpy as np

from detectors.arrays import Floats, Ints


def collapse(labels: Floats, *others: Floats, least: int) -> tuple[list[Floats], Ints]:
    """Sums (..., strata) in which no stratum holds 1 to `least` - 1 labels, and how many strata were joined, (...).

    A short stratum joins the next one; what is short at the end joins the one before. A stratum that has joined another
    is 0 in every array; one that is 0 in every array from the start is left alone. Neighbours must be alike: order
    strata by score. Fewer labels than `least` in all end up in the first stratum. `labels` comes first in the list.

    >>> (labels, sizes), joined = collapse(np.array([5.0, 0.0, 3.0, 1.0]), np.array([50.0, 40.0, 30.0, 20.0]), least=2)
    >>> labels.tolist(), sizes.tolist(), int(joined)
    ([5.0, 0.0, 4.0, 0.0], [50.0, 0.0, 90.0, 0.0], 2)
    """
    sums = [np.array(one) for one in np.broadcast_arrays(labels, *others)]
    strata = sums[0].shape[-1]
    occupied = np.any([one != 0 for one in sums], axis=0).sum(axis=-1)
    forward = [(h, h + 1) for h in range(strata - 1)]
    backward = [(h, h - 1) for h in range(strata - 1, 0, -1)]
    for here, there in forward + backward:
        short = sums[0][..., here] < least
        for one in sums:
            one[..., there] += np.where(short, one[..., here], 0.0)
            one[..., here] = np.where(short, 0.0, one[..., here])
    left = np.any([one != 0 for one in sums], axis=0).sum(axis=-1)
    return sums, np.asarray(occupied - left, dtype=np.int64)
