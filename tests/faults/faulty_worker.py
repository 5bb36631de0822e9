"""A worker with a fault inside, run as a program: `python faulty_worker.py FAULT worker [options]`.

* `block`: SIGUSR1 blocks the main thread, and the event loop with it, for ever; the file `blocked` says so.
* `hang`: the first batch of decisions is never done.
* `raise`: an exception in the processing of a batch, once in `FAIL_EVERY` records that were never committed before.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from monitor.cli import cli
from monitor.service.ingest import Ingest
from monitor.topics import BY_TOPIC, DECISIONS
from tests.faults.faulty import BLOCKED


def block() -> None:
    """The handler runs in the main thread, where the loop is."""

    def wait(*_: object) -> None:
        BLOCKED.touch()
        threading.Event().wait()

    signal.signal(signal.SIGUSR1, wait)


def fail() -> None:
    """Count fresh records of the sources; the batch that completes a full number of them fails."""
    every = int(os.environ["FAIL_EVERY"])
    take = Ingest.take
    fresh = 0

    async def take_or_fail(self: Ingest, batch: Any, acknowledge: Callable[[], None]) -> None:
        nonlocal fresh
        if batch.topic in BY_TOPIC:
            partition = self._partitions.get((batch.topic, batch.partition))
            committed = batch.next_offset if partition is None else partition.committed
            fresh += sum(offset >= committed for offset in batch.offsets)
        if fresh >= every:
            fresh = 0
            raise RuntimeError(f"injected: one in {every} records fails")
        await take(self, batch, acknowledge)

    Ingest.take = take_or_fail  # type: ignore[method-assign]


def hang() -> None:
    """Await what never comes."""
    take = Ingest.take

    async def take_or_hang(self: Ingest, batch: Any, acknowledge: Callable[[], None]) -> None:
        if batch.topic == DECISIONS.topic and len(batch):
            await asyncio.Event().wait()
        await take(self, batch, acknowledge)

    Ingest.take = take_or_hang  # type: ignore[method-assign]


FAULTS = {"block": block, "hang": hang, "raise": fail}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    cli()
