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
    rhythm of the day between them. There must be enough ways to deal: 4 and 4 blocks have 70, so p is never below 1/70;
    some 8 and 8 are the least for p < .001. Costs `draws` times (blocks merges of d^2 and one statistic).

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
    everything = reduce(merge, blocks)
    observed = statistic(reduce(merge, reference), reduce(merge, current))
    tolerance = 1e-9 * max(abs(observed), float(np.trace(everything.scatter)) / max(everything.count, 1) * 1e-3)
    reached = 1
    for _ in range(draws):
        order = generator.permutation(len(blocks))
        left = reduce(merge, [blocks[place] for place in order[: len(reference)]])
        right = reduce(merge, [blocks[place] for place in order[len(reference) :]])
        reached += statistic(left, right) >= observed - tolerance
    return reached / (1 + draws)
