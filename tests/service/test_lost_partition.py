"""A partition of the join goes while its blocks are being published: its index is closed, and nobody asks it again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path

from monitor.assembly import assemble
from monitor.join.rocks import IndexMemory
from monitor.service.ingest import Ingest
from monitor.service.join_indexes import JoinIndexes
from monitor.service.outlet import Record
from monitor.settings import Settings
from monitor.topics import BLOCKS, JOIN
from tests.service.memory_kafka import CrashingOutlet, MemoryKafka
from tests.service.test_state_on_disk import join_batch


class SlowOutlet(CrashingOutlet):
    """Keeps whoever writes records waiting until `answer` is set."""

    def __init__(self, kafka: MemoryKafka) -> None:
        super().__init__(kafka, random.Random(0), crash=0.0)
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def write(self, records: Iterable[Record]) -> None:
        told = list(records)
        if told:
            self.asked.set()
            await self.answer.wait()
        await super().write(told)


class World:
    """The first stage, with one partition of the join and a Kafka that has not answered yet."""

    def __init__(self, directory: Path) -> None:
        pipeline = assemble(Settings())
        assert pipeline.join is not None
        self.kafka = MemoryKafka(1)
        self.outlet = SlowOutlet(self.kafka)
        self.ingest = Ingest(
            pipeline.summarise,
            self.outlet,
            indexes=JoinIndexes(directory, pipeline.join, IndexMemory(4 * 1024 * 1024)),
            poison_ratio=0.9,
            poison_window=100,
            app_version="test",
        )
        self.ingest.start(JOIN, 0, 0)

    async def two_publish(self) -> list[asyncio.Task[None]]:
        """One publishes the open block, and another one, who found it longer, waits for the first."""
        await self.ingest.take(join_batch(0, 4), lambda: None)
        first = asyncio.create_task(self.ingest.publish())
        await self.outlet.asked.wait()
        await self.ingest.take(join_batch(4, 4), lambda: None)
        second = asyncio.create_task(self.ingest.publish())
        for _ in range(3):  # steps of the event loop until it waits
            await asyncio.sleep(0)
        return [first, second]

    def blocks(self) -> int:
        return len([record for record in self.kafka.logs[BLOCKS, 0] if b"clock" not in (record.key or b"")])


async def test_who_waits_to_publish_a_block_publishes_it_if_the_partition_stays(tmp_path: Path) -> None:
    world = World(tmp_path)
    tasks = await world.two_publish()
    world.outlet.answer.set()
    await asyncio.gather(*tasks)
    assert 2 == world.blocks()
    world.ingest.close()


async def test_who_waits_to_publish_a_block_of_a_partition_that_goes_leaves_it_to_the_next_owner(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    tasks = await world.two_publish()
    world.ingest.revoke(JOIN, 0)
    world.outlet.answer.set()
    await asyncio.gather(*tasks)
    assert 1 == world.blocks()


async def test_it_is_left_to_the_new_owner_also_when_that_is_this_worker_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    tasks = await world.two_publish()
    world.ingest.revoke(JOIN, 0)
    assert 0 == world.ingest.rewind(JOIN, 0, 4)
    world.ingest.start(JOIN, 0, 0)
    world.outlet.answer.set()
    await asyncio.gather(*tasks)
    assert 1 == world.blocks()
    await world.ingest.take(join_batch(0, 8), lambda: None)
    await world.ingest.publish()
    assert 2 == world.blocks()
    world.ingest.close()
