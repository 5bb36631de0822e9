"""The second stage at work: partitions of the blocks topic in, checkpoints written, then acknowledged.

A new owner restores the last checkpoint and reads on where it ended, whatever the group's committed offset says; only
then does it export. Who loses a partition forgets it at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import structlog

from monitor.blocks import BlockMessage, decode_block, reach_of, source_of
from monitor.evaluate import PartitionEvaluator, is_ahead
from monitor.model import ModelSettings
from monitor.service.ingest import Batch, furthest
from monitor.service.outlet import Outlet, Record
from monitor.service.quarantine import make_room
from monitor.topics import BLOCKS, STATE

log = structlog.get_logger(__name__)

QUARANTINE: Final = "quarantine"
HOLD_SECONDS: Final = 0.1


class Log(Protocol):
    """Reads a partition of an internal topic: (offset, key, value) from `start` up to `end` or the log's end."""

    def read(
        self, topic: str, partition: int, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[tuple[int, bytes | None, bytes | None]]: ...


@dataclass(slots=True)
class _Owned:
    number: int
    start: int
    """where the transport starts reading"""
    evaluator: PartitionEvaluator
    position: int = 0
    """offset after the last block that was folded"""
    written: int = -1
    """position of the last checkpoint"""
    read: int = 0
    """records that restoring has read"""
    restored: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: deque[tuple[int, Callable[[], None]]] = field(default_factory=deque)


class Evaluation:
    """Partitions of the blocks topic of this worker. Methods run on one event loop.

    `may_write` says whether what was ours still is, as far as we know: checkpoints wait for it.
    """

    def __init__(
        self,
        settings: ModelSettings,
        outlet: Outlet,
        reader: Log,
        *,
        directory: Path,
        token: Callable[[], str],
        clock: Callable[[], float],
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings = settings
        self._outlet = outlet
        self._reader = reader
        self._directory = directory
        self._token = token
        self._clock = clock
        self._may_write = may_write
        self._owned: dict[int, _Owned] = {}
        self.last_checkpoint_at: float | None = None

    def start(self, partition: int, offset: int) -> None:
        """A partition is ours: blocks will come from `offset` on. `restore` has to follow."""
        self.revoke(partition)  # the transport may say it twice
        evaluator = PartitionEvaluator(self._settings, owner=self._token())
        self._owned[partition] = _Owned(partition, offset, evaluator)

    def revoke(self, partition: int) -> None:
        """A partition is no longer ours: nothing of it is exported any more."""
        owned = self._owned.pop(partition, None)
        if owned is not None:
            owned.restored.set()  # a batch that waits for it finds that it is gone

    def evaluators(self) -> Iterable[PartitionEvaluator]:
        """What may be exported: the partitions that are ours and restored."""
        return [owned.evaluator for owned in self._owned.values() if owned.restored.is_set()]

    def restoring(self) -> list[int]:
        """Partitions that are ours but not restored yet."""
        return sorted(self.restored_records())

    def restored_records(self) -> dict[int, int]:
        """How many records restoring has read so far, of each partition that is ours but not restored yet."""
        return {number: owned.read for number, owned in self._owned.items() if not owned.restored.is_set()}

    def positions(self) -> dict[tuple[str, int], int]:
        """Offset after the last folded block of each restored partition."""
        return {(BLOCKS, number): owned.position for number, owned in self._owned.items() if owned.restored.is_set()}

    async def restore(self, partition: int) -> None:
        """Bring a partition to where the transport starts reading: the checkpoint, then the blocks behind it."""
        owned = self._owned.get(partition)
        if owned is None or owned.restored.is_set():
            return
        records: dict[bytes, bytes] = {}
        async for _, key, value in self._reader.read(STATE, partition):
            owned.read += 1
            if key is not None and value is not None:
                records[key] = value
            elif key is not None:
                records.pop(key, None)
        restored = owned.evaluator.restore(records, now_ms=self._now_ms())
        if restored.unreadable:
            self._quarantine(partition, records, restored.unreadable)
        blocks = 0
        owned.position = restored.reread_from
        async for offset, _, value in self._reader.read(BLOCKS, partition, start=restored.reread_from, end=owned.start):
            self._fold(owned, offset, value)
            owned.read += 1
            blocks += 1
        owned.position = max(owned.position, owned.start)
        owned.evaluator.advance()
        if self._owned.get(partition) is owned:
            owned.restored.set()
            log.info("partition restored", partition=partition, records=len(records), blocks=blocks)

    async def take(self, batch: Batch, acknowledge: Callable[[], None]) -> None:
        """Fold a batch of block messages; `acknowledge` is called once a checkpoint holds them."""
        owned = self._owned.get(batch.partition)
        if owned is None:
            return
        await owned.restored.wait()
        if self._owned.get(batch.partition) is not owned:
            return
        for index in furthest(batch.key(index) for index in range(len(batch))):
            if batch.offsets[index] >= owned.position:
                self._fold(owned, batch.offsets[index], batch.values[index])
        owned.position = max(owned.position, batch.next_offset)
        owned.waiting.append((batch.next_offset, acknowledge))

    def advance(self) -> None:
        """Move all restored partitions to where their sources have come."""
        for evaluator in self.evaluators():
            evaluator.advance()

    async def checkpoint(self) -> None:
        """Write what changed since the last checkpoint and acknowledge the blocks that it holds."""
        for owned in list(self._owned.values()):
            if owned.restored.is_set() and owned.position > owned.written:
                await self._checkpoint(owned)

    async def _checkpoint(self, owned: _Owned) -> None:
        position = owned.position
        taken = owned.evaluator.checkpoints(position=position)
        for step in taken.steps():
            # Who has lost the partition writes what the next owner does not need. What is begun is finished or the
            # partition is gone: a later checkpoint takes it for written.
            while not self._may_write():
                await asyncio.sleep(HOLD_SECONDS)
            if self._owned.get(owned.number) is not owned:
                return
            await self._outlet.write(Record(STATE, key, value, partition=owned.number) for key, value in step)
        owned.written = position
        self.last_checkpoint_at = self._clock()
        while owned.waiting and owned.waiting[0][0] <= position:
            owned.waiting.popleft()[1]()

    def _fold(self, owned: _Owned, offset: int, value: bytes | None) -> None:
        if value is not None:
            try:
                self._believe(owned, decode_block(value))
            except ValueError as error:
                owned.evaluator.set_aside("block")
                log.error("block message set aside", partition=owned.number, offset=offset, error=str(error))
        owned.position = max(owned.position, offset + 1)

    def _believe(self, owned: _Owned, message: BlockMessage) -> None:
        now_ms, clock_ms = self._now_ms(), reach_of(message).clock_ms
        if is_ahead(clock_ms, now_ms):
            ahead = (clock_ms - now_ms) // 1000
            log.warning(
                "a source's time is ahead of this machine's and not believed: a wrong timestamp, or a wrong clock here",
                source=source_of(message),
                seconds=ahead,
            )
        owned.evaluator.fold(message, now_ms=now_ms)

    def _now_ms(self) -> int:
        return round(1000 * self._clock())

    def _quarantine(self, partition: int, records: Mapping[bytes, bytes], unreadable: Iterable[str]) -> None:
        """Keep what could not be read for a look later; the next checkpoint replaces it."""
        for reason in unreadable:
            log.error("state set aside, rebuilding from blocks", partition=partition, error=reason)
        quarantine = self._directory / QUARANTINE
        folder = quarantine / f"{partition}-{int(self._clock())}"
        try:
            quarantine.mkdir(parents=True, exist_ok=True)
            make_room(quarantine)
            folder.mkdir(exist_ok=True)
            for number, (key, value) in enumerate(sorted(records.items())):
                (folder / f"{number:05d}.record").write_bytes(len(key).to_bytes(4, "big") + key + value)
        except OSError as error:
            log.error("quarantine not written", folder=str(folder), error=str(error))
