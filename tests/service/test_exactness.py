"""Both stages with a Kafka in memory: whatever crashes and whenever, every record counts once."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from monitor import catalogue
from monitor.assembly import Pipeline, assemble
from monitor.blocks import Entries, ModelBlock, SourceBlock, Span, source_of
from monitor.evaluate import take_snapshot
from monitor.join.rocks import IndexMemory
from monitor.packing import pack
from monitor.service.evaluation import Evaluation
from monitor.service.ingest import Ingest, PoisonBudgetExceeded, block_key, furthest
from monitor.service.join_indexes import JoinIndexes
from monitor.service.own_time import OwnTime
from monitor.settings import BlockSettings, JoinSettings, Settings
from monitor.simulate import generate
from monitor.simulate.scenarios import demo
from monitor.snapshot import ServiceSnapshot, Snapshot
from monitor.topics import APPEALS, BLOCKS, DECISIONS, JOIN, REPORTS, REVIEWS
from tests.service.memory_kafka import Crash, CrashingOutlet, Fetched, MemoryKafka

SOURCES = (DECISIONS, REVIEWS, APPEALS, REPORTS)
PARTITIONS = 2
LIVES = 12
LOST_DISK = 0.1
"""Probability that the next life finds the index of the join gone."""
"""A life ends by a crash in a write or, between two steps, by being dropped."""
AFTER_ALL = 2e9
"""Seconds since the epoch, after everything that happens here."""
START_MS = 1_790_000_040_000 - 1_790_000_040_000 % 60_000

Source = tuple[list[int], list[bytes | None]]
"""Kafka timestamps and values of one partition."""


@pytest.fixture(scope="module")
def sources() -> dict[tuple[str, int], Source]:
    logs: dict[tuple[str, int], Source] = {}
    scenario = msgspec.structs.replace(demo(decisions_per_minute=400.0, incident_minute=4), context_share=0.5)
    batches = list(generate(scenario, seed=3, start_ms=START_MS, minutes=12))
    for topic in SOURCES:
        for batch in batches:
            records = batch.records.get(topic.topic)
            if records is None:
                continue
            for index, (at, value) in enumerate(zip(records.timestamps.tolist(), records.values, strict=True)):
                times, values = logs.setdefault((topic.topic, index % PARTITIONS), ([], []))
                times.append(at)
                values.append(b"junk" if index % 97 == 5 else None if index % 89 == 7 else value)
    return logs


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return assemble(Settings(blocks=BlockSettings(size=64, horizon=2), join=JoinSettings(block_size=16)))


class Process:
    """One life of a worker that owns everything."""

    def __init__(
        self,
        kafka: MemoryKafka,
        sources: dict[tuple[str, int], Source],
        pipeline: Pipeline,
        rng: random.Random,
        folder: Path,
        *,
        crash: float,
        name: str,
    ) -> None:
        outlet = CrashingOutlet(kafka, rng, crash=crash)
        self._kafka, self._sources, self._pipeline, self._rng = kafka, sources, pipeline, rng
        assert pipeline.join is not None
        self.ingest = Ingest(
            pipeline.summarise,
            outlet,
            indexes=JoinIndexes(folder / "join", pipeline.join, IndexMemory(4 * 1024 * 1024)),
            poison_ratio=0.9,
            poison_window=1000,
            app_version="test",
        )
        self.evaluation = Evaluation(
            pipeline.evaluate, outlet, kafka, directory=folder, token=lambda: name, clock=lambda: AFTER_ALL
        )
        self._at: dict[tuple[str, int], int] = {}

    async def start(self) -> None:
        for key in self._sources:
            committed = self._kafka.committed.get(key)
            self._at[key] = 0 if committed is None else self.ingest.rewind(*key, committed)
            self.ingest.start(*key, self._at[key])
        for number in range(PARTITIONS):
            key = (JOIN, number)
            committed = self._kafka.committed.get(key)
            wanted = 0 if committed is None else self.ingest.rewind(*key, committed)
            self._at[key] = wanted
            self.ingest.start(*key, wanted)
            key = (BLOCKS, number)
            self._at[key] = self._kafka.committed.get(key, 0)
            self.evaluation.start(number, self._at[key])
            await self.evaluation.restore(number)

    async def live(self, steps: int) -> None:
        for _ in range(steps):
            await self.step(
                self._rng.choice(["source", "source", "join", "blocks", "publish", "checkpoint", "advance"])
            )

    async def step(self, what: str) -> None:
        if what == "publish":
            await self.ingest.publish_regularly(OwnTime())
        elif what == "checkpoint":
            await self.evaluation.checkpoint()
        elif what == "advance":
            self.evaluation.advance()
        elif what == "join":
            await self._join(self._rng.randrange(PARTITIONS), self._rng.randint(1, 200))
        elif what == "blocks":
            number = self._rng.randrange(PARTITIONS)
            batch = self._kafka.fetch(BLOCKS, number, self._at[BLOCKS, number], self._rng.randint(1, 9))
            self._at[BLOCKS, number] = batch.next_offset
            await self.evaluation.take(batch, self._commit(batch))
        else:
            await self._read(self._rng.choice(sorted(self._sources)), self._rng.randint(1, 200))

    async def drain(self) -> None:
        """Read everything to the end."""
        for key in self._sources:
            while self._at[key] < len(self._sources[key][0]):
                await self._read(key, 500)
        await self.ingest.publish()  # waits until what goes to the join is there
        for number in range(PARTITIONS):
            await self._join(number, 10**9)
        await self.ingest.publish()
        for number in range(PARTITIONS):
            batch = self._kafka.fetch(BLOCKS, number, self._at[BLOCKS, number], 10**9)
            await self.evaluation.take(batch, self._commit(batch))
        self.evaluation.advance()

    def snapshot(self) -> Snapshot:
        return take_snapshot(
            self.evaluation.evaluators(),
            objectives=self._pipeline.objectives,
            service=ServiceSnapshot(),
            taken_at=None,
            ready=True,
            reason="",
        )

    async def _read(self, key: tuple[str, int], limit: int) -> None:
        times, values = self._sources[key]
        begin = self._at[key]
        end = min(len(times), begin + limit)
        batch = Fetched(*key, list(range(begin, end)), times[begin:end], values[begin:end], end)
        self._at[key] = end
        if len(batch):
            await self.ingest.take(batch, self._commit(batch))

    async def _join(self, number: int, limit: int) -> None:
        batch = self._kafka.fetch(JOIN, number, self._at[JOIN, number], limit)
        self._at[JOIN, number] = batch.next_offset
        if len(batch):
            await self.ingest.take(batch, self._commit(batch))

    def _commit(self, batch: Fetched):  # type: ignore[no-untyped-def]
        def acknowledge() -> None:
            key = (batch.topic, batch.partition)
            self._kafka.committed[key] = max(batch.next_offset, self._kafka.committed.get(key, 0))

        return acknowledge


async def run(
    sources: dict[tuple[str, int], Source], pipeline: Pipeline, folder: Path, *, seed: int, crash: float
) -> tuple[Snapshot, MemoryKafka]:
    """Lives that end at random points, in calls or in the middle of a write; the last one reads everything."""
    rng = random.Random(seed)
    kafka = MemoryKafka(PARTITIONS)
    for life in itertools.count():
        last = life >= LIVES
        process = Process(kafka, sources, pipeline, rng, folder, crash=0.0 if last else crash, name=f"owner{life}")
        try:
            await process.start()
            await process.live(rng.randint(5, 160))
            if last:
                await process.drain()
                return process.snapshot(), kafka
        except Crash:
            pass
        finally:
            process.ingest.close()  # the operating system would; what is not committed is lost
        if rng.random() < LOST_DISK:
            shutil.rmtree(folder / "join", ignore_errors=True)
    raise AssertionError


def decisions(snapshot: Snapshot) -> dict[tuple[object, ...], int]:
    return {
        (key, labels): int(model.decisions.values[row, column])
        for model in snapshot.models
        for row, key in enumerate(model.series)
        for column, labels in enumerate(model.decisions.labels)
        if model.decisions.values[row, column]
    }


def of_sources(snapshot: Snapshot) -> dict[str, dict[tuple[str, ...], int]]:
    """Counters but for the records of the join topic, into which a crash may write the same again."""
    return {
        name: {labels: count for labels, count in family.items() if (name, labels) != (catalogue.RECORDS.name, (JOIN,))}
        for name, family in snapshot.service.counters.items()
    }


def readings(snapshot: Snapshot) -> dict[tuple[object, ...], tuple[float, float]]:
    return {
        (model.series[row], column.quantity, column.window, column.method): (
            float(column.value[row]),
            float(column.sample[row]),
        )
        for model in snapshot.models
        for column in model.readings
        for row in range(len(model.series))
        if column.sample[row] > 0
    }


@pytest.mark.parametrize("seed", range(6))
async def test_crashes_at_any_point_change_no_number(
    sources: dict[tuple[str, int], Source], pipeline: Pipeline, tmp_path: Path, seed: int
) -> None:
    calm, _ = await run(sources, pipeline, tmp_path / "calm", seed=0, crash=0.0)

    stormy, kafka = await run(sources, pipeline, tmp_path / "stormy", seed=seed, crash=0.04)

    assert decisions(calm) == decisions(stormy)
    assert of_sources(calm) == of_sources(stormy)
    assert readings(calm) == readings(stormy)
    assert {} == calm.service.counters.get(catalogue.MISSED.name, {})
    joined = calm.service.counters[catalogue.RECORDS.name][JOIN,]
    assert joined > 0
    junk = sum(value == b"junk" for _, values in sources.values() for value in values)
    headers = [
        dict(record.headers) for (topic, _), log in kafka.logs.items() if topic.endswith(".dlq") for record in log
    ]
    places = {tuple(told[f"monitor.error.{name}"] for name in ("topic", "partition", "offset")) for told in headers}
    assert junk == len(places)
    assert junk == sum(calm.service.counters[catalogue.DEAD_LETTERS.name].values())


def test_of_a_message_and_its_repetition_the_first_counts_so_that_blocks_stay_in_order() -> None:
    finished, following, shorter = b"m\x1ft/0\x1f0\x1f64", b"m\x1ft/0\x1f64\x1f90", b"m\x1ft/0\x1f64\x1f70"

    assert [0, 1] == furthest([finished, following, finished, shorter])
    assert [1] == furthest([shorter, following])


def test_a_model_that_is_named_like_a_source_does_not_take_its_key() -> None:
    span = Span(DECISIONS.topic, 0, 0, 1000, True, 0, START_MS)
    source = SourceBlock(span=span, counts=())
    empty = pack(np.empty(0, dtype=np.int64))
    none = Entries(empty, empty, empty)
    model = ModelBlock(span, source_of(source), (), (), empty, empty, none, none, (), None)

    assert [0, 1] == furthest([block_key(source), block_key(model)])


async def test_a_producer_that_breaks_the_contract_wholesale_stops_the_worker(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    ingest = calm(pipeline, poison_ratio=0.5)
    batch = Fetched(DECISIONS.topic, 0, list(range(200)), [START_MS] * 200, [b"junk"] * 200, 200)
    acknowledged: list[int] = []

    with pytest.raises(PoisonBudgetExceeded, match="200 of the last 200 records were refused"):
        await ingest.take(batch, lambda: acknowledged.append(1))

    assert acknowledged == []


def tombstones(begin: int, end: int) -> Fetched:
    count = end - begin
    return Fetched(DECISIONS.topic, 0, list(range(begin, end)), [START_MS] * count, [None] * count, end)


async def test_a_record_is_acknowledged_only_after_the_block_that_holds_it(pipeline: Pipeline) -> None:
    ingest = calm(pipeline)
    acknowledged: list[int] = []

    for begin, end in ((0, 40), (40, 70)):  # a block holds 64
        await ingest.take(tombstones(begin, end), lambda end=end: acknowledged.append(end))  # type: ignore[misc]
    after_the_first_block = list(acknowledged)
    await ingest.publish()

    assert [40] == after_the_first_block
    assert [40, 70] == acknowledged


async def test_while_whole_blocks_come_their_ends_publish_and_when_they_cease_the_open_one_does(
    pipeline: Pipeline,
) -> None:
    ingest = calm(pipeline)
    acknowledged: list[int] = []
    seen = []
    for begin, end in ((0, 70), (70, 140), (140, 150)):  # a block holds 64
        await ingest.take(tombstones(begin, end), lambda end=end: acknowledged.append(end))  # type: ignore[misc]
        await ingest.publish_regularly(OwnTime())
        seen.append(list(acknowledged))

    assert [[], [70], [70, 140, 150]] == seen


async def test_a_partition_that_is_started_twice_leaves_nobody_waiting(pipeline: Pipeline, tmp_path: Path) -> None:
    kafka = MemoryKafka(1)
    outlet = CrashingOutlet(kafka, random.Random(0), crash=0.0)
    evaluation = Evaluation(
        pipeline.evaluate, outlet, kafka, directory=tmp_path, token=lambda: "owner", clock=lambda: AFTER_ALL
    )
    evaluation.start(0, 0)
    waiting = asyncio.create_task(evaluation.take(Fetched(BLOCKS, 0, [], [], [], 0), lambda: None))
    await asyncio.sleep(0)  # until it waits for the partition to be restored

    evaluation.start(0, 0)

    await asyncio.wait_for(waiting, 5.0)
    assert [0] == evaluation.restoring()


def calm(pipeline: Pipeline, *, poison_ratio: float = 0.9) -> Ingest:
    """The first stage with the first partition of decisions; nothing crashes."""
    outlet = CrashingOutlet(MemoryKafka(1), random.Random(0), crash=0.0)
    ingest = Ingest(pipeline.summarise, outlet, poison_ratio=poison_ratio, poison_window=100, app_version="test")
    ingest.start(DECISIONS.topic, 0, 0)
    return ingest
