"""The offline pipeline, the order of logs, and the reading of files: batches and chunks must not show."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.assembly import Pipeline, assemble
from monitor.event_log import LINES, UNKNOWN_TIME, Batch, FileLog, UnreadableLog
from monitor.export import families
from monitor.exposition import Renderer
from monitor.offline import OfflinePipeline
from monitor.replay import replay
from monitor.settings import load_settings
from monitor.summarise import MINUTE_MS
from monitor.ticks import schedule, ticks
from monitor.topics import DECISIONS, REVIEWS, SourceTopic
from tests.core.strategies import decision, encoded
from tests.simulate.helpers import START
from tests.simulated_files import two_models, write

SETTINGS = load_settings(None, {"MONITOR_BLOCKS__SIZE": "256"})


class Listed:
    """A log of given batches."""

    def __init__(self, batches: list[Batch], source: SourceTopic = DECISIONS) -> None:
        self.source = source
        self.partition = 0
        self.size = sum(map(len, batches))
        self.position = 0
        self._batches = batches

    def batches(self) -> Iterator[Batch]:
        yield from self._batches


def batch(*times: int, first: int = 0) -> Batch:
    offsets = list(range(first, first + len(times)))
    return Batch(offsets, list(times), [b"{}"] * len(times), first + len(times))


def cut(times: list[int], places: list[int]) -> list[Batch]:
    edges = sorted({0, len(times), *(place % (len(times) + 1) for place in places)})
    return [batch(*times[a:b], first=a) for a, b in pairwise(edges)]


def exposition(pipeline: OfflinePipeline) -> list[bytes]:
    """Lines, sorted: series come in the order in which blocks were published."""
    found = families(pipeline.tick(), version="1", config_fingerprint="x")
    return sorted(Renderer(process_metrics=False).render(found).splitlines())


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[FileLog]:
    return write(two_models(), tmp_path_factory.mktemp("offline"), minutes=8)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return assemble(SETTINGS)


def fed(pipeline: Pipeline, logs: list[FileLog], step: int, *, publish: bool) -> OfflinePipeline:
    offline = OfflinePipeline(pipeline)
    for log in logs:
        for whole in log.batches():
            for begin in range(0, len(whole), step):
                one = whole.part(begin, min(begin + step, len(whole)))
                offline.feed(log.source, 0, one.offsets, one.timestamps, one.values, next_offset=one.next_offset)
                if publish:
                    offline.publish_open()
    offline.publish_open()
    return offline


@pytest.mark.parametrize(("step", "publish"), [(1, False), (37, True), (1000, True)])
def test_no_chunk_size_shows_in_the_numbers(pipeline: Pipeline, logs: list[FileLog], step: int, publish: bool) -> None:
    whole = exposition(fed(pipeline, logs, LINES, publish=False))
    assert whole == exposition(fed(pipeline, logs, step, publish=publish))


def test_no_chunk_size_shows_where_feedback_is_joined_and_a_clock_is_ahead(
    pipeline: Pipeline, logs: list[FileLog], tmp_path: Path
) -> None:
    step, found = 200, []
    for log in logs[:2]:
        events = [json.loads(value or b"") for whole in log.batches() for value in whole.values]
        if log.source is DECISIONS:
            events[step * 3 - 1]["occurred_at"] = "2035-01-01T00:00:00Z"  # the last of a call
        path = tmp_path / f"{log.source.name}.jsonl"
        path.write_text("".join(json.dumps(event | {"decision": None}) + "\n" for event in events))
        found.append(FileLog(log.source, path))
    assert [DECISIONS, REVIEWS] == [log.source for log in found]
    whole = exposition(fed(pipeline, found, LINES, publish=False))
    assert any(line.startswith(b"moderation_reviews_total") for line in whole)
    for size in (step, 1, 37):
        assert whole == exposition(fed(pipeline, found, size, publish=False))


def test_a_replay_ends_with_the_numbers_of_one_feed(pipeline: Pipeline, logs: list[FileLog], tmp_path: Path) -> None:
    done = replay(logs, SETTINGS, tmp_path / "out", version="1")
    assert done.snapshot is not None
    replayed, whole = done.snapshot, fed(pipeline, logs, LINES, publish=False).tick()
    for ours, theirs in zip(whole.models, replayed.models, strict=True):
        order = [theirs.series.index(key) for key in ours.series]
        assert np.array_equal(ours.decisions.values, theirs.decisions.values[order])
        assert np.array_equal(ours.reviews.values, theirs.reviews.values[order])
        for column, other in zip(ours.readings, theirs.readings, strict=True):
            assert np.array_equal(column.value, other.value[order], equal_nan=True)
            assert np.array_equal(column.sample, other.sample[order])
    assert whole.service.counters == replayed.service.counters


def test_a_pipeline_that_was_fed_nothing_has_an_empty_snapshot(pipeline: Pipeline) -> None:
    offline = OfflinePipeline(pipeline)
    offline.publish_open()
    assert ((), None, None) == (offline.tick().models, offline.tick().clock, offline.clock_ms)


@settings(max_examples=60, derandomize=True)
@given(
    st.lists(st.integers(0, 40 * MINUTE_MS), min_size=1, max_size=80),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_ticks_do_not_depend_on_batches_and_lose_nothing(times: list[int], places: list[int]) -> None:
    def taken(batches: list[Batch]) -> list[tuple[int, list[int], bool]]:
        return [
            (tick.end_ms, [offset for _, part in tick.parts for offset in part.offsets], tick.last)
            for tick in ticks([Listed(batches)])
        ]

    found = taken([batch(*times)])
    assert found == taken(cut(times, places))
    assert list(range(len(times))) == [offset for _, offsets, _ in found for offset in offsets]
    assert sorted(end for end, _, _ in found) == [end for end, _, _ in found]
    assert [False] * (len(found) - 1) + [True] == [last for _, _, last in found]


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_records_in_order_of_time_are_due_at_their_time(times: list[int], places: list[int]) -> None:
    times = sorted(times)
    due = [at for _, part in schedule(iter(cut(times, places))) for at in part.tolist()]
    assert times == due


def test_one_clock_that_is_ahead_does_not_hold_back_the_records_behind_it() -> None:
    minutes = [START + minute * MINUTE_MS for minute in range(40)]
    times = [*minutes[:20], START + 10**12, *minutes[20:]]
    found = [
        (tick.end_ms, offset)
        for tick in ticks([Listed([batch(*times)])])
        for _, part in tick.parts
        for offset in part.offsets
    ]
    for end_ms, offset in found:
        at = times[offset] if offset != 20 else minutes[20]
        assert at < end_ms <= at + 5 * MINUTE_MS


def test_logs_are_merged_by_minute_and_empty_minutes_are_left_out() -> None:
    one = Listed([batch(START, START + 5 * MINUTE_MS)])
    two = Listed([batch(START + 1, START + 7 * MINUTE_MS)], REVIEWS)
    found = [(tick.end_ms - START, [log.source.name for log, _ in tick.parts]) for tick in ticks([one, two])]
    assert [
        (MINUTE_MS, ["decision", "review"]),
        (6 * MINUTE_MS, ["decision"]),
        (8 * MINUTE_MS, ["review"]),
    ] == found


def test_a_file_gives_line_numbers_and_the_times_of_its_events(tmp_path: Path) -> None:
    events = [
        b"not an event",
        b'{"review_id":"1","decision_id":"d","reviewed_at":"2026-01-01T00:00:01.5Z","verdict":"benign","source":"audit"}',
        b"",
        b"also not",
        b'{"review_id":"2","decision_id":"d","reviewed_at":"2026-01-01T01:00:03+01:00","verdict":"benign","source":"audit"}',
    ]
    path = tmp_path / "reviews.jsonl"
    path.write_bytes(b"\r\n".join(events))
    log = FileLog(REVIEWS, path)
    for _ in range(2):  # a log may be read again
        (found,) = log.batches()
        begin = 1_767_225_600_000
        assert [0, 1, 3, 4] == found.offsets
        assert [begin + 1500, begin + 1500, begin + 1500, begin + 3000] == found.timestamps
        assert [*events[:2], *events[3:]] == found.values
        assert 5 == found.next_offset
        assert (1, log.size) == (log.blank_lines, log.position)


def test_a_decision_has_its_time_whatever_is_wrong_with_what_is_not_counted(tmp_path: Path) -> None:
    wrong: list[dict[str, object]] = [
        {"threshold": 70},
        {"policy_version": 3},
        {"views": -1},
        {"actor_key": []},
        {"features": 1},
    ]
    events = [decision(number, at=START / 1000 + number, **field) for number, field in enumerate(wrong)]
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"\n".join(map(encoded, events)))
    (found,) = FileLog(DECISIONS, path).batches()
    assert [START + 1000 * number for number in range(len(wrong))] == found.timestamps


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.GZ", "packed"])
def test_gzip_is_told_by_name_or_content_and_a_byte_order_mark_is_no_part_of_an_event(
    tmp_path: Path, name: str, mark: bytes
) -> None:
    events = [encoded(decision(number, at=START / 1000 + number)) for number in range(2)]
    content = mark + b"\n".join(events)
    path = tmp_path / name
    path.write_bytes(content if name == "x.jsonl" else gzip.compress(content))
    log = FileLog(DECISIONS, path)
    for _ in range(2):
        (found,) = log.batches()
        assert events == found.values
        assert [START, START + 1000] == found.timestamps
        assert log.size == log.position


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF8])
def test_a_file_with_nothing_in_it_has_no_batches(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    assert [] == list(FileLog(DECISIONS, tmp_path / "x.jsonl").batches())


def test_a_file_without_any_event_has_no_times_and_still_ends(tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").write_bytes(b"{\n{\n")
    log = FileLog(DECISIONS, tmp_path / "decisions.jsonl")
    (found,) = log.batches()
    assert [UNKNOWN_TIME, UNKNOWN_TIME] == found.timestamps
    done = replay([log], SETTINGS, tmp_path / "out", version="1")
    assert (1, 2, 0) == (done.ticks, done.dead_letters, done.readings)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableLog, match=r"absent\.jsonl: cannot be read"):
        FileLog(DECISIONS, tmp_path / "absent.jsonl")
    (tmp_path / "x.gz").write_bytes(b"plain text")
    with pytest.raises(UnreadableLog, match=r"x\.gz: cannot be read"):
        list(FileLog(DECISIONS, tmp_path / "x.gz").batches())
    (tmp_path / "y.gz").write_bytes(gzip.compress(b"x\n" * 10_000)[:-20])
    with pytest.raises(UnreadableLog, match=r"y\.gz: expected a whole gzip file"):
        list(FileLog(DECISIONS, tmp_path / "y.gz").batches())
