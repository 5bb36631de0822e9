"""The detectors that follow River's arithmetic, against River itself: the same alarms, and the same numbers."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from detectors import Ddm, Eddm, Fhddm, HddmA, HddmW, Kswin, Reading, Spec, StateMismatch
from detectors.river.fhddm import FhddmState
from detectors.river.kswin import KswinState

Make = Callable[[], Any]

PAIRS: list[tuple[Spec, Make]] = [
    (Ddm(), drift.binary.DDM),
    (Ddm(warm_up=5, deviations=1.5), lambda: drift.binary.DDM(warm_start=5, drift_threshold=1.5)),
    (Eddm(), drift.binary.EDDM),
    (Eddm(warm_up=4, share=0.8), lambda: drift.binary.EDDM(warm_start=4, beta=0.8)),
    (Fhddm(), drift.binary.FHDDM),
    (Fhddm(window=20, confidence=0.01), lambda: drift.binary.FHDDM(sliding_window_size=20, confidence_level=0.01)),
    (HddmA(), drift.binary.HDDMA),
    (HddmA(direction="both", confidence=0.05), lambda: drift.binary.HDDMA(0.05, 0.1, two_sided_test=True)),
    (HddmW(), drift.binary.HDDMW),
    (
        HddmW(direction="both", confidence=0.05, weight=0.1),
        lambda: drift.binary.HDDMW(0.05, 0.1, lambda_val=0.1, two_sided_test=True),
    ),
]
every_pair = pytest.mark.parametrize(
    ("spec", "make"), PAIRS, ids=[f"{type(spec).__name__}-{number % 2}" for number, (spec, _) in enumerate(PAIRS)]
)


def verdicts(seed: int, *spans: tuple[int, float]) -> list[int]:
    rng = random.Random(seed)
    return [int(rng.random() < rate) for count, rate in spans for _ in range(count)]


@every_pair
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32), before=st.floats(0.0, 1.0), after=st.floats(0.0, 1.0))
def test_with_a_fresh_start_after_each_alarm_it_alarms_where_river_does(
    spec: Spec, make: Make, seed: int, before: float, after: float
) -> None:
    theirs, ours = make(), spec.build()
    for value in verdicts(seed, (200, before), (200, after)):
        theirs.update(value)
        reading = ours.update(value)

        # EDDM repeats its last reading between errors, where River says nothing.
        assert theirs.drift_detected == (reading is not None and reading.alarm)
        if theirs.drift_detected:
            ours = spec.build()


def test_the_pairs_do_alarm() -> None:
    for spec, _ in PAIRS:
        level = (0.9, 0.1) if isinstance(spec, Fhddm) else (0.1, 0.9)
        logic = spec.build()
        found = [logic.update(value) for value in verdicts(1, (500, level[0]), (500, level[1]))]

        assert any(reading is not None and reading.alarm for reading in found[500:])


@settings(max_examples=30)
@given(values=st.lists(st.floats(0, 1), max_size=300))
def test_weighted_and_plain_means_are_rivers_to_the_last_bit(values: list[float]) -> None:
    plain, weighted = drift.binary.HDDMA(), drift.binary.HDDMW()
    ours = HddmA().build(), HddmW().build()
    for value in values:
        plain.update(value)
        weighted.update(value)
        for logic in ours:
            logic.update(value)
        if plain.drift_detected or weighted.drift_detected:
            break
        state, wide = ours[0].snapshot(), ours[1].snapshot()

        assert (plain._z.get(), plain._x_min.get(), plain._x_min.n) == (state.mean, state.rise_mean, state.rise_n)
        assert (weighted._total.ewma, weighted._total.ibc) == (wide.all.mean, wide.all.squares)
        assert weighted._s1_incr.ewma == wide.rise.before.mean
        assert weighted._incr_cutpoint == wide.rise.bound


def alarms(spec: Spec, values: list[int]) -> list[int]:
    """Places of the alarms with a fresh start after each."""
    logic, found = spec.build(), []
    for place, value in enumerate(values):
        reading = logic.update(value)
        if reading is not None and reading.alarm:
            found.append(place)
            logic = spec.build()
    return found


def test_the_changes_of_rivers_documentation_are_found_at_their_indices() -> None:
    rng = random.Random(42)
    rise = rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=[0.3, 0.7])
    rng = random.Random(42)
    fall = rng.choices([0, 1], k=250) + rng.choices([0, 1], k=250, weights=[0.9, 0.1])

    assert [1334] == alarms(Ddm(), rise)
    assert [1278] == alarms(Eddm(share=0.75), rise)
    assert [1206] == alarms(HddmA(), rise)
    assert [1077] == alarms(HddmW(), rise)
    assert 315 == alarms(Fhddm(), fall)[0]


def test_the_false_warning_of_rivers_documentation_is_the_alarm_of_a_laxer_bound() -> None:
    rng = random.Random(42)
    rise = rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=[0.3, 0.7])

    assert 451 == alarms(HddmW(confidence=0.005), rise)[0]


def test_fhddm_is_blind_to_rising_errors_unless_turned_over() -> None:
    errors = verdicts(2, (1000, 0.05), (1000, 0.6))

    assert [] == alarms(Fhddm(), errors)
    assert 1000 <= alarms(Fhddm(direction="rise"), errors)[0] < 1080
    assert alarms(Fhddm(direction="rise"), errors) == alarms(Fhddm(), [1 - error for error in errors])


@pytest.mark.parametrize("spec", [Ddm(), HddmA(), HddmW()])
def test_the_others_are_blind_to_falling_errors(spec: Spec) -> None:
    found = alarms(spec, verdicts(3, (2000, 0.6), (2000, 0.05)))

    assert [] == [place for place in found if place >= 2000]


@pytest.mark.parametrize("kind", [HddmA, HddmW])
def test_one_direction_mirrors_the_other(kind: type[HddmA] | type[HddmW]) -> None:
    values = verdicts(4, (500, 0.2), (500, 0.9))

    rise = alarms(kind(direction="rise"), values)

    assert [] != rise == alarms(kind(direction="fall"), [1 - value for value in values])
    assert set(rise) <= set(alarms(kind(direction="both"), values))


def test_an_alarm_stays_until_its_holder_starts_afresh() -> None:
    logic = HddmA().build()
    found = [logic.update(value) for value in verdicts(5, (1000, 0.1), (300, 0.9))]

    after = [reading is not None and reading.alarm for reading in found]
    first = after.index(True)
    assert all(after[first:])


def test_ddm_alarms_at_the_first_error_after_a_warm_up_without_one() -> None:
    assert [100] == alarms(Ddm(), [0] * 100 + [1])


def test_eddm_repeats_its_last_reading_between_errors() -> None:
    logic = Eddm(warm_up=5).build()
    for value in verdicts(6, (200, 0.5)):
        logic.update(value)
    last = logic.update(1)

    assert isinstance(last, Reading)
    assert [last, last] == [logic.update(0), logic.update(0)]


@pytest.mark.parametrize("logic", [Fhddm(window=4), Kswin(window=8, recent=4, alpha=0.1)])
def test_a_window_longer_than_the_specification_is_refused(logic: Fhddm | Kswin) -> None:
    state = FhddmState(window=bytes(9)) if isinstance(logic, Fhddm) else KswinState(n=9, window=(0.0,) * 9)

    with pytest.raises(StateMismatch, match="9 values, allowed are"):
        logic.build(state)  # type: ignore[arg-type]


def test_a_window_that_does_not_hold_verdicts_is_refused() -> None:
    with pytest.raises(StateMismatch, match="of 0 and 1"):
        Fhddm().build(FhddmState(window=b"\x02"))
