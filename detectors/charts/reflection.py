"""The sum of whole numbers that is held at 0 from below: S = max(0, S + increment), for a whole series at once."""

from __future__ import annotations

import numpy as np

from detectors.arrays import Ints


def reflected(increments: Ints, start: int) -> Ints:
    """S after each of `increments` (n,), from `start` >= 0: the sum less the lowest that it has been. Exact.

    >>> reflected(np.array([-1, 6, -1, -1]), 0).tolist()
    [0, 6, 5, 4]
    """
    total = np.add.accumulate(increments)
    return total - np.minimum(np.minimum.accumulate(total), -start) if len(total) else total
