"""A Kafka in memory: logs of partitions, an outlet that can crash in the middle of a write, a reader."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

from monitor.service.outlet import Record


class Crash(Exception):  # noqa: N818 - says what happens
    """The process is gone: nothing after this point happens."""


@dataclass(slots=True)
class Fetched:
    """Records of one partition as the transport hands them over."""

    topic: str
    partition: int
    offsets: list[int]
    timestamps: list[int]
    values: list[bytes | None]
    next_offset: int
    keys: list[bytes | None] = field(default_factory=list)

    @property
    def first_offset(self) -> int:
        """These logs have no gaps."""
        return self.next_offset - len(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets)

    def key(self, index: int) -> bytes | None:
        return self.keys[index] if self.keys else None

    def headers(self, index: int) -> Sequence[tuple[str, bytes | None]]:
        return ()


class MemoryKafka:
    """Logs by topic and partition. A compacted topic keeps the last value of each key, as any reader sees it."""

    def __init__(self, partitions: int) -> None:
        self.count = partitions
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.committed: dict[tuple[str, int], int] = {}

    async def read(
        self, topic: str, partition: int, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[tuple[int, bytes | None, bytes | None]]:
        for offset, record in enumerate(list(self.logs[topic, partition])[:end]):
            if offset >= start:
                yield offset, record.key, record.value

    def fetch(self, topic: str, partition: int, start: int, limit: int) -> Fetched:
        log = self.logs[topic, partition]
        end = min(len(log), start + limit)
        return Fetched(
            topic,
            partition,
            list(range(start, end)),
            [0] * (end - start),
            [record.value for record in log[start:end]],
            end,
            [record.key for record in log[start:end]],
        )


class CrashingOutlet:
    """Writes to a `MemoryKafka`; with probability `crash` a write stops after some of its records."""

    def __init__(self, kafka: MemoryKafka, rng: random.Random, *, crash: float) -> None:
        self._kafka = kafka
        self._rng = rng
        self._crash = crash

    async def write(self, records: Iterable[Record]) -> None:
        told = list(records)
        written = self._rng.randint(0, len(told)) if told and self._rng.random() < self._crash else None
        for record in told[:written]:
            partition = record.partition if record.partition is not None else 0
            self._kafka.logs[record.topic, partition].append(record)
        if written is not None:
            raise Crash

    async def partitions(self, topic: str) -> int:
        return self._kafka.count
