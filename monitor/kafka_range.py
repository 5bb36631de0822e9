"""A range of the source topics, read once or several times outside any consumer group.

The range is fixed when it is opened: what is published later is not read, however long reading takes. Times are those
of the records' Kafka timestamps, and choose offsets: from the first record at or after `since` to before the first at
or after `until`.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from monitor.event_log import Batch, UnreadableLog
from monitor.streaming.fetch import RecordBatch, deliver_batches, merge
from monitor.topics import SourceTopic

POLL_MS: Final = 500
PATIENCE: Final = 120
"""Polls in a row without any progress after which the range is given up: a minute."""
FETCH_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a partition that are fetched at once."""


class TopicRange:
    """All partitions of the topics between two times (ms since the epoch; None: no limit), as a context manager.

    `options` are keyword arguments of the consumer: security and the like. Raises UnreadableLog when the brokers cannot
    be reached or a topic is missing. Aborted transactions are left out.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        sources: Sequence[SourceTopic],
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._servers = bootstrap_servers
        self._sources = tuple(sources)
        self._since = since_ms
        self._until = until_ms
        self._options = dict(options or {})
        # A loop of its own, so that reading is a plain iteration: the pure steps know nothing of asyncio.
        self._runner = asyncio.Runner()
        self._consumer: Any = None
        self.logs: list[TopicLog] = []
        """The partitions, in order of topic and number."""

    def __enter__(self) -> Self:
        try:
            self._run(self._open())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def __str__(self) -> str:
        return ", ".join(str(log) for log in self.logs)

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Read on from an offset."""
        self._consumer.seek(at, offset)

    def fetch(self, at: TopicPartition) -> tuple[RecordBatch | None, int]:
        """The next records of a partition, None if there are none yet, and the position behind them."""
        found: tuple[RecordBatch | None, int] = self._run(self._fetch(at))
        return found

    def _close(self) -> None:
        if self._consumer is not None:
            self._runner.run(self._consumer.stop())
            self._consumer = None
        self._runner.close()

    def _run(self, work: Any) -> Any:
        try:
            return self._runner.run(work)
        except KafkaError as error:
            raise UnreadableLog(f"Kafka at {self._servers}: {error!r}") from error

    async def _open(self) -> None:
        partitions = await self._partitions()
        found = {
            TopicPartition(source.topic, number): source
            for source in self._sources
            for number in partitions[source.topic]
        }
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            **self._options,
        )
        await self._consumer.start()
        deliver_batches(self._consumer._fetcher, topics={source.topic for source in self._sources})  # noqa: SLF001
        self._consumer.assign(list(found))
        firsts = await self._consumer.beginning_offsets(list(found))
        ends = await self._consumer.end_offsets(list(found))
        begins = firsts if self._since is None else await self._offsets(self._since, ends)
        stops = ends if self._until is None else await self._offsets(self._until, ends)
        self.logs = [
            TopicLog(self, source, at.partition, first=max(begins[at], firsts[at]), end=stops[at])
            for at, source in found.items()
        ]

    async def _partitions(self) -> dict[str, list[int]]:
        """Partitions of each topic. Asks for all topics: asking for one by name may create it."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers, **self._options)
        try:
            await admin.start()
            described = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
        finally:
            await admin.close()
        missing = [source.topic for source in self._sources if source.topic not in described]
        if missing:
            raise UnreadableLog(f"Kafka at {self._servers}: there is no topic {', '.join(missing)}")
        return {topic: sorted(one["partition"] for one in found) for topic, found in described.items()}

    async def _offsets(self, time_ms: int, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """First offset at or after a time in each partition; its end where all records are older."""
        found = await self._consumer.offsets_for_times(dict.fromkeys(ends, time_ms))
        return {at: end if found.get(at) is None else min(end, found[at].offset) for at, end in ends.items()}

    async def _fetch(self, at: TopicPartition) -> tuple[RecordBatch | None, int]:
        found = (await self._consumer.getmany(at, timeout_ms=POLL_MS)).get(at)
        return merge([record.value for record in found]) if found else None, await self._consumer.position(at)


class TopicLog:
    """One partition of the range: offsets `first` to before `end`. Size and position are numbers of offsets."""

    def __init__(self, whole: TopicRange, source: SourceTopic, partition: int, *, first: int, end: int) -> None:
        self.source = source
        self.partition = partition
        self.size = max(0, end - first)
        self.position = 0
        self._whole = whole
        self._at = TopicPartition(source.topic, partition)
        self._first = first
        self._end = end

    def __str__(self) -> str:
        return f"{self.source.topic}[{self.partition}] {self._first}..{max(self._first, self._end)}"

    def batches(self) -> Iterator[Batch]:
        """All records, from the first; UnreadableLog when the brokers do not give them."""
        self.position = 0
        if not self.size:
            return
        self._whole.seek(self._at, self._first)
        reached, idle = self._first, 0
        while reached < self._end:
            found, position = self._whole.fetch(self._at)
            idle = idle + 1 if position == reached else 0
            if idle > PATIENCE:
                raise UnreadableLog(f"{self}: Kafka gives nothing from offset {reached} on; is a transaction open?")
            reached = position
            self.position = min(reached, self._end) - self._first
            inside = 0 if found is None else bisect_left(found.offsets, self._end)
            if found is not None and inside:
                yield Batch(
                    found.offsets[:inside], found.timestamps[:inside], found.values[:inside], min(reached, self._end)
                )
