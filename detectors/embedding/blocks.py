"""A p-value for any statistic of Moments, from blocks: are these blocks of time arranged as chance would have them?

It asks no normality and no independence of vectors within a block: only that whole blocks could change places. That is
what near-duplicates and campaigns leave standing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from detectors.embedding.moments import Moments, merge


def block_permutation_test(
    statistic: Callable[[Moments, Moments], float],
    reference: Sequence[Moments],
    current: Sequence[Moments],
    *,
    generator: np.random.Generator,
    draws: int = 199,
) -> float:
    """p-value of `statistic(reference, current)`, larger meaning more drift, by dealing the blocks out anew.

    `reference` and `current` are Moments of blocks (an hour, a campaign) of about equal size. p = (1 + draws at least
    as large) / (1 + draws), so at most `alpha` with probability `alpha` without drift, if blocks are exchangeable: no
    rhythm of the day between them. Statistics that differ by less than 1e-9 of the observed one or of the median drawn
    one are equal, in whatever units. p is at least 1 / (1 + draws).

    There must be enough ways to deal: 4 and 4 blocks have 70, so one draw in 70 deals what was observed (one in 35
    where the sides may change places without another statistic), and p is below that only by luck of the draws. Some 8
    and 8 are the least for p < .001. Costs `draws` times (blocks merges of d^2 and one statistic).

    NaN where the observed statistic is; a drawn NaN counts as at least as large. Raises ValueError without blocks on a
    side or without draws.

    >>> from detectors.embedding import frechet, moments
    >>> rng = np.random.default_rng(5)
    >>> before = [moments(rng.normal(size=(50, 3))) for _ in range(8)]
    >>> after = [moments(rng.normal(0.0, 2.0, (50, 3))) for _ in range(8)]
    >>> spread = lambda left, right: frechet(left, right).covariance_part
    >>> block_permutation_test(spread, before, after, generator=rng)
    0.005
    """
    if not reference or not current or draws < 1:
        raise ValueError(
            f"blocks: {len(reference)} and {len(current)}, {draws} draws, allowed are at least one of each"
        )
    blocks = [*reference, *current]
    observed = statistic(reduce(merge, reference), reduce(merge, current))
    if np.isnan(observed):
        return float("nan")
    drawn = np.empty(draws)
    for number in range(draws):
        order = generator.permutation(len(blocks))
        # Merged in the order of the blocks, the same deal has the same statistic to the last bit.
        parts = np.sort(order[: len(reference)]), np.sort(order[len(reference) :])
        drawn[number] = statistic(*(reduce(merge, [blocks[place] for place in part]) for part in parts))
    finite = np.abs(drawn[np.isfinite(drawn)])
    scale = max(abs(observed) if np.isfinite(observed) else 0.0, float(np.median(finite)) if finite.size else 0.0)
    below = drawn < observed - 1e-9 * scale
    return (1 + draws - int(np.count_nonzero(below))) / (1 + draws)
