"""A worker that may have lost its partitions writes no checkpoint: nobody would need it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from monitor.assembly import assemble
from monitor.blocks import SourceBlock, Span, encode_block
from monitor.service.evaluation import Evaluation
from monitor.settings import Settings
from monitor.topics import BLOCKS, DECISIONS, STATE
from tests.service.memory_kafka import CrashingOutlet, Fetched, MemoryKafka

AFTER_ALL = 2e9
BLOCK = SourceBlock(
    Span(DECISIONS.topic, 0, first=0, through=3, closed=False, begin=0, clock_ms=1_790_000_000_000),
    counts=(("monitor_records_total", (DECISIONS.topic,), 3),),
)


class World:
    """One partition with a block that no checkpoint holds yet, of a worker that does not know whether it is its."""

    def __init__(self, directory: Path) -> None:
        self.kafka = MemoryKafka(1)
        self.ours = False
        self.acknowledged: list[int] = []
        self.evaluation = Evaluation(
            assemble(Settings()).evaluate,
            CrashingOutlet(self.kafka, random.Random(0), crash=0.0),
            self.kafka,
            directory=directory,
            token=lambda: "owner",
            clock=lambda: AFTER_ALL,
            may_write=lambda: self.ours,
        )

    async def begin(self) -> asyncio.Task[None]:
        """A checkpoint that waits."""
        self.evaluation.start(0, 0)
        await self.evaluation.restore(0)
        batch = Fetched(BLOCKS, 0, [0], [0], [encode_block(BLOCK)], 1)
        await self.evaluation.take(batch, lambda: self.acknowledged.append(1))
        checkpoint = asyncio.create_task(self.evaluation.checkpoint())
        done, _ = await asyncio.wait([checkpoint], timeout=0.3)
        assert (set(), []) == (done, self.written())
        return checkpoint

    def written(self) -> list[object]:
        return list(self.kafka.logs[STATE, 0])


async def test_it_is_written_when_the_group_has_answered(tmp_path: Path) -> None:
    world = World(tmp_path)
    checkpoint = await world.begin()
    world.ours = True
    await asyncio.wait_for(checkpoint, 10)
    assert ([1], True) == (world.acknowledged, len(world.written()) > 0)


async def test_it_is_dropped_when_the_partition_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path)
    checkpoint = await world.begin()
    world.evaluation.revoke(0)
    world.ours = True
    await asyncio.wait_for(checkpoint, 10)
    assert ([], []) == (world.acknowledged, world.written())
