"""The join is a pure function of its log: splits, crashes, copies and lost disks never change a number."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given

from monitor import catalogue
from monitor.blocks import BlockMessage, ModelBlock, SourceBlock, encode_block
from monitor.cells import Limits
from monitor.join.block import JoinSettings
from monitor.join.entries import DECISION, EXPIRY, FEEDBACK, POSITION, decode_entry, decode_position
from monitor.join.index import Index, MemoryIndex
from monitor.join.joiner import JoinPartition
from monitor.join.rocks import RocksIndex
from monitor.topics import REPORTS
from tests.core.runs import BLOCK, evaluated, facts, last_of, model_settings
from tests.core.strategies import examples, seeds
from tests.join.brute_force import counted, expected
from tests.join.runs import Storm, calm, feed
from tests.join.traffic import LAYOUT, SETTINGS, SUMMARISE, Sent, identity, traffic

EVALUATE = model_settings(layout=LAYOUT)
ENDLESS = JoinSettings(SUMMARISE, wait_ms=10**14, horizon_ms=10**14, block_size=BLOCK)


def closed_bytes(messages: Sequence[BlockMessage]) -> dict[tuple[int, str], set[bytes]]:
    told: dict[tuple[int, str], set[bytes]] = {}
    for message in messages:
        assert isinstance(message, (ModelBlock, SourceBlock))
        if message.span.closed:
            key = (message.span.first, message.model if isinstance(message, ModelBlock) else "")
            told.setdefault(key, set()).add(encode_block(message))
    return told


def last_bytes(messages: Sequence[BlockMessage]) -> list[bytes]:
    return [encode_block(message) for message in last_of(messages)]


def end_of(log: Sequence[Sent]) -> int:
    return max(item.source_ms for sent in log for item in sent.items)


def contents(index: Index) -> dict[bytes, object]:
    """All that an index holds, decoded: bytes of sets may differ in their order."""
    names = index.scan(DECISION, EXPIRY + b"\xff" * 40)
    values = index.read(names)
    entries = {
        name: decode_entry(value) if name[:1] == FEEDBACK and value is not None else value
        for name, value in zip(names, values, strict=True)
        if name != POSITION
    }
    return {**entries, POSITION: decode_position(index.read([POSITION])[0], block_size=BLOCK)}


@examples(20)
@given(seed=seeds)
def test_counts_equal_those_of_a_join_by_brute_force(seed: int) -> None:
    log = traffic(seed)
    assert expected(log) == counted(last_of(calm(log)))


@examples(15)
@given(seed=seeds)
def test_counts_of_every_prefix_of_a_log_equal_those_of_a_join_by_brute_force(seed: int) -> None:
    log = traffic(seed, decisions=25)
    end = random.Random(seed).randrange(1, len(log))
    assert expected(log[:end]) == counted(last_of(calm(log[:end])))


@examples(10)
@given(seed=seeds)
def test_any_split_and_any_crash_give_the_bytes_of_one_calm_read(seed: int) -> None:
    log = traffic(seed)
    storm = Storm(log, random.Random(seed), renew=MemoryIndex)

    storm.run(lives=12)

    messages = calm(log)
    calm_blocks = closed_bytes(messages)
    stormy_blocks = closed_bytes(storm.published)
    assert calm_blocks.keys() == stormy_blocks.keys()
    assert calm_blocks == stormy_blocks
    assert last_bytes(messages) == last_bytes(storm.published)
    assert facts(evaluated(messages, EVALUATE, clock_ms=end_of(log))) == facts(
        evaluated(storm.published, EVALUATE, clock_ms=end_of(log))
    )


@examples(10)
@given(seed=seeds)
def test_a_lost_disk_is_built_again_from_the_topic_to_the_same_numbers(seed: int) -> None:
    log = traffic(seed)
    storm = Storm(log, random.Random(seed), renew=MemoryIndex, lose_disk=0.4)

    storm.run(lives=10)

    messages, index = calm(log), MemoryIndex()
    calm(log, index)
    assert closed_bytes(messages) == closed_bytes(storm.published)
    assert last_bytes(messages) == last_bytes(storm.published)
    assert contents(index) == contents(storm.index)


@examples(6)
@given(seed=seeds)
def test_an_index_in_rocksdb_equals_one_in_memory_through_crashes_and_lost_disks(seed: int) -> None:
    log = traffic(seed)

    def renew() -> Index:
        return RocksIndex(Path(mkdtemp(dir=FOLDER[0])) / "index")

    storm = Storm(log, random.Random(seed), renew=renew, lose_disk=0.2)
    storm.run(lives=6)

    index = MemoryIndex()
    assert last_bytes(calm(log, index)) == last_bytes(storm.published)
    assert contents(index) == contents(storm.index)
    storm.index.close()


@examples(8)
@given(seed=seeds)
def test_what_is_evicted_is_the_same_after_any_crash_and_on_a_new_disk(seed: int) -> None:
    log = traffic(seed)
    settings = dataclasses.replace(SETTINGS, maximum_decisions=10)
    storm = Storm(log, random.Random(seed), renew=MemoryIndex, lose_disk=0.4, settings=settings)

    storm.run(lives=8)

    index = MemoryIndex()
    messages = calm(log, index, settings=settings)
    assert closed_bytes(messages) == closed_bytes(storm.published)
    assert last_bytes(messages) == last_bytes(storm.published)
    assert contents(index) == contents(storm.index)


@examples(15)
@given(seed=seeds)
def test_redelivered_records_change_no_count(seed: int) -> None:
    rng = random.Random(seed)
    log = traffic(seed, decisions=30)
    again = [sent for sent in log if sent.items and sent.items[0].place is not None]
    twice: list[Sent] = []
    for sent in log:
        twice.append(sent)
        if sent in again and rng.random() < 0.5:
            twice.append(sent)
    moved = [dataclasses.replace(sent, offset=number) for number, sent in enumerate(twice)]
    # Copies move the median of the clock; brute force sees the same clock but tells copies by their place as well.
    assert expected(moved) == counted(last_of(calm(moved)))


@examples(15)
@given(seed=seeds)
def test_the_order_of_forwarding_changes_no_final_count_while_nothing_expires(seed: int) -> None:
    told: dict[object, object] = {}
    log = [
        sent
        for sent in traffic(seed, together=0.0)
        # Of feedback with one id and two contents the first counts, so that the order would matter.
        if not sent.items
        or (item := sent.items[0]).place is None
        or told.setdefault((item.about["decision_id"], item.place[0], identity(item.about)), item.about) == item.about
    ]
    shuffled = random.Random(seed).sample(log, len(log))
    moved = [dataclasses.replace(sent, offset=number) for number, sent in enumerate(shuffled)]

    assert counted(last_of(calm(log, settings=ENDLESS))) == counted(last_of(calm(moved, settings=ENDLESS)))


@examples(8)
@given(seed=seeds)
def test_names_beyond_a_cap_are_the_same_however_the_log_is_split(seed: int) -> None:
    log = traffic(seed)
    capped = dataclasses.replace(SUMMARISE, limits=Limits(models=1, policies=1, dimension_values=1))
    settings = dataclasses.replace(SETTINGS, summarise=capped)
    joiner = JoinPartition(0, MemoryIndex(), settings=settings)
    single = [message for at in range(len(log)) for message in [*feed(joiner, log, at, at + 1), *joiner.open_block()]]

    assert last_of(calm(log, settings=settings)) == last_of(single)


@examples(15)
@given(seed=seeds)
def test_statistics_are_those_of_the_entries_that_are_there(seed: int) -> None:
    log = traffic(seed)
    index = MemoryIndex()
    joiner = JoinPartition(0, index, settings=SETTINGS)
    feed(joiner, log, 0, len(log))
    joiner.commit(log[-1].offset + 1)
    entries = [decode_entry(value) for value in index.read(index.scan(FEEDBACK, b"g")) if value is not None]
    position = decode_position(index.read([POSITION])[0], block_size=BLOCK)
    assert position is not None
    assert len(entries) == position.feedback
    assert len(index.scan(DECISION, b"e")) == position.decisions
    assert position.feedback + position.decisions == joiner.statistics.entries
    assert sum(len(entry.waiting) for entry in entries) == joiner.statistics.waiting
    assert len(index.scan(b"w", b"x")) == joiner.statistics.waiting
    assert len(index.scan(b"x", b"y")) == position.feedback
    assert all(entry.expires_ms > position.log_reached_ms for entry in entries)


def test_the_logs_hold_what_the_properties_speak_of() -> None:
    found = sum((expected(traffic(seed)) for seed in range(12)), start=expected(traffic(12)))
    names = {key[0] for key in found}
    wanted = {
        metric.name
        for metric in (
            *(catalogue.ORPHANS, catalogue.DUPLICATES, catalogue.LATE, catalogue.FUTURE, catalogue.TOMBSTONES),
            *(catalogue.DEAD_LETTERS, catalogue.UNKNOWN_VALUES, catalogue.RECORDS),
        )
    }
    assert wanted <= names
    assert {"cohort", "arrival"} <= names
    assert found[catalogue.ORPHANS.name, (REPORTS.topic,)] > 20
    expired = 0
    for seed in range(5):
        joiner, log = JoinPartition(0, MemoryIndex(), settings=SETTINGS), traffic(seed)
        feed(joiner, log, 0, len(log))
        expired += joiner.statistics.expired
    assert expired > 50


FOLDER: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    FOLDER[:] = [str(tmp_path_factory.mktemp("join"))]
