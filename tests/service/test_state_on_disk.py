"""What the first stage does when the disk of its state fails: it waits, sets aside, or says why it does not start."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from monitor.assembly import Pipeline, assemble
from monitor.join.forwarding import chunks
from monitor.join.index import Batch, IndexUnavailable, Range
from monitor.join.rocks import IndexMemory, RocksIndex
from monitor.service.ingest import Ingest
from monitor.service.join_indexes import CORRUPT, QUARANTINE, UNAVAILABLE, JoinIndexes
from monitor.service.quarantine import KEPT, make_room, set_aside
from monitor.service.state_directory import UnusableDirectory, prepare
from monitor.settings import BlockSettings, JoinSettings, Settings
from monitor.topics import DECISIONS, JOIN
from tests.core.strategies import T0, decision, encoded
from tests.join.test_forwarding import decided, told_of
from tests.service.memory_kafka import CrashingOutlet, Fetched, MemoryKafka

SIZE = 16


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return assemble(Settings(blocks=BlockSettings(size=64, horizon=2), join=JoinSettings(block_size=SIZE)))


class Disk:
    """Makes all commits of all indexes fail while it is `full`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.full = False
        commit = RocksIndex.commit

        def write(index: RocksIndex, batches: list[Batch], *, drop: list[Range]) -> None:
            if self.full:
                raise IndexUnavailable("No space left on device")
            commit(index, batches, drop=drop)

        patch.setattr(RocksIndex, "commit", write)
        patch.setattr("monitor.service.ingest.LAST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def opened(pipeline: Pipeline, folder: Path) -> tuple[Ingest, JoinIndexes]:
    assert pipeline.join is not None
    indexes = JoinIndexes(folder / "join", pipeline.join, IndexMemory(4 * 1024 * 1024))
    ingest = Ingest(
        pipeline.summarise,
        CrashingOutlet(MemoryKafka(1), random.Random(0), crash=0.0),
        indexes=indexes,
        poison_ratio=0.9,
        poison_window=100,
        app_version="test",
    )
    return ingest, indexes


def join_batch(first: int, count: int) -> Fetched:
    forwards = told_of(*(decided(decision_id=f"d{first + n}") for n in range(count)), at_ms=1000 * T0)
    values: list[bytes | None] = [value for _, value in chunks([forwards], partitions=1, at_most=1)]
    end = first + count
    return Fetched(JOIN, 0, list(range(first, end)), [1000 * T0] * count, values, end)


def decisions_batch(first: int, count: int) -> Fetched:
    values: list[bytes | None] = [encoded(decision(first + n)) for n in range(count)]
    return Fetched(DECISIONS.topic, 0, list(range(first, first + count)), [1000 * T0] * count, values, first + count)


async def test_a_disk_that_refuses_holds_up_the_join_alone_until_it_takes_writes(
    pipeline: Pipeline, tmp_path: Path, disk: Disk
) -> None:
    ingest, indexes = opened(pipeline, tmp_path)
    ingest.start(JOIN, 0, 0)
    ingest.start(DECISIONS.topic, 0, 0)
    acknowledged: list[str] = []

    disk.full = True
    await ingest.take(join_batch(0, SIZE + 1), lambda: acknowledged.append("first of the join"))
    waiting = asyncio.create_task(ingest.take(join_batch(SIZE + 1, SIZE), lambda: acknowledged.append("second")))
    await ingest.take(decisions_batch(0, 70), lambda: acknowledged.append("decisions"))
    await ingest.publish()
    while_full = (list(acknowledged), ingest.held, waiting.done(), indexes.failures[UNAVAILABLE] > 0)
    disk.full = False
    await asyncio.wait_for(waiting, 10.0)
    await ingest.publish()

    assert (["decisions"], 1, False, True) == while_full
    assert ["decisions", "first of the join", "second"] == acknowledged
    assert 0 == ingest.held
    statistics = ingest.join_statistics()
    assert statistics is not None
    assert 2 * SIZE == statistics.entries
    ingest.close()


async def test_a_partition_that_waits_for_the_disk_may_go(pipeline: Pipeline, tmp_path: Path, disk: Disk) -> None:
    ingest, _ = opened(pipeline, tmp_path)
    ingest.start(JOIN, 0, 0)
    disk.full = True
    await ingest.take(join_batch(0, SIZE), lambda: None)
    waiting = asyncio.create_task(ingest.take(join_batch(SIZE, SIZE), lambda: None))
    await asyncio.sleep(0)

    ingest.revoke(JOIN, 0)

    await asyncio.wait_for(waiting, 10.0)
    assert 0 == ingest.held
    ingest.close()


async def test_an_index_that_cannot_be_opened_at_first_is_opened_later_and_passes_over_what_it_holds(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest, _ = opened(pipeline, tmp_path)
    ingest.start(JOIN, 0, 0)
    await ingest.take(join_batch(0, 2 * SIZE), lambda: None)
    await ingest.publish()
    ingest.close()
    monkeypatch.setattr("monitor.service.ingest.LAST_PAUSE_SECONDS", 0.01)

    def refused(self: JoinIndexes, partition: int, log_start: int, summarise_from: int) -> None:
        raise IndexUnavailable("No space left on device")

    ingest, indexes = opened(pipeline, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(JoinIndexes, "_join", refused)
        assert 0 == ingest.rewind(JOIN, 0, 2 * SIZE)
        ingest.start(JOIN, 0, 0)
        assert 1 == ingest.held
    await asyncio.wait_for(ingest.take(join_batch(0, 3 * SIZE), lambda: None), 10.0)

    statistics = ingest.join_statistics()
    assert statistics is not None
    assert (3 * SIZE, 0) == (statistics.entries, statistics.held)
    assert indexes.failures[UNAVAILABLE] >= 1
    ingest.close()


@pytest.mark.parametrize("damage", ["CURRENT", "MANIFEST", "a file"])
def test_a_damaged_index_is_set_aside_and_begun_anew(pipeline: Pipeline, tmp_path: Path, damage: str) -> None:
    _, indexes = opened(pipeline, tmp_path)
    joiner = indexes.join(3, log_start=0, summarise_from=0)
    batch = join_batch(0, SIZE)
    joiner.feed(batch.offsets, batch.timestamps, batch.values, next_offset=SIZE)
    joiner.commit(SIZE)
    indexes.close_all()
    folder = tmp_path / "join" / "3"
    if damage == "a file":
        folder.rename(tmp_path / "elsewhere")
        folder.write_bytes(b"not what was here")
    for file in folder.glob(f"{damage}*"):
        file.write_bytes(b"not what was here")

    assert 0 == indexes.join(3, log_start=0, summarise_from=0).position
    assert 1 == indexes.failures[CORRUPT]
    assert ["3-1"] == [piece.name for piece in (tmp_path / "join" / QUARANTINE).iterdir()]
    indexes.close_all()


def test_damage_that_ends_the_process_counts_with_the_next_one_once(pipeline: Pipeline, tmp_path: Path) -> None:
    _, indexes = opened(pipeline, tmp_path)
    indexes.join(3, log_start=0, summarise_from=0)
    indexes.discard(3, "damage", ending=True)
    indexes.close_all()

    after = [opened(pipeline, tmp_path)[1] for _ in range(2)]
    assert [1, 0] == [one.failures[CORRUPT] for one in after]


def test_a_quarantine_keeps_the_last_pieces_only(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        piece = tmp_path / "7"
        piece.write_text(str(number))
        os.utime(piece, (number, number))
        set_aside(piece, tmp_path / "quarantine")
    kept = {piece.name: piece.read_text() for piece in (tmp_path / "quarantine").iterdir()}
    assert {f"7-{number + 1}": str(number) for number in range(3, KEPT + 3)} == kept
    make_room(tmp_path / "quarantine")
    assert KEPT - 1 == len(list((tmp_path / "quarantine").iterdir()))


def test_a_state_directory_is_made_and_tried(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "state")
    assert [] == list((tmp_path / "a" / "state").iterdir())


def test_a_state_directory_that_cannot_be_made_is_refused_with_path_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableDirectory, match=r"state\.directory .*/file/state: Not a directory; needed is"):
        prepare(tmp_path / "file" / "state")
