"""Page-Hinkley against River, number for number, and its run length against the exact one of a CUSUM chart."""

import random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from detectors import PageHinkley

DIRECTIONS = {"rise": "up", "fall": "down", "both": "both"}

Direction = Literal["rise", "fall", "both"]


@settings(max_examples=60)
@given(
    values=st.lists(st.floats(-5, 5), max_size=200),
    direction=st.sampled_from(sorted(DIRECTIONS)),
    slack=st.sampled_from([0.0, 0.005, 0.3]),
    forgetting=st.sampled_from([1.0, 0.9999, 0.9]),
)
def test_with_a_fresh_start_after_each_alarm_it_is_river_to_the_last_bit(
    values: list[float], direction: Direction, slack: float, forgetting: float
) -> None:
    spec = PageHinkley(slack=slack, threshold=3.0, forgetting=forgetting, direction=direction, warm_up=5)
    theirs = drift.PageHinkley(
        min_instances=5, delta=slack, threshold=3.0, alpha=forgetting, mode=DIRECTIONS[direction]
    )
    ours = spec.build()
    for value in values:
        theirs.update(value)
        reading = ours.update(value)
        state = ours.snapshot()

        assert theirs.drift_detected == (reading is not None and reading.alarm)
        assert (theirs._sum_increase, theirs._min_increase) == (state.rise, state.lowest_rise)
        assert (theirs._sum_decrease, theirs._max_decrease) == (state.fall, state.highest_fall)
        if theirs.drift_detected:
            ours = spec.build()


def test_the_change_of_rivers_documentation_is_found_at_its_index() -> None:
    rng = random.Random(12345)
    values = rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)
    logic = PageHinkley(slack=0.005, threshold=50.0, forgetting=0.9999, warm_up=30).build()

    found = [index for index, value in enumerate(values) if (r := logic.update(value)) is not None and r.alarm]

    assert 1006 == found[0]


@pytest.mark.parametrize(("direction", "sees"), [("rise", 0.3), ("fall", -0.3)])
def test_one_direction_is_blind_to_the_other(direction: Direction, sees: float) -> None:
    for shift in (sees, -sees):
        logic = PageHinkley(direction=direction).build()
        found = [logic.update(0.5 + (shift if index >= 200 else 0.0)) for index in range(300)]

        assert (shift == sees) == any(reading is not None and reading.alarm for reading in found)


def test_it_never_resets_itself_after_an_alarm() -> None:
    logic = PageHinkley().build()
    found = [logic.update(0.5 if index < 500 else 0.9) for index in range(600)]

    alarms = [index for index, reading in enumerate(found) if reading is not None and reading.alarm]
    assert list(range(alarms[0], 600)) == alarms
    assert 600 == logic.snapshot().n


def test_a_forgetting_factor_wears_the_slack_out() -> None:
    quiet = [0.5 + 0.015 * (-1) ** index for index in range(60_000)]
    last = {}
    for forgetting in (1.0, 0.9999):
        logic = PageHinkley(forgetting=forgetting).build()
        for value in quiet:
            logic.update(value)
        before = logic.snapshot().rise
        logic.update(0.5)
        logic.update(0.5)
        last[forgetting] = before - logic.snapshot().rise

    assert 0.04 == pytest.approx(last[1.0], abs=1e-3)
    assert abs(last[0.9999]) < 0.04 / 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slack", -0.1),
        ("slack", float("inf")),
        ("threshold", 0),
        ("threshold", float("nan")),
        ("forgetting", 0),
        ("forgetting", 1.01),
        ("warm_up", -5),
    ],
)
def test_impossible_parameters_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"PageHinkley\.{name}: Expected"):
        PageHinkley(**{name: value})  # type: ignore[arg-type]  # wrong on purpose


def test_an_unknown_direction_is_refused() -> None:
    with pytest.raises(ValueError, match=r"PageHinkley\.direction: Invalid enum value 'up'"):
        PageHinkley(direction="up")  # type: ignore[arg-type]
