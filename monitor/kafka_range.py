"""A range of the source topics, read once or several times outside any consumer group.

The range is fixed when it is opened: what is published later is not read, however long reading takes. Times are those
of the records' Kafka timestamps, and choose offsets: from the first record at or after `since` to before the first at
or after `until`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.event_log import Batch, UnreadableLog
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

    def fetch(self, at: TopicPartition) -> tuple[list[Any], int]:
        """The next records of a partition, none if there are none yet, and the position behind them."""
        return self._run(self._fetch(at))

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
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            **self._options,
        )
        await self._consumer.start()
        known = await self._consumer.topics()
        missing = [source.topic for source in self._sources if source.topic not in known]
        if missing:
            raise UnreadableLog(f"Kafka at {self._servers}: there is no topic {', '.join(missing)}")
        found = {
            TopicPartition(source.topic, partition): source
            for source in self._sources
            for partition in sorted(self._consumer.partitions_for_topic(source.topic) or ())
        }
        self._consumer.assign(list(found))
        firsts = await self._consumer.beginning_offsets(list(found))
        ends = await self._consumer.end_offsets(list(found))
        since, until = (await self._at(found, firsts, time) for time in (self._since, self._until))
        for at, source in found.items():
            first = firsts[at] if self._since is None else (await since)[at]
        for at, source in found.items():
            self.logs.append(TopicLog(self, source, at, first=firsts[at], end=max(ends[at], firsts[at])))

    async def _fetch(self, at: TopicPartition) -> tuple[list[Any], int]:
        found = await self._consumer.getmany(at, timeout_ms=POLL_MS)
        return found.get(at, []), await self._consumer.position(at)
