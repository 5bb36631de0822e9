"""Seen ids against a list of everything that was ever added."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import seen_ids, seen_loops
from monitor.seen_ids import SWEEPS, Hashes, SeenIds
from tests.core.strategies import examples
from tests.sources import source_of

SOURCE = source_of("monitor.seen_loops")
HORIZONS = (1, 2, 3, SWEEPS, 3 * SWEEPS + 1)
FORWARD = (0, 1, 2, 3, SWEEPS, 3 * SWEEPS, 4 * SWEEPS, 10**6)
STEP = st.tuples(st.sampled_from(FORWARD), st.lists(st.integers(0, 11), max_size=8))
"""(blocks to go on, ids out of a pool)"""


def pool_of(seed: int, homes: int) -> Hashes:
    """Ids whose slot is one of the last so many of any table, so that they displace each other beyond its end."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 2**48, 12, dtype=np.uint64)
    high = np.uint64(2**16) - rng.integers(1, homes + 1, 12, dtype=np.uint64)
    return drawn | high << np.uint64(48)


@examples(300)
@given(
    steps=st.lists(STEP, max_size=25),
    horizon=st.sampled_from(HORIZONS),
    seed=st.integers(0, 1000),
    start=st.sampled_from([0, 5, 2**16 - 3, 10**9]),
    homes=st.sampled_from([1, 2**10, 2**16]),
    numbered_anew=st.booleans(),
    least_bits=st.sampled_from([1, 3, seen_ids.LEAST_BITS]),
    compiled=st.booleans(),
)
def test_an_id_is_seen_first_where_no_equal_one_was_within_the_horizon(
    steps: list[tuple[int, list[int]]],
    horizon: int,
    seed: int,
    start: int,
    homes: int,
    numbered_anew: bool,
    least_bits: int,
    compiled: bool,
) -> None:
    pool = pool_of(seed, homes)
    seen = SeenIds(horizon=horizon, block_size=200)
    history: list[tuple[int, int]] = []
    number = start
    with (
        patch.object(seen_ids, "MOST_BLOCKS", horizon + 3 if numbered_anew else seen_ids.MOST_BLOCKS),
        patch.object(seen_ids, "LEAST_BITS", least_bits),
        patch.object(seen_ids, "seen_loops", seen_loops if compiled else SOURCE),
    ):
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


def test_blocks_are_numbered_anew_where_a_table_cannot_number_more() -> None:
    seen = SeenIds(horizon=1, block_size=4)
    ids = np.random.default_rng(1).integers(0, 2**64, 2**16 + 10, dtype=np.uint64)
    for number, one in enumerate(ids):
        seen.begin(number)
        before = ids[max(0, number - 1) : number]
        assert [*[False] * len(before), True] == seen.add(np.append(before, one)).tolist()


def test_more_ids_than_a_block_has_offsets_are_refused() -> None:
    seen = SeenIds(horizon=1, block_size=4)
    seen.begin(7)
    seen.add(np.arange(3, dtype=np.uint64))
    with pytest.raises(ValueError, match="block 7: expected at most 4 ids, got 1 more"):
        seen.add(np.arange(2, dtype=np.uint64))
    seen.begin(8)
    assert [False] == seen.add(np.arange(1, dtype=np.uint64)).tolist()


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


@pytest.mark.parametrize("horizon", HORIZONS)
def test_what_has_left_the_horizon_takes_no_room(horizon: int) -> None:
    seen = SeenIds(horizon=horizon, block_size=64)
    rng = np.random.default_rng(4)
    for number in range(4 * horizon + 50):
        seen.begin(number)
        for _ in range(4):
            assert seen.add(rng.integers(0, 2**64, 16, dtype=np.uint64)).all()
        held = np.count_nonzero(seen._block)
        assert held <= (horizon + 1 + horizon // SWEEPS) * 64 + 8  # a few at the table's end stay longer
        assert held * seen_ids.SLOTS_PER_ID <= len(seen._block)


def test_a_table_is_as_large_as_what_it_holds_needs() -> None:
    seen = SeenIds(horizon=4, block_size=2**14)
    rng = np.random.default_rng(5)
    sizes = []
    for number, ids in enumerate([10, 600, 600, 2**14, *[2**14] * 8, *[10] * 8]):
        seen.begin(number)
        assert seen.add(rng.integers(0, 2**64, ids, dtype=np.uint64)).all()
        sizes.append(len(seen._block))
    assert [1024, 1024, 2048, 2**15] == sizes[:4]
    most = 2 * seen_ids.SLOTS_PER_ID * 5 * 2**14
    assert max(sizes) == sizes[-1] <= most
    seen.begin(10**6)
    assert 1024 == len(seen._block)
