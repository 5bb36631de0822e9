"""Who reads the sources waits until what is exported has been restored, but not for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.assembly import assemble
from monitor.service.evaluation import Evaluation
from monitor.settings import Settings
from tests.service.memory_kafka import CrashingOutlet, MemoryKafka

LONG = 60.0


class SlowLog(MemoryKafka):
    """Begins to read when `answer` is set."""

    def __init__(self) -> None:
        super().__init__(1)
        self.answer = asyncio.Event()

    async def read(
        self, topic: str, partition: int, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[tuple[int, bytes | None, bytes | None]]:
        await self.answer.wait()
        async for record in super().read(topic, partition, start=start, end=end):
            yield record


@pytest.fixture
def log() -> SlowLog:
    return SlowLog()


@pytest.fixture
def evaluation(log: SlowLog, tmp_path: Path) -> Evaluation:
    """Owns partition 0, which nobody restores yet."""
    outlet = CrashingOutlet(log, random.Random(0), crash=0.0)
    settings = assemble(Settings()).evaluate
    evaluation = Evaluation(settings, outlet, log, directory=tmp_path, token=lambda: "owner", clock=lambda: 0.0)
    evaluation.start(0, 0)
    return evaluation


async def waiting(evaluation: Evaluation) -> asyncio.Task[None]:
    task = asyncio.create_task(evaluation.until_restored(within=LONG))
    done, _ = await asyncio.wait([task], timeout=0.1)
    assert not done
    return task


async def test_it_waits_until_the_partition_is_restored(evaluation: Evaluation, log: SlowLog) -> None:
    restore = asyncio.create_task(evaluation.restore(0))
    task = await waiting(evaluation)
    log.answer.set()
    await asyncio.wait_for(asyncio.gather(restore, task), 10)
    assert [] == evaluation.restoring()
    await asyncio.wait_for(evaluation.until_restored(within=LONG), 1)  # nothing is


async def test_it_does_not_wait_for_a_partition_that_has_gone(evaluation: Evaluation) -> None:
    task = await waiting(evaluation)
    evaluation.revoke(0)
    await asyncio.wait_for(task, 10)


@pytest.mark.parametrize("within", [0.05, 0.0, -3.0])
async def test_it_goes_on_when_restoring_takes_too_long(evaluation: Evaluation, within: float) -> None:
    await asyncio.wait_for(evaluation.until_restored(within=within), 10)
    assert [0] == evaluation.restoring()
