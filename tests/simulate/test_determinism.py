"""The same scenario, seed and time give the same bytes, however the time is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.simulate import Scenario, demo, generate
from monitor.simulate.designs import Uniform
from monitor.simulate.incidents import PrecisionDrop
from monitor.topics import SOURCES
from tests.simulate.helpers import SEED, START, flat, log, model, scenario

MINUTES = 8
SMALL = scenario(
    model("a", rate=60, audit=Uniform(design_id="u", probability=0.3)),
    model("b", rate=40),
    incidents=(PrecisionDrop(start_minute=3, where={"language": "es"}, benign_share=0.5),),
    retry_share=0.05,
)


def run(what: Scenario, *, first: int, minutes: int, drain: bool = False, seed: int = SEED) -> list[object]:
    batches = generate(what, seed=seed, start_ms=START + first * 60_000, minutes=minutes, origin_ms=START, drain=drain)
    return [*flat(batches)]


@settings(max_examples=15)
@given(cuts=st.sets(st.integers(1, MINUTES - 1)))
def test_any_way_to_cut_a_range_gives_the_same_bytes(cuts: set[int]) -> None:
    bounds = [0, *sorted(cuts), MINUTES]
    pieces = [record for begin, end in pairwise(bounds) for record in run(SMALL, first=begin, minutes=end - begin)]
    assert run(SMALL, first=0, minutes=MINUTES) == pieces


def test_a_second_run_gives_the_same_bytes_and_the_same_truth() -> None:
    first, second = log(SMALL), tuple(generate(SMALL, seed=SEED, start_ms=START, minutes=5, drain=True))
    assert flat(first) == flat(second)
    assert [batch.truth for batch in first] == [batch.truth for batch in second]


def test_another_seed_gives_another_log_without_a_common_id() -> None:
    keys = {key for _, _, key, _ in flat(log(SMALL))}
    others = {key for _, _, key, _ in flat(log(SMALL, seed=SEED + 1))}
    assert {b"a", b"b"} == keys & others  # the launches, keyed by model


def test_draining_only_adds_what_falls_behind_the_range() -> None:
    cut, drained = run(SMALL, first=0, minutes=3), run(SMALL, first=0, minutes=3, drain=True)
    assert cut == drained[: len(cut)]
    assert len(drained) > len(cut)


def test_an_incident_leaves_other_models_alone_byte_for_byte() -> None:
    quiet = scenario(*SMALL.models, retry_share=0.05)
    storm = scenario(
        *SMALL.models,
        incidents=(PrecisionDrop(start_minute=0, model="a", benign_share=0.9),),
        retry_share=0.05,
    )
    mark = b'"model":"b"'
    assert [one for one in flat(log(quiet)) if mark in one[3]] == [one for one in flat(log(storm)) if mark in one[3]]


def test_records_are_in_event_time_order_in_each_topic_and_every_batch_has_every_topic() -> None:
    for batch in log(SMALL):
        assert [source.topic for source in SOURCES] == list(batch.records)
        for records in batch.records.values():
            times = records.timestamps.tolist()
            assert sorted(times) == times
            assert all(batch.start_ms <= at < batch.start_ms + 60_000 for at in times)


def test_the_demo_and_its_ids_are_unique_over_models_and_minutes() -> None:
    batches = generate(demo(decisions_per_minute=600), seed=1, start_ms=START, minutes=3)
    keys = [key for topic, _, key, _ in flat(batches) if topic == "moderation.decisions"]
    assert len(keys) == len(set(keys)) > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_ms": START + 1}, "start_ms: expected a whole minute"),
        ({"start_ms": START, "origin_ms": START + 60_000}, "origin_ms: expected at most"),
        ({"start_ms": START, "seed": -1}, "expected 0 or more"),
    ],
)
def test_impossible_ranges_are_refused_at_once(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(SMALL, **({"seed": 1, "minutes": 1} | arguments))  # type: ignore[arg-type]
