"""Streaming detectors: what makes a point, one change is one detection, a state goes on as if nothing had been."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import Adwin, AnyDetector, PageHinkley, Reading
from monitor.events import Action
from monitor.layout import ACTIONS, SCORE_UNIT, WEIGHT_UNIT, Layout
from monitor.streams import Input, StreamDetectors, StreamSettings, kind_of, require_distinct
from tests.core.strategies import examples, seeds

LAYOUT = Layout()
NONE = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
DETECTORS: tuple[AnyDetector, ...] = (Adwin(), PageHinkley())
Sums = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]


def sums(entries: dict[int, int]) -> Sums:
    places = sorted(entries)
    return np.array(places, dtype=np.int64), np.array([entries[place] for place in places], dtype=np.int64)


def decided(*, acted: int, left: int, score: float, row: int = 0) -> Sums:
    base = row * LAYOUT.width + LAYOUT.actions.start
    return sums(
        {
            base + ACTIONS.index(Action.REMOVE): acted,
            base + ACTIONS.index(Action.ALLOW): left,
            row * LAYOUT.width + LAYOUT.score_sum.start + 1: round(score * (acted + left) / SCORE_UNIT),
        }
    )


def labelled(*, right: float, wrong: float, count: int, row: int = 0) -> Sums:
    base = row * LAYOUT.width
    return sums(
        {
            base + LAYOUT.labels.start: 99,  # of decisions that were not acted on: not precision's business
            base + LAYOUT.labels.start + 2: count,
            base + LAYOUT.weights.start + 4 + 2: round(right / WEIGHT_UNIT),
            base + LAYOUT.weights.start + 4 + 3: round(wrong / WEIGHT_UNIT),
        }
    )


def detectors(*specs: AnyDetector, minimum: int = 20, labels: int = 10) -> StreamDetectors:
    return StreamDetectors(StreamSettings(specs or DETECTORS, minimum_decisions=minimum, minimum_labels=labels))


def close(streams: StreamDetectors, minute: int, decisions: Sums = NONE, labels: Sums = NONE, *, rows: int = 1) -> None:
    streams.close(minute, rows=rows, layout=LAYOUT, decisions=decisions, labels=labels)


class Listener(msgspec.Struct, frozen=True, tag="listener"):
    """A specification whose logic only writes down what it is given."""

    def build(self, state: Any = None) -> Any:
        return self

    def update(self, x: float) -> Reading | None:
        HEARD.append(x)
        return None


HEARD: list[float] = []


@pytest.fixture
def heard() -> list[float]:
    HEARD.clear()
    return HEARD


def test_a_point_is_taken_as_soon_as_the_minutes_hold_enough_decisions(heard: list[float]) -> None:
    streams = detectors(Listener(), minimum=10)  # type: ignore[arg-type]
    close(streams, 0, decided(acted=1, left=5, score=0.25))
    assert [] == heard
    close(streams, 1, decided(acted=3, left=1, score=0.75))
    assert [pytest.approx(0.45), 0.4] == heard
    close(streams, 2, decided(acted=9, left=0, score=1.0))
    assert 2 == len(heard)
    close(streams, 5, decided(acted=0, left=1, score=0.0))
    assert [pytest.approx(0.9), 0.9] == heard[2:]


def test_precision_is_the_weighted_share_of_the_labels_of_acted_on_decisions(heard: list[float]) -> None:
    streams = detectors(Listener(), labels=3)  # type: ignore[arg-type]
    close(streams, 0, labels=labelled(right=8.0, wrong=1.0, count=2))
    assert [] == heard
    close(streams, 1, labels=labelled(right=2.0, wrong=1.0, count=1))
    assert [pytest.approx(10 / 12)] == heard


def test_rows_have_pools_of_their_own_and_new_rows_may_come(heard: list[float]) -> None:
    streams = detectors(Listener(), minimum=4)  # type: ignore[arg-type]
    close(streams, 0, decided(acted=3, left=0, score=0.5))
    close(streams, 1, decided(acted=3, left=0, score=0.5, row=5), rows=6)
    assert [] == heard
    close(streams, 2, decided(acted=1, left=0, score=0.5), rows=6)
    assert 2 == len(heard)


def play(streams: StreamDetectors, minutes: range, level: Sequence[float]) -> None:
    for minute in minutes:
        value = level[minute]
        close(streams, minute, decided(acted=round(100 * value), left=100 - round(100 * value), score=value))


def test_one_change_is_one_detection_of_each_detector_and_input_at_the_end_of_its_minute() -> None:
    streams = detectors()
    play(streams, range(800), [0.3] * 400 + [0.6] * 400)
    found = {(one.input, one.detector): one for one in streams.detections()}
    assert {(name, kind) for name in ("score", "action_rate") for kind in ("adwin", "page_hinkley")} == set(found)
    for one in found.values():
        assert 1 == one.count
        assert one.last_at is not None
        assert 400 * 60 < one.last_at < 500 * 60
        assert 0 == one.last_at % 60


def test_a_steady_series_is_listed_without_detections() -> None:
    streams = detectors()
    rng = random.Random(5)
    play(streams, range(500), [0.3 + rng.uniform(-0.02, 0.02) for _ in range(500)])
    assert {(0, None)} == {(one.count, one.last_at) for one in streams.detections()}


@examples(15)
@given(seed=seeds, cut=st.integers(0, 299))
def test_a_state_saved_anywhere_goes_on_as_if_nothing_had_been(seed: int, cut: int) -> None:
    rng = random.Random(seed)
    level = [rng.gauss(0.3 if minute < rng.randrange(400) else 0.7, 0.05) for minute in range(300)]
    level = [min(1.0, max(0.0, value)) for value in level]
    straight, first = detectors(minimum=30), detectors(minimum=30)
    play(straight, range(300), level)
    play(first, range(cut), level)
    second = detectors(minimum=30)
    second.restore(*first.snapshot())
    assert cut == second.next_minute
    play(second, range(cut, 300), level)
    assert sorted(map(repr, straight.detections())) == sorted(map(repr, second.detections()))
    assert straight.snapshot()[0] == second.snapshot()[0]
    states = [{(one.row, one.input, one.kind): one.state for one in s.snapshot()[1]} for s in (straight, second)]
    assert states[0] == states[1]
    assert 0 == second.discarded


def test_a_detector_with_other_parameters_starts_anew_is_counted_and_keeps_its_count() -> None:
    first = detectors()
    play(first, range(800), [0.3] * 400 + [0.6] * 400)
    second = detectors(Adwin(), PageHinkley(threshold=3.0))
    second.restore(*first.snapshot())
    assert 2 == second.discarded
    assert {1} == {one.count for one in second.detections()}


def test_a_detector_that_is_no_longer_configured_is_dropped_and_counted() -> None:
    first = detectors()
    play(first, range(100), [0.3] * 100)
    second = detectors(Adwin())
    second.restore(*first.snapshot())
    assert 2 == second.discarded
    assert {"adwin"} == {one.detector for one in second.detections()}


def test_damaged_states_and_those_of_another_library_version_are_discarded_one_by_one() -> None:
    first = detectors()
    play(first, range(100), [0.3] * 100)
    pool, saved = first.snapshot()
    damaged = [msgspec.structs.replace(saved[0], state=b"\x91\xc1"), *saved[1:]]
    second = detectors()
    second.restore(pool, damaged)
    assert 1 == second.discarded
    assert len(saved) == len(second.detections())


def test_two_detectors_of_one_kind_would_share_a_counter_and_are_refused() -> None:
    require_distinct(DETECTORS)
    with pytest.raises(ValueError, match="expected each kind once, got adwin, adwin"):
        require_distinct((Adwin(), Adwin(delta=0.1)))
    assert ["adwin", "page_hinkley"] == [kind_of(spec) for spec in DETECTORS]


def test_the_inputs_bear_the_names_under_which_they_are_exported() -> None:
    assert ["score", "action_rate", "precision"] == [name.value for name in Input]
