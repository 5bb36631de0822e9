"""Bounds on a share that hold whatever the labels say that have not come: all of them benign, or all violating.

They assume nothing on delays, and are as wide as the share of labels that is missing.
"""

from __future__ import annotations

import numpy as np

from detectors.arrays import Bools, Floats
from detectors.delay.arrival_curve import Triangle
from detectors.delay.ultimate import total_of
from detectors.estimation import hajek
from detectors.intervals import wilson


def bounds(
    verdicts: tuple[Triangle, Triangle], selected: Floats, square_selected: Floats, inside: Bools, confidence: float
) -> tuple[Floats, Floats]:
    """Lower limit of V / N and upper limit of 1 - B / N; V and B of the labels that have come, N of all selected.

    Each is the outer limit of Wilson's interval on `hajek`'s `interval_n`. Source: Manski 2003, Partial Identification.
    """
    every, every2 = total_of(selected, inside), total_of(square_selected, inside)
    limits = []
    for table in verdicts:
        one, one2 = (total_of(part.sum(axis=-1), inside) for part in (table.sums, table.squares))
        rest, rest2 = np.maximum(every - one, 0.0), np.maximum(every2 - one2, 0.0)
        share = hajek(one, rest, square_violating=one2, square_benign=rest2)
        limits.append(wilson(share.estimate * share.interval_n, share.interval_n, confidence=confidence).lower)
    return limits[0], 1.0 - limits[1]
