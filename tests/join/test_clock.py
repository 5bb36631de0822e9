"""The clock of a log."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from monitor.join.clock import WINDOW, LogClock
from tests.core.strategies import examples

times = st.lists(st.integers(min_value=0, max_value=10**13), min_size=1, max_size=200)


@examples(60)
@given(timestamps=times | times.map(sorted))
def test_the_clock_is_the_running_maximum_of_the_low_median_of_the_last_timestamps(timestamps: list[int]) -> None:
    clock = LogClock()
    cut = len(timestamps) // 2
    reached = clock.see(timestamps[:cut]) + clock.see(timestamps[cut:])
    medians = [statistics.median_low(timestamps[max(0, n - WINDOW) : n]) for n in range(1, len(timestamps) + 1)]
    assert [max(medians[: n + 1]) for n in range(len(medians))] == reached


@examples(40)
@given(timestamps=times, cut=st.integers(min_value=0, max_value=200))
def test_a_clock_goes_on_from_its_state(timestamps: list[int], cut: int) -> None:
    whole, first = LogClock(), LogClock()
    whole.see(timestamps)
    for at in timestamps[:cut]:
        first.see([at])
    second = LogClock(first.recent, reached_ms=first.reached_ms)
    second.see(timestamps[cut:])
    assert (whole.recent, whole.reached_ms) == (second.recent, second.reached_ms)


def test_one_absurd_timestamp_moves_a_clock_nowhere() -> None:
    clock = LogClock()
    clock.see([1000, 1001, 1002, 10**15, 1003])
    assert 1002 == clock.reached_ms
