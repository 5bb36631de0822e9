"""Seen ids against a list of everything that was ever added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.seen_ids import AGES, TAGS, SeenIds
from tests.core.strategies import examples

FORWARD = (0, 1, 2, 3, AGES, TAGS - 1, TAGS, 2 * TAGS)
STEP = st.tuples(st.sampled_from(FORWARD), st.lists(st.integers(0, 11), max_size=8))
"""(blocks to go on, ids out of a pool)"""


def crowded(seen: SeenIds) -> SeenIds:
    """With four slots, so that every id shares one with others."""
    seen._slots = np.zeros(4, dtype=np.uint16)
    seen._shift = np.uint64(62)
    return seen


@examples(200)
@given(
    steps=st.lists(STEP, max_size=25),
    horizon=st.sampled_from([1, 2, 3, AGES, AGES + 1, 3 * AGES + 1]),
    seed=st.integers(0, 1000),
    start=st.sampled_from([0, 5, TAGS - 3, 3 * TAGS - 1]),
    narrow=st.booleans(),
)
def test_an_id_is_seen_first_where_no_equal_one_was_within_the_horizon(
    steps: list[tuple[int, list[int]]], horizon: int, seed: int, start: int, narrow: bool
) -> None:
    pool = np.random.default_rng(seed).integers(0, 2**64, 12, dtype=np.uint64)
    seen = SeenIds(horizon=horizon, block_size=16)
    if narrow:
        seen = crowded(seen)
    history: list[tuple[int, int]] = []
    number = start
    seen.begin(number)
    for forward, chosen in steps:
        if forward:
            number += forward
            seen.begin(number)
        expected = []
        for one in chosen:
            expected.append(not any(other == one and number - at <= horizon for at, other in history))
            history.append((number, one))
        assert expected == seen.add(pool[chosen]).tolist()


@pytest.mark.parametrize("fetch", [1, 7, 64])
def test_how_the_log_is_split_into_calls_makes_no_difference(fetch: int) -> None:
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 2**64, 40, dtype=np.uint64)[rng.integers(0, 40, 64 * 8)]
    whole, split = SeenIds(horizon=2, block_size=64), SeenIds(horizon=2, block_size=64)
    for number in range(8):
        block = ids[64 * number : 64 * (number + 1)]
        whole.begin(number)
        split.begin(number)
        parts = [split.add(block[begin : begin + fetch]) for begin in range(0, 64, fetch)]
        assert whole.add(block).tolist() == np.concatenate(parts).tolist()


def test_what_has_left_the_horizon_takes_no_room() -> None:
    seen = SeenIds(horizon=2, block_size=64)
    rng = np.random.default_rng(4)
    for number in range(50):
        seen.begin(number)
        for _ in range(4):
            seen.add(rng.integers(0, 2**64, 16, dtype=np.uint64))
        assert sum(len(array) for arrays in seen._sorted.values() for array in arrays) <= 3 * 64


def test_ids_that_come_one_by_one_are_held_in_few_arrays() -> None:
    seen = SeenIds(horizon=1, block_size=1000)
    seen.begin(0)
    for one in np.random.default_rng(5).integers(0, 2**64, 1000, dtype=np.uint64):
        assert [True] == seen.add(np.array([one])).tolist()
        assert len(seen._sorted[0]) <= 10
    assert 1000 == sum(map(len, seen._sorted[0]))
