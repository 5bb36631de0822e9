"""Tallies against a dictionary of sums."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.tally import MERGE_AT, Tally
from tests.core.strategies import examples

ENTRY = st.tuples(st.integers(0, 20), st.integers(-3, 3))


@examples(150)
@given(additions=st.lists(st.lists(ENTRY, max_size=6), max_size=8), read=st.sets(st.integers(0, 7)))
def test_a_tally_holds_the_sums_without_zeros_in_order_of_place(
    additions: list[list[tuple[int, int]]], read: set[int]
) -> None:
    tally, expected = Tally(), Counter[int]()
    for number, entries in enumerate(additions):
        place = np.array([place for place, _ in entries], dtype=np.int64)
        tally.add(place, np.array([value for _, value in entries], dtype=np.int64))
        for where, value in entries:
            expected[where] += value
        if number in read:
            tally.items()
    places, sums = tally.items()
    found = list(zip(places.tolist(), sums.tolist(), strict=True))
    assert sorted((where, total) for where, total in expected.items() if total) == found


def test_what_is_collected_stays_within_a_multiple_of_what_is_held() -> None:
    tally = Tally()
    one = np.ones(100, dtype=np.int64)
    for _ in range(1000):
        tally.add(np.arange(100), one)
        assert tally._added <= MERGE_AT + 100
    assert [1000] * 100 == tally.items()[1].tolist()
