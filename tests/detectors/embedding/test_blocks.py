"""The block permutation test against enumeration, and its level where vectors within a block go together."""

import itertools
from functools import reduce

import numpy as np
import pytest

from detectors.embedding import Moments, block_permutation_test, frechet, hotelling, mean_shift, merge, moments


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


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e7, 1e12])
def test_a_statistic_without_units_has_the_same_p_value_in_all_units_and_that_of_going_through_every_split(
    unit: float,
) -> None:
    rng = np.random.default_rng(71)
    vectors = [rng.normal(0.3 * (number > 3), 1.0, (12, 2)) for number in range(7)]
    blocks = [moments(unit * each) for each in vectors]

    def mahalanobis(left: Moments, right: Moments) -> float:
        return float(hotelling(left, right).statistic)

    # Of the same vectors themselves, in units of 1.
    splits = [([*chosen], [*{*range(7)} - {*chosen}]) for chosen in itertools.combinations(range(7), 4)]
    squared = []
    for left, right in splits:
        one, two = np.concatenate([vectors[at] for at in left]), np.concatenate([vectors[at] for at in right])
        within = ((len(one) - 1) * np.cov(one.T) + (len(two) - 1) * np.cov(two.T)) / (len(one) + len(two) - 2)
        apart = one.mean(axis=0) - two.mean(axis=0)
        squared.append(float(apart @ np.linalg.solve(within, apart)) * len(one) * len(two) / (len(one) + len(two)))
    exact = np.mean(np.array(squared) >= squared[0] * (1 - 1e-9))

    draws = np.random.default_rng(72)
    found = block_permutation_test(mahalanobis, blocks[:4], blocks[4:], generator=draws, draws=1999)

    assert exact == pytest.approx(found, abs=4 * np.sqrt(exact * (1 - exact) / 1999) + 1 / 2000)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_deals_that_differ_in_which_side_is_which_are_equal(unit: float) -> None:
    rng = np.random.default_rng(73)
    blocks = [moments(unit * rng.normal(5.0 * (number > 2), 1.0, (9, 3))) for number in range(6)]

    found = block_permutation_test(apart, blocks[:3], blocks[3:], generator=rng, draws=1999)

    # Of 20 deals two part the blocks as observed.
    assert 0.1 == pytest.approx(found, abs=4 * np.sqrt(0.1 * 0.9 / 1999))


def test_the_least_p_value_is_that_of_no_draw_as_large_however_few_ways_there_are_to_deal() -> None:
    rng = np.random.default_rng(74)
    blocks = [moments(rng.normal(5.0 * (number > 3), 1.0, (9, 3))) for number in range(8)]

    def rise(left: Moments, right: Moments) -> float:
        return float((right.mean - left.mean).sum())

    found = [block_permutation_test(rise, blocks[:4], blocks[4:], generator=rng, draws=39) for _ in range(200)]

    # One deal in 70 is that observed: none of 39 draws is it with probability (69/70)^39.
    none = (69 / 70) ** 39
    assert 1 / 40 == min(found)
    assert none == pytest.approx(np.mean(np.array(found) == 1 / 40), abs=4 * np.sqrt(none * (1 - none) / 200))


def test_where_all_deals_are_equal_nothing_is_found() -> None:
    same = moments(np.random.default_rng(75).normal(size=(9, 2)))

    assert 1.0 == block_permutation_test(apart, [same] * 4, [same] * 4, generator=np.random.default_rng(0), draws=39)


def test_a_statistic_that_is_not_defined_has_no_p_value_and_one_drawn_is_no_evidence() -> None:
    rng = np.random.default_rng(76)
    blocks = [moments(rng.normal(size=(9, 2))) for _ in range(4)]

    def undefined(left: Moments, right: Moments) -> float:
        return float("nan")

    def seen(left: Moments, right: Moments) -> float:
        return 1.0 if left.mean[0] == reduce(merge, blocks[:2]).mean[0] else float("nan")

    assert np.isnan(block_permutation_test(undefined, blocks[:2], blocks[2:], generator=rng, draws=39))
    assert 1.0 == block_permutation_test(seen, blocks[:2], blocks[2:], generator=rng, draws=39)
