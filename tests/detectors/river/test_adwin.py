"""ADWIN's adapter against River itself."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from detectors import Adwin, StateMismatch


def first_alarm_of_river(spec: Adwin, values: list[float]) -> int | None:
    theirs = drift.ADWIN(
        delta=spec.delta,
        clock=spec.clock,
        max_buckets=spec.max_buckets,
        min_window_length=spec.min_window_length,
        grace_period=spec.warm_up,
    )
    for index, value in enumerate(values):
        theirs.update(value)
        if theirs.drift_detected:
            return index
    return None


def first_alarm(spec: Adwin, values: Sequence[float]) -> int | None:
    logic = spec.build()
    found = ((index, logic.update(value)) for index, value in enumerate(values))
    return next((index for index, reading in found if reading is not None and reading.alarm), None)


def test_the_change_of_rivers_documentation_is_found_at_its_index() -> None:
    rng = random.Random(12345)
    values = rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)

    assert 1023 == first_alarm(Adwin(clock=32, warm_up=10), values)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    shift=st.floats(-0.5, 0.5),
    delta=st.sampled_from([0.002, 0.05, 0.5]),
    clock=st.sampled_from([1, 8, 32]),
)
def test_it_agrees_with_river_up_to_the_first_alarm(seed: int, shift: float, delta: float, clock: int) -> None:
    rng = random.Random(seed)
    values = [rng.random() + (shift if index >= 300 else 0.0) for index in range(600)]
    spec = Adwin(delta=delta, clock=clock, warm_up=10)

    assert first_alarm_of_river(spec, values) == first_alarm(spec, values)


def test_a_cut_drops_the_old_part_and_keeps_the_new_as_published() -> None:
    logic = Adwin().build()
    for value in [0.9] * 1000:
        logic.update(value)
    assert 1000 == logic.width

    for value in [0.6] * 1000:
        logic.update(value)

    assert 1000 <= logic.width < 1100
    assert 0.6 == pytest.approx(logic.mean, abs=0.03)


def test_the_statistic_is_the_share_of_the_window_that_was_cut_off() -> None:
    logic = Adwin().build()
    for value in [0.9] * 300 + [0.5] * 300:
        before = logic.width + 1
        reading = logic.update(value)
        if reading is not None:
            assert (before - logic.width) / before == reading.statistic


def test_an_empty_window_has_no_mean() -> None:
    assert Adwin().build().mean is None


def test_a_state_with_other_parameters_is_refused_even_without_its_fingerprint() -> None:
    with pytest.raises(StateMismatch, match=r"the state has parameters \(0.002, 1, 5, 5, 60\)"):
        Adwin(delta=0.1).build(Adwin().build().snapshot())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("delta", 0),
        ("delta", 1),
        ("delta", float("nan")),
        ("clock", 0),
        ("max_buckets", 1),
        ("min_window_length", 0),
        ("warm_up", 0),
        ("clock", 2.5),
    ],
)
def test_impossible_parameters_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"Adwin\.{name}: Expected"):
        Adwin(**{name: value})  # type: ignore[arg-type]  # wrong on purpose
