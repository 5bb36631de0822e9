"""The block permutation test against enumeration, and its level where vectors within a block go together."""

import itertools
from functools import reduce

import numpy as np
import pytest

from detectors.embedding import Moments, block_permutation_test, frechet, mean_shift, merge, moments


def apart(left: Moments, right: Moments) -> float:
    return float(np.abs(left.mean - right.mean).sum())


def test_it_agrees_with_going_through_every_split() -> None:
    rng = np.random.default_rng(68)
    blocks = [moments(rng.normal(0.1 * number, 1.0, (12, 2))) for number in range(7)]
    observed = apart(reduce(merge, blocks[:4]), reduce(merge, blocks[4:]))
    reached = []
    for chosen in itertools.combinations(range(7), 4):
        left = reduce(merge, [blocks[place] for place in chosen])
        right = reduce(merge, [blocks[place] for place in range(7) if place not in chosen])
        reached.append(apart(left, right) >= observed - 1e-12)

    found = block_permutation_test(apart, blocks[:4], blocks[4:], generator=rng, draws=3000)

    assert np.mean(reached) == pytest.approx(found, abs=0.03)


def test_campaigns_within_blocks_fool_a_test_of_vectors_and_not_a_test_of_blocks() -> None:
    rng = np.random.default_rng(69)
    by_vector, by_block = [], []
    for _ in range(150):
        blocks = [moments(rng.normal(size=(20, 2)) + rng.normal(size=2)) for _ in range(12)]
        sides = blocks[:6], blocks[6:]
        by_vector.append(float(mean_shift(reduce(merge, sides[0]), reduce(merge, sides[1])).p_value) <= 0.05)
        by_block.append(block_permutation_test(apart, *sides, generator=rng, draws=39) <= 0.05)

    assert np.mean(by_vector) > 0.4
    assert np.mean(by_block) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_a_changed_covariance_is_found() -> None:
    rng = np.random.default_rng(70)
    before = [moments(rng.normal(size=(40, 3))) for _ in range(8)]
    after = [moments(rng.normal(size=(40, 3)) * [1.0, 1.0, 2.0]) for _ in range(8)]

    def spread(left: Moments, right: Moments) -> float:
        return frechet(left, right).covariance_part

    assert 0.01 == block_permutation_test(spread, before, after, generator=rng, draws=99)


def test_blocks_on_one_side_only_are_refused() -> None:
    block = moments(np.eye(2))

    with pytest.raises(ValueError, match="blocks: 1 and 0"):
        block_permutation_test(apart, [block], [], generator=np.random.default_rng(0))
