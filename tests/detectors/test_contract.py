"""The contract that every streaming detector keeps; a new member of the union is tested unasked."""

import re
import typing
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import AnyDetector, Logic, Reading, Spec, StateMismatch, resume, save

every_detector = pytest.mark.parametrize("kind", typing.get_args(AnyDetector), ids=lambda kind: kind.__name__)
VALUES = st.lists(st.floats(-1e6, 1e6) | st.floats(0, 1), max_size=150)


def readings(logic: Logic, values: typing.Iterable[float]) -> list[Reading | None]:
    return [logic.update(value) for value in values]


def stream(length: int, *, seed: int) -> list[float]:
    """Shares that rise by 0.4 after half of the stream."""
    values = np.random.default_rng(seed).normal(0.3, 0.05, length)
    values[length // 2 :] += 0.4
    return [float(value) for value in values]


@every_detector
@settings(deadline=None, max_examples=60)
@given(values=VALUES, data=st.data())
def test_a_snapshot_anywhere_changes_nothing(kind: type[Spec], values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    spec = kind.example()
    straight, interrupted = spec.build(), spec.build()
    readings(straight, values[:cut])
    readings(interrupted, values[:cut])
    resumed = resume(spec, save(spec, interrupted))
    built = spec.build(interrupted.snapshot())

    expected = readings(straight, values[cut:])

    assert expected == readings(resumed, values[cut:]) == readings(built, values[cut:])
    assert save(spec, straight) == save(spec, resumed) == save(spec, built)


@every_detector
def test_a_snapshot_does_not_change_while_its_detector_goes_on(kind: type[Spec]) -> None:
    logic = kind.example().build()
    readings(logic, stream(40, seed=1))
    taken = logic.snapshot()
    before = msgspec.msgpack.encode(taken)

    readings(logic, stream(40, seed=2))

    assert before == msgspec.msgpack.encode(taken)
    assert before != msgspec.msgpack.encode(logic.snapshot())


@every_detector
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e300])
def test_a_value_that_is_not_usable_is_refused_by_name_and_changes_nothing(kind: type[Spec], bad: float) -> None:
    spec = kind.example()
    logic = spec.build()
    readings(logic, stream(50, seed=3))
    before = save(spec, logic)

    with pytest.raises(ValueError, match=re.escape(f"{kind.__struct_config__.tag}: got {bad!r}, allowed")):
        logic.update(bad)

    assert before == save(spec, logic)


@every_detector
def test_the_same_stream_gives_the_same_readings_and_the_same_bytes(kind: type[Spec]) -> None:
    spec = kind.example()
    first, second = spec.build(), spec.build()

    assert readings(first, stream(500, seed=4)) == readings(second, stream(500, seed=4))
    assert save(spec, first) == save(spec, second)


@every_detector
@settings(deadline=None, max_examples=60)
@given(values=VALUES)
def test_an_alarm_is_exactly_a_statistic_above_its_threshold(kind: type[Spec], values: list[float]) -> None:
    for reading in readings(kind.example().build(), values):
        assert reading is None or reading.alarm == (reading.statistic > reading.threshold)


@every_detector
def test_it_is_silent_while_warming_up_and_speaks_within_fifty_observations(kind: type[Spec]) -> None:
    found = readings(kind.example().build(), [0.5] * 50)

    assert found[0] is None
    assert found[-1] is not None


@every_detector
@pytest.mark.parametrize("sign", [1, -1], ids=["rise", "fall"])
def test_a_large_change_is_seen_in_both_directions_and_nothing_before_it(kind: type[Spec], sign: int) -> None:
    found = readings(kind().build(), [sign * value for value in stream(1200, seed=5)])

    alarms = [index for index, reading in enumerate(found) if reading is not None and reading.alarm]
    assert 600 <= alarms[0] < 650


@every_detector
def test_its_state_stays_small_however_long_the_stream(kind: type[Spec]) -> None:
    spec = kind.example()
    logic = spec.build()
    readings(logic, stream(20_000, seed=6))

    assert len(save(spec, logic)) < 4096


@every_detector
def test_a_state_saved_with_other_parameters_is_not_continued(kind: type[Spec]) -> None:
    saved = save(kind.example(), kind.example().build())

    with pytest.raises(StateMismatch, match="other parameters"):
        resume(kind(), saved)


@every_detector
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_damaged_state_is_a_mismatch_and_never_anything_else(kind: type[Spec], data: st.DataObject) -> None:
    spec = kind.example()
    logic = spec.build()
    readings(logic, stream(30, seed=7))
    saved = save(spec, logic)
    cut = data.draw(st.integers(0, len(saved) - 1))

    with pytest.raises(StateMismatch):
        resume(spec, saved[:cut])


@every_detector
@pytest.mark.parametrize("codec", [msgspec.json, msgspec.yaml, msgspec.msgpack], ids=["json", "yaml", "msgpack"])
@pytest.mark.parametrize("which", ["default", "example"])
def test_a_specification_survives_the_round_trip_as_a_member_of_the_union(
    kind: type[Spec], codec: Any, which: str
) -> None:
    spec = kind() if which == "default" else kind.example()

    decoded = codec.decode(codec.encode(spec), type=AnyDetector)

    assert spec == decoded
    assert spec.fingerprint() == decoded.fingerprint()


@every_detector
def test_specifications_are_hashable_values_that_cannot_be_changed(kind: type[Spec]) -> None:
    assert {kind(): 1}[kind()] == 1
    with pytest.raises(AttributeError):
        kind().warm_up = 3  # type: ignore[attr-defined]


@every_detector
def test_fingerprints_differ_with_the_parameters(kind: type[Spec]) -> None:
    assert kind().fingerprint() != kind.example().fingerprint()


@every_detector
def test_an_unknown_parameter_is_refused(kind: type[Spec]) -> None:
    text = msgspec.json.encode({"kind": kind.__struct_config__.tag, "slak": 1})

    with pytest.raises(msgspec.ValidationError, match="unknown field `slak`"):
        msgspec.json.decode(text, type=AnyDetector)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="Invalid value 'tarot'"):
        msgspec.json.decode(b'{"kind":"tarot"}', type=AnyDetector)


def test_kinds_are_unique() -> None:
    tags = [kind.__struct_config__.tag for kind in typing.get_args(AnyDetector)]

    assert len(tags) == len(set(tags))
