"""The rate of each cell as smooth as few labels allow: effects of single values, then the cell's own labels."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np

from detectors.arrays import Floats, Ints
from detectors.attribution.cells import Dimension, Role

CELL_LABELS: Final = 25.0
"""Labels of a cell that weigh as much as what its values say together."""
VALUE_EVENTS: Final = 2.0
"""Events of the overall rate that each value's effect is shrunk by."""

SWEEPS: Final = 5
"""Effects of values that occur together nearly independently settle within three."""


def smooth_rate(
    events: Floats, exposure: Floats, *, effective: Floats, codes: Ints, dimensions: tuple[Dimension, ...]
) -> Floats:
    """Events for each unit of exposure in each cell (cells,), for sums of weights with `effective` labels behind them.

    Iterative proportional fitting of rate = overall x product of one effect for each value, and for each pair of a
    version or reviewer with a value of another dimension, each effect shrunk; then the cell's own rate at the weight
    effective / (effective + 25). The rarer of events and non-events should be passed: effects multiply.

    >>> axis = (Dimension("language", ("en", "pt")),)
    >>> both = np.array([[0], [1]])
    >>> found = smooth_rate(np.array([50.0, 400.0]), np.full(2, 1000.0), effective=np.full(2, 1e3), codes=both,
    ...     dimensions=axis)
    >>> found.round(2).tolist()
    [0.05, 0.4]
    """
    total, size = float(exposure.sum()), len(events)
    overall = float(events.sum()) / total if total > 0 else 0.0
    if overall == 0.0 or size == 0:
        return np.full(size, overall)
    per_label = total / max(float(effective.sum()), 1e-300)
    extent = [len(dimension.values) for dimension in dimensions]
    margins = [codes[:, place] for place in range(len(extent)) if extent[place] > 1]
    for one, two in itertools.combinations(range(len(extent)), 2):
        if min(extent[one], extent[two]) > 1 and {dimensions[one].role, dimensions[two].role} != {Role.SEGMENT}:
            margins.append(codes[:, one] * extent[two] + codes[:, two])
    observed = [np.bincount(margin, events) for margin in margins]
    effects = [np.ones(len(sums)) for sums in observed]
    rate, prior = np.full(size, overall), VALUE_EVENTS * per_label
    for _ in range(SWEEPS):
        for at, margin in enumerate(margins):
            rest = rate / effects[at][margin]
            effects[at] = (observed[at] + prior) / (np.bincount(margin, exposure * rest) + prior)
            rate = rest * effects[at][margin]
    own = np.divide(events, exposure, out=np.zeros(size), where=exposure > 0)
    weight = effective / (effective + CELL_LABELS)
    found: Floats = weight * own + (1.0 - weight) * rate
    return found
