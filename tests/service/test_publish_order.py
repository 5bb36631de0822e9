"""Blocks are published in the order of the log, whoever publishes while records are being taken."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from monitor.assembly import assemble
from monitor.blocks import ModelBlock, SourceBlock, decode_block
from monitor.join.rocks import IndexMemory
from monitor.service.ingest import Ingest
from monitor.service.join_indexes import JoinIndexes
from monitor.service.outlet import Record
from monitor.service.own_time import OwnTime
from monitor.settings import BlockSettings, Settings
from monitor.topics import BLOCKS, DECISIONS
from tests.core.strategies import decision, encoded
from tests.service.memory_kafka import CrashingOutlet, Fetched, MemoryKafka

BLOCK = 16
RECORDS = 40 * BLOCK


class SlowOutlet(CrashingOutlet):
    """Each write takes some turns of the event loop; those to one topic are written in the order they were begun."""

    def __init__(self, kafka: MemoryKafka, rng: random.Random) -> None:
        super().__init__(kafka, rng, crash=0.0)
        self._random = rng

    async def write(self, records: Iterable[Record]) -> None:
        await super().write(records)
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)


async def publish_until(done: asyncio.Event, ingest: Ingest, rng: random.Random) -> None:
    while not done.is_set():
        await rng.choice((ingest.publish, lambda: ingest.publish_regularly(OwnTime())))()
        for _ in range(rng.randrange(6)):
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(8))
async def test_no_block_overtakes_the_one_before_it(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    kafka, pipeline = MemoryKafka(2), assemble(Settings(blocks=BlockSettings(size=BLOCK, horizon=2)))
    assert pipeline.join is not None
    ingest = Ingest(
        pipeline.summarise,
        SlowOutlet(kafka, rng),
        indexes=JoinIndexes(tmp_path, pipeline.join, IndexMemory(4 * 1024 * 1024)),
        poison_ratio=0.9,
        poison_window=100,
        app_version="test",
    )
    ingest.start(DECISIONS.topic, 0, 0)
    done = asyncio.Event()
    publishers = [asyncio.create_task(publish_until(done, ingest, rng)) for _ in range(2)]
    values = [encoded(decision(n, model=f"m{n % 3}")) if n % 7 else b"junk" for n in range(RECORDS)]
    begin = 0
    while begin < RECORDS:
        end = min(RECORDS, begin + rng.randint(1, 3 * BLOCK))
        offsets = list(range(begin, end))
        await ingest.take(
            Fetched(DECISIONS.topic, 0, offsets, [1_760_000_000_000] * len(offsets), [*values[begin:end]], end),
            lambda: None,
        )
        begin = end
    done.set()
    await asyncio.gather(*publishers)
    await ingest.publish()

    reached: dict[str, tuple[int, int]] = {}
    for (topic, _), log in kafka.logs.items():
        for record in log if topic == BLOCKS else ():
            assert record.value is not None
            message = decode_block(record.value)
            if isinstance(message, ModelBlock | SourceBlock):
                about = message.model if isinstance(message, ModelBlock) else ""
                before = reached.get(about, (0, 0))
                told = (message.span.first, message.span.through)
                assert before <= told, f"block {told} of {about!r} was published after {before}"
                assert about or told[0] <= before[1], f"a block between {before} and {told} is missing"
                reached[about] = told
    assert (RECORDS - BLOCK, RECORDS) == reached[""]
    ingest.close()
