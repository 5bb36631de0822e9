"""The contract that every streaming detector keeps; a new member of the union is tested unasked."""

import re
import typing
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import AnyDetector, Cusum, Direction, Domain, Logic, Reading, Spec, StateMismatch, resume, save

every_detector = pytest.mark.parametrize("kind", typing.get_args(AnyDetector), ids=lambda kind: kind.__name__)
ELEMENTS = {
    Domain.REAL: st.floats(-1e6, 1e6) | st.floats(0, 1),
    Domain.UNIT: st.floats(0, 1),
    Domain.BINARY: st.sampled_from([0.0, 1.0]),
    Domain.COUNT: st.integers(0, 30).map(float) | st.integers(0, 10**9).map(float),
}
OUTSIDE = {
    Domain.REAL: [float("nan"), float("inf"), float("-inf"), 1e300],
    Domain.UNIT: [float("nan"), float("inf"), float("-inf"), -0.01, 1.01],
    Domain.BINARY: [float("nan"), float("inf"), float("-inf"), 0.5, -1.0],
    Domain.COUNT: [float("nan"), float("inf"), float("-inf"), 0.5, -1.0, 1e10],
}
KINDS_AND_OUTSIDE = [
    pytest.param(kind, bad, id=f"{kind.__name__}-{bad!r}")
    for kind in typing.get_args(AnyDetector)
    for bad in OUTSIDE[kind.domain]
]


def series(kind: type[Spec]) -> st.SearchStrategy[list[float]]:
    return st.lists(ELEMENTS[kind.domain], max_size=150)


def readings(logic: Logic, values: typing.Iterable[float]) -> list[Reading | None]:
    return [logic.update(value) for value in values]


def stream(kind: type[Spec], length: int, *, seed: int, to: float = 0.9) -> list[float]:
    """Values around .5 that change their level to `to` after half of the stream."""
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(length) < length // 2, 0.5, to)
    if kind.domain is Domain.BINARY:
        return [float(value) for value in rng.random(length) < level]
    if kind.domain is Domain.COUNT:
        return [float(value) for value in rng.poisson(20.0 * level)]
    return [float(value) for value in np.clip(rng.normal(level, 0.05), 0, 1)]


@every_detector
@settings(max_examples=60)
@given(data=st.data())
def test_a_snapshot_anywhere_changes_nothing(kind: type[Spec], data: st.DataObject) -> None:
    values = data.draw(series(kind))
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
    readings(logic, stream(kind, 40, seed=1))
    taken = logic.snapshot()
    before = msgspec.msgpack.encode(taken)

    readings(logic, stream(kind, 40, seed=2))

    assert before == msgspec.msgpack.encode(taken)
    assert before != msgspec.msgpack.encode(logic.snapshot())


@pytest.mark.parametrize(("kind", "bad"), KINDS_AND_OUTSIDE)
def test_a_value_that_is_not_usable_is_refused_by_name_and_changes_nothing(kind: type[Spec], bad: float) -> None:
    spec = kind.example()
    logic = spec.build()
    readings(logic, stream(kind, 50, seed=3))
    before = save(spec, logic)

    with pytest.raises(ValueError, match=re.escape(f"{kind.__struct_config__.tag}: got {bad!r}, allowed")):
        logic.update(bad)
    with pytest.raises(
        ValueError, match=re.escape(f"{kind.__struct_config__.tag}: got {bad!r} at position 2, allowed")
    ):
        logic.update_many([0.0, 1.0, bad, 1.0])

    assert before == save(spec, logic)


@every_detector
@settings(max_examples=60)
@given(data=st.data())
def test_a_batch_says_what_its_observations_say_one_by_one_however_it_is_cut(
    kind: type[Spec], data: st.DataObject
) -> None:
    values = data.draw(series(kind))
    cut = data.draw(st.integers(0, len(values)))
    spec = kind.example()
    single, batched = spec.build(), spec.build()

    expected = readings(single, values)
    found = [batched.update_many(values[:cut]), batched.update_many(values[cut:])]

    statistic = np.concatenate([part.statistic for part in found])
    threshold = np.concatenate([part.threshold for part in found])
    alarm = np.concatenate([part.alarm for part in found])
    assert [reading is None for reading in expected] == np.isnan(statistic).tolist()
    told = np.array([not np.isnan(value) for value in statistic], dtype=np.bool_)
    spoken = [reading for reading in expected if reading is not None]
    scale = max([1.0, *map(abs, values)])  # sums of many values round in proportion to the largest of them
    assert statistic[told] == pytest.approx([reading.statistic for reading in spoken], rel=1e-9, abs=1e-9 * scale)
    assert threshold[told] == pytest.approx([reading.threshold for reading in spoken], rel=1e-9, abs=1e-9 * scale)
    assert (statistic[told] > threshold[told]).tolist() == alarm[told].tolist()
    assert not alarm[~told].any()


@every_detector
def test_the_same_stream_gives_the_same_readings_and_the_same_bytes(kind: type[Spec]) -> None:
    spec = kind.example()
    first, second = spec.build(), spec.build()

    assert readings(first, stream(kind, 500, seed=4)) == readings(second, stream(kind, 500, seed=4))
    assert save(spec, first) == save(spec, second)


@every_detector
@settings(max_examples=60)
@given(data=st.data())
def test_an_alarm_is_exactly_a_statistic_above_its_threshold(kind: type[Spec], data: st.DataObject) -> None:
    for reading in readings(kind.example().build(), data.draw(series(kind))):
        assert reading is None or reading.alarm == (reading.statistic > reading.threshold)


@every_detector
def test_it_speaks_within_fifty_observations(kind: type[Spec]) -> None:
    found = readings(kind.example().build(), stream(kind, 50, seed=8, to=0.5))

    assert found[-1] is not None


MOVES = [(Direction.RISE, 0.9), (Direction.FALL, 0.1)]


@every_detector
@pytest.mark.parametrize(("direction", "level"), MOVES, ids=[direction for direction, _ in MOVES])
def test_a_large_change_is_seen_in_the_directions_it_sees_and_nothing_before_it(
    kind: type[Spec], direction: Direction, level: float
) -> None:
    spec = kind.example()
    found = readings(spec.build(), stream(kind, 1200, seed=5, to=level))

    alarms = [index for index, reading in enumerate(found) if reading is not None and reading.alarm]
    if direction in spec.directions:
        assert 600 <= alarms[0] < 650
    else:
        assert [] == alarms


@every_detector
def test_its_state_stays_small_however_long_the_stream(kind: type[Spec]) -> None:
    spec = kind.example()
    logic = spec.build()
    readings(logic, stream(kind, 20_000, seed=6))

    assert len(save(spec, logic)) < 4096


@every_detector
def test_a_state_saved_with_other_parameters_is_not_continued(kind: type[Spec]) -> None:
    saved = save(kind.example(), kind.example().build())

    with pytest.raises(StateMismatch, match="other parameters"):
        resume(kind(), saved)


def test_a_state_finds_a_specification_again_whose_numbers_were_written_otherwise() -> None:
    spec = Cusum(target=0, sigma=np.float64(1.0), threshold=5)
    same = Cusum(target=0.0, sigma=1.0, threshold=5.0)

    assert spec.fingerprint() == same.fingerprint()
    assert spec.build().snapshot() == resume(same, save(spec, spec.build())).snapshot()


@every_detector
@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_state_is_a_mismatch_and_never_anything_else(kind: type[Spec], data: st.DataObject) -> None:
    spec = kind.example()
    logic = spec.build()
    readings(logic, stream(kind, 30, seed=7))
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
