"""Cohorts and windows against a list of everything that was ever added, recomputed from nothing at each look."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cohorts import DAY, HOUR, WINDOWS, Cohorts, Level, Window
from tests.core.strategies import T0, examples

WIDTH = 3
DAILY = np.array([True, False, True])
NOW = T0 // 60

Sums = dict[tuple[int, int], dict[int, int]]
"""(level, start) to place to value"""


@dataclass
class Raw:
    """What was added, as it was added: (minute, place, value), and where the clock stands."""

    now: int
    added: list[tuple[int, int, int]] = field(default_factory=list)

    def window(self, window: Window, rows: int) -> list[list[int]]:
        """A running hour (or minute, by the grain) and whole ones before it, as long as the window says.

        What lies up to a day ahead of the clock counts too.
        """
        begin = self.now // window.grain * window.grain + window.grain - window.minutes
        sums = np.zeros((rows, WIDTH), dtype=np.int64)
        for minute, place, value in self.added:
            if begin <= minute <= self.now + 1440:
                sums[place // WIDTH, place % WIDTH] += value
        return sums.tolist()

    def cohorts(self) -> Sums:
        """Minutes for this hour and two before, hours for today and eight days before, days for 181 days in all."""
        hour, day = self.now // HOUR, self.now // DAY
        found: defaultdict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        for minute, place, value in self.added:
            if minute // HOUR > hour - 3:
                found[1, minute][place] += value
            elif minute // DAY > day - 9:
                found[HOUR, minute // HOUR * HOUR][place] += value
            elif minute // DAY > day - 181 and DAILY[place % WIDTH]:
                found[DAY, minute // DAY * DAY][place] += value
        pruned = {key: {place: n for place, n in sums.items() if n} for key, sums in found.items()}
        return {key: sums for key, sums in pruned.items() if sums}


def held(cohorts: Cohorts) -> Sums:
    found: Sums = {}
    for level, start in cohorts.cohorts():
        sums = cohorts.cohort(level, start)
        assert sums is not None
        if sums[0].size:
            found[int(level), start] = dict(zip(sums[0].tolist(), sums[1].tolist(), strict=True))
    return found


def agree(cohorts: Cohorts, raw: Raw, rows: int) -> None:
    assert raw.now == cohorts.now
    for window in WINDOWS:
        assert raw.window(window, rows) == cohorts.window(window).tolist()
    assert raw.cohorts() == held(cohorts)


Step = tuple[str, int, list[tuple[int, int]]]

AGO = st.one_of(
    st.integers(-3, 300),
    st.integers(-3 * DAY, 3 * DAY),
    st.integers(6 * DAY, 11 * DAY),
    st.integers(170 * DAY, 190 * DAY),
)
STEP = st.one_of(
    st.integers(0, 90), st.sampled_from([HOUR, DAY, 7 * DAY]), st.integers(0, 3 * DAY), st.integers(0, 200 * DAY)
)
ADD: st.SearchStrategy[Step] = st.tuples(
    st.just("add"), AGO, st.lists(st.tuples(st.integers(0, 4 * WIDTH - 1), st.integers(-5, 50)), max_size=4)
)
ADVANCE: st.SearchStrategy[Step] = st.tuples(st.just("advance"), STEP, st.just([]))


@examples(150)
@given(steps=st.lists(st.one_of(ADD, ADD, ADVANCE), max_size=30), restart=st.sets(st.integers(0, 29), max_size=3))
def test_any_sequence_of_adding_and_advancing_equals_a_recomputation_from_what_was_added(
    steps: list[Step], restart: set[int]
) -> None:
    cohorts, raw, rows = Cohorts(width=WIDTH, daily=DAILY), Raw(NOW), 1
    cohorts.advance(NOW)
    cohorts.resize(rows)
    for number, (what, minutes, entries) in enumerate(steps):
        if what == "advance":
            raw.now += minutes
            cohorts.advance(raw.now)
        else:
            minute = raw.now - minutes
            places = dict(entries)
            rows = max([rows, *(place // WIDTH + 1 for place in places)])
            cohorts.resize(rows)
            place = np.array(list(places), dtype=np.int64)
            cohorts.add(minute, place, np.array(list(places.values()), dtype=np.int64))
            raw.added += [(minute, where, value) for where, value in places.items()]
        if number in restart:
            cohorts = restarted(cohorts, rows)
        agree(cohorts, raw, rows)


def restarted(before: Cohorts, rows: int) -> Cohorts:
    kept = {(level, start): before.cohort(level, start) for level, start in before.cohorts()}
    after = Cohorts(width=WIDTH, daily=DAILY)
    assert before.now is not None
    after.restore(before.now, rows, {key: sums for key, sums in kept.items() if sums is not None})
    return after


def one(value: int = 1, column: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return np.array([column]), np.array([value])


def ready(now: int = NOW) -> Cohorts:
    cohorts = Cohorts(width=WIDTH, daily=DAILY)
    cohorts.advance(now)
    cohorts.resize(1)
    return cohorts


def total(cohorts: Cohorts, name: str) -> int:
    window = next(window for window in WINDOWS if window.name == name)
    return int(cohorts.window(window).sum())


def test_a_window_ends_with_the_running_minute_or_hour() -> None:
    now = NOW - NOW % HOUR + 17
    assert [now - 4, now - 59, now - 17 - 23 * HOUR, now - 17 - (7 * 24 - 1) * HOUR] == [
        window.start(now) for window in WINDOWS
    ]


@pytest.mark.parametrize(("name", "minutes"), [("5m", 5), ("1h", 60)])
def test_a_sum_leaves_a_window_of_minutes_when_it_is_as_old_as_the_window(name: str, minutes: int) -> None:
    cohorts = ready()
    cohorts.add(NOW, *one())
    cohorts.advance(NOW + minutes - 1)
    assert 1 == total(cohorts, name)
    cohorts.advance(NOW + minutes)
    assert 0 == total(cohorts, name)


def test_what_lies_years_ahead_is_in_no_window_until_the_clock_is_a_day_away() -> None:
    cohorts = ready()
    cohorts.add(NOW + 365 * DAY, *one(7))
    cohorts.add(NOW + DAY, *one())
    assert {1} == {total(cohorts, window.name) for window in WINDOWS}
    cohorts.advance(NOW + 364 * DAY - 1)
    assert {0} == {total(cohorts, window.name) for window in WINDOWS}
    cohorts.advance(NOW + 364 * DAY)
    assert {7} == {total(cohorts, window.name) for window in WINDOWS}


def test_late_sums_change_no_window_they_do_not_belong_to() -> None:
    cohorts = ready()
    for minute in range(NOW - 50, NOW):
        cohorts.add(minute, *one())
    before = {window.name: cohorts.window(window).tobytes() for window in WINDOWS[:2]}
    for late in (NOW - 2 * HOUR, NOW - 2 * DAY, NOW - 170 * DAY, NOW - 400 * DAY):
        cohorts.add(late, *one(7))
    assert before == {window.name: cohorts.window(window).tobytes() for window in WINDOWS[:2]}
    assert 50 + 7 == total(cohorts, "24h")


def test_what_is_older_than_the_horizon_opens_no_cohort() -> None:
    cohorts = ready()
    cohorts.add(NOW - 182 * DAY, *one())
    cohorts.add(-(10**9), *one())
    assert [] == list(cohorts.cohorts())


def test_memory_is_bounded_by_180_minutes_216_hours_and_181_days() -> None:
    now = NOW - NOW % DAY
    cohorts = ready(now)
    for minute in range(now, now + 200 * DAY, 30):
        cohorts.advance(minute)
        cohorts.add(minute, *one())
    counts = Counter(level for level, _ in cohorts.cohorts())
    assert counts[Level.MINUTE] <= 180 // 30 * 30
    assert counts[Level.HOUR] <= 9 * 24
    assert counts[Level.DAY] <= 181


def test_the_clock_never_runs_backwards() -> None:
    cohorts = ready()
    cohorts.add(NOW, *one())
    cohorts.advance(NOW - 100)
    assert NOW == cohorts.now
    assert 1 == total(cohorts, "5m")


def test_touched_names_exactly_the_cohorts_that_changed() -> None:
    now = NOW - NOW % DAY + 5
    cohorts = ready(now)
    cohorts.add(now, *one())
    assert {(Level.MINUTE, now)} == cohorts.touched
    cohorts.touched.clear()
    cohorts.advance(now + 3 * HOUR)
    assert {(Level.MINUTE, now), (Level.HOUR, now - 5)} == cohorts.touched
    cohorts.touched.clear()
    cohorts.advance(now + 9 * DAY)
    assert {(Level.HOUR, now - 5), (Level.DAY, now - 5)} == cohorts.touched
    cohorts.touched.clear()
    cohorts.advance(now + 181 * DAY)
    assert {(Level.DAY, now - 5)} == cohorts.touched
    assert [] == list(cohorts.cohorts())


def test_nothing_can_be_added_before_there_is_a_clock() -> None:
    with pytest.raises(ValueError, match="expected a clock before the first sum"):
        Cohorts(width=WIDTH, daily=DAILY).add(NOW, *one())
