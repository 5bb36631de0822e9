"""Everything the service writes to Kafka goes through here: block messages, dead letters, checkpoints.

A write counts when all in-sync replicas have it; records of one partition keep their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from monitor.streaming.security import Security, aiokafka_options

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
"""Block messages and state records may be as large as this; the internal topics are created for it."""


class Unwritable(RuntimeError):  # noqa: N818 - says what Kafka is
    """Kafka has not taken a record for as long as writing it is tried."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record to write. `partition` None leaves the choice to the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Outlet(Protocol):
    """Where the stages write to."""

    async def write(self, records: Iterable[Record]) -> None:
        """Write records in order; returns when all are acknowledged, raises when one cannot be written."""

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""


class KafkaOutlet:
    """An `Outlet` on a producer of its own, which tries to write a record for `timeout` seconds.

    A request that is not answered within `request_timeout` seconds is sent again, to another broker where that one has
    lost the partition. Both are by default what they are in Kafka's own producer (`delivery.timeout.ms`,
    `request.timeout.ms`): a broker that is silent for a minute costs that minute and no restart. With a `timeout` that
    is less, the request has no more either.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        security: Security,
        *,
        client_id: str,
        timeout: float = 120.0,
        request_timeout: float = 30.0,
    ) -> None:
        self._timeout = timeout
        self._create = partial(
            AIOKafkaProducer,
            bootstrap_servers=bootstrap_servers,
            client_id=client_id,
            acks="all",
            enable_idempotence=False,  # the order holds with one request in flight; copies are recognised downstream
            compression_type="snappy",  # aiokafka runs LZ4 at its slowest level: five times the time for a fifth less
            max_request_size=MAX_RECORD_BYTES,
            linger_ms=0,
            request_timeout_ms=int(1000 * min(request_timeout, timeout)),
            **aiokafka_options(security),
        )
        self._producer: Any = _Absent("before it was started")

    async def start(self) -> None:
        """Connect; KafkaError when no broker answers."""
        producer = self._create()
        # aiokafka has one setting for both, and gives a batch up with its first request that is not answered.
        producer._request_timeout_ms = int(1000 * self._timeout)  # noqa: SLF001
        producer._message_accumulator._batch_ttl = self._timeout  # noqa: SLF001
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self, *, within: float) -> None:
        """Close, but wait no longer than `within` seconds for what is on its way. Nothing, if it was not started."""
        if isinstance(self._producer, _Absent):
            return
        try:
            await asyncio.wait_for(self._producer.stop(), within)
        except TimeoutError:
            self._producer = _Absent("after it was closed")

    async def write(self, records: Iterable[Record]) -> None:
        """Write records in order; returns when all are acknowledged. Unwritable: Kafka is away for too long."""
        try:
            sent = [
                await self._producer.send(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
                for record in records
            ]
            if sent:
                await asyncio.gather(*sent)
        except KafkaError as error:
            if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                raise
            # What may be tried again was, until its time was over.
            raise Unwritable(f"Kafka took no record for {self._timeout:g} seconds: {error!r}") from error

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""
        return len(await self._producer.partitions_for(topic))


class _Absent:
    """Stands where there is no producer: not yet, or not any more, as one could not be closed in time."""

    def __init__(self, when: str) -> None:
        self._when = when

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"outlet: {name} {self._when}")


def dead_letter(
    topic: str,
    partition: int,
    offset: int,
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
    why: Mapping[str, str],
) -> Record:
    """A refused record for `<topic>.dlq`: bytes unchanged, its own headers, then where it came from and why."""
    told = {"topic": topic, "partition": str(partition), "offset": str(offset), **why}
    return Record(
        f"{topic}.dlq",
        key,
        value,
        headers=(
            *((name, content if content is not None else b"") for name, content in headers),
            *((f"monitor.error.{name}", text.encode("utf-8", "backslashreplace")) for name, text in told.items()),
        ),
    )
