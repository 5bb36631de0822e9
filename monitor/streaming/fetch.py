"""Whole record batches out of aiokafka, without one Python object a record.

aiokafka goes on doing the protocol: CRC, aborted transactions, control batches, positions. Only the last step is
replaced, for one fetcher and for the topics it is told: where aiokafka would build one `ConsumerRecord` a record, it
builds one a batch, whose value is a `RecordBatch`. The bytes of a batch come from the answer to the fetch, which is
looked at on its way.

Every offset between two positions is covered by exactly one batch: a batch starts where the one before it ended, also
across markers of transactions and holes left by compaction, so a batch may cover offsets and hold no record.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import ConsumerRecord, TopicPartition

from monitor.slices import Slices
from monitor.streaming.frames import receive_frames
from monitor.streaming.records import Headers, batch_end, is_as_written, no_numbers, read_records


@dataclass(slots=True, eq=False, repr=False)
class RecordBatch:
    """Records of one partition as columns, in offset order; several of the log's batches when they were merged.

    The batch covers the offsets from `first_offset` up to, not including, `next_offset`; those without a record are
    aborted, compacted away or markers. A `first_offset` beyond the `next_offset` of the batch before says that the log
    was truncated in between. `offsets`, `timestamps` (the record's Kafka timestamp, milliseconds since the epoch),
    `values` and `keys` have one entry a record; a value is made when it is asked for. `headers_at` holds headers by
    index, of the records that have any.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    offsets: array[int] = field(default_factory=no_numbers)
    timestamps: array[int] = field(default_factory=no_numbers)
    values: Sequence[bytes | None] = ()
    keys: Sequence[bytes | None] = ()
    headers_at: dict[int, Headers] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets)

    def __repr__(self) -> str:
        return f"<RecordBatch {self.topic}[{self.partition}] {self.first_offset}..{self.next_offset - 1}: {len(self)}>"

    def key(self, index: int) -> bytes | None:
        """Key of the record at this index (not offset)."""
        return self.keys[index]

    def headers(self, index: int) -> Headers:
        """Headers of the record at this index (not offset), in the order the producer gave them."""
        return self.headers_at.get(index, ())


def merge(batches: Sequence[RecordBatch]) -> RecordBatch:
    """One batch that holds the records of `batches`: consecutive batches of one partition, at least one."""
    if len(batches) == 1:
        return batches[0]
    first, last = batches[0], batches[-1]
    merged = RecordBatch(first.topic, first.partition, first.first_offset, last.next_offset)
    for batch in batches:
        before = len(merged)
        for index, headers in batch.headers_at.items():
            merged.headers_at[before + index] = headers
        merged.offsets += batch.offsets
        merged.timestamps += batch.timestamps
    merged.values = _joined([batch.values for batch in batches])
    merged.keys = _joined([batch.keys for batch in batches])
    return merged


def _joined(parts: Sequence[Sequence[bytes | None]]) -> Sequence[bytes | None]:
    """All parts behind each other; records that were read one by one are no slices, and need not become any."""
    slices = [part for part in parts if isinstance(part, Slices)]
    return Slices.joined(slices) if len(slices) == len(parts) else list(chain.from_iterable(parts))


def as_record(batch: RecordBatch) -> Any:
    """The batch as one aiokafka record at the last offset it covers, so that offset + 1 is the position after it."""
    timestamp = batch.timestamps[-1] if batch.timestamps else 0
    return ConsumerRecord(
        batch.topic, batch.partition, batch.next_offset - 1, timestamp, 0, None, batch, None, 0, 0, ()
    )


class _Span:
    """Stands where aiokafka expects a record: one whole batch, at the offset of its last record."""

    __slots__ = ("batch", "offset")

    def __init__(self, batch: _SpanBatch) -> None:
        self.batch = batch
        self.offset = batch.batch.next_offset - 1


class _SpanBatch:
    """Stands where aiokafka expects a batch: iterates over one span, passes every other question on.

    The batch lies in `data` from `begin` up to, not including, `end`.
    """

    __slots__ = ("batch", "begin", "data", "end")

    def __init__(self, batch: Any, data: bytes, begin: int, end: int) -> None:
        self.batch = batch
        self.data = data
        self.begin = begin
        self.end = end

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batch, name)

    def validate_crc(self) -> bool:
        return is_as_written(self.batch, self.data, self.begin, self.end)

    def __iter__(self) -> Iterator[_Span]:
        yield _Span(self)

    def __next__(self) -> Any:  # control batches are read record by record
        return next(self.batch)


class _SpanRecords:
    """Stands where aiokafka expects `MemoryRecords`, made of the same bytes."""

    __slots__ = ("at", "data", "records")

    def __init__(self, records: Any, data: bytes) -> None:
        self.records = records
        self.data = data
        self.at = 0

    def has_next(self) -> bool:
        return bool(self.records.has_next())

    def next_batch(self) -> _SpanBatch | None:
        batch = self.records.next_batch()
        if batch is None:
            return None
        begin = self.at
        self.at = batch_end(self.data, begin)
        return _SpanBatch(batch, self.data, begin, self.at)


class BatchRecords(PartitionRecords):  # type: ignore[misc]
    """aiokafka's `PartitionRecords` that yields one `ConsumerRecord` a batch, its value a `RecordBatch`.

    `data` are the bytes that `records` were made of.
    """

    def __init__(
        self, tp: Any, records: Any, data: bytes, aborted_transactions: Any, fetch_offset: int, *args: Any
    ) -> None:
        super().__init__(tp, _SpanRecords(records, data), aborted_transactions, fetch_offset, *args)
        self._covered = fetch_offset  # everything below has been yielded

    def __next__(self) -> Any:
        if self._records_iterator is not None:
            try:
                return super().__next__()
            except StopIteration:
                if self._covered < self.next_fetch_offset:  # the fetch ends in markers or aborted records: tell it
                    return as_record(self._batch_up_to(self.next_fetch_offset))
        raise StopIteration

    def _consumer_record(self, tp: Any, span: _Span) -> Any:
        batch = self._batch_up_to(span.offset + 1)
        source = span.batch
        found = read_records(source.batch, source.data, source.begin, source.end, first_offset=batch.first_offset)
        batch.offsets, batch.timestamps, batch.values, batch.keys = found[:4]
        batch.headers_at.update(found.headers)
        return as_record(batch)

    def _batch_up_to(self, next_offset: int) -> RecordBatch:
        batch = RecordBatch(self._tp.topic, self._tp.partition, self._covered, next_offset)
        self._covered = next_offset
        return batch


def deliver_batches(fetcher: Any, *, topics: Collection[str]) -> None:
    """Make this one aiokafka `Fetcher` yield batches for `topics`; other topics and other fetchers stay as they are.

    Call it before the first fetch. A fetched result is exchanged before anybody can read it: between the moment when
    aiokafka stores it and our next line nothing is awaited.
    """
    fetch: Callable[[Any, int, Any], Any] = fetcher._proc_fetch_request  # noqa: SLF001

    async def fetch_batches(assignment: Any, node_id: int, request: Any) -> bool:
        try:
            woken: bool = await fetch(assignment, node_id, request)
        except asyncio.CancelledError:
            # Cancelled in the pause after a failed fetch: aiokafka lets it escape, and its stop() dies half way.
            return False
        finally:
            answered = client.answers.pop(id(request), {})
        for tp, result in fetcher._records.items():  # noqa: SLF001
            if tp in answered and tp.topic in topics and type(result) is FetchResult:
                records = result._partition_records  # noqa: SLF001
                if type(records) is PartitionRecords:
                    result._partition_records = _as_batches(records, answered[tp])  # noqa: SLF001
        return woken

    client = fetcher._client = _ListeningClient(fetcher._client)  # noqa: SLF001
    fetcher._proc_fetch_request = fetch_batches  # noqa: SLF001


class _ListeningClient:
    """aiokafka's client, whose answers to fetches are kept until they are asked for: the bytes of each partition."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.answers: dict[int, dict[TopicPartition, bytes]] = {}
        """by identity of the request"""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Ask a broker."""
        fetches = isinstance(request, FetchRequest)
        if fetches and (connection := await self._client._get_conn(node_id, **options)):  # noqa: SLF001
            receive_frames(connection)
        response = await self._client.send(node_id, request, **options)
        if fetches:
            self.answers[id(request)] = {
                TopicPartition(topic, told[0]): told[-1] for topic, partitions in response.topics for told in partitions
            }
        return response


def _as_batches(records: Any, data: bytes) -> BatchRecords:
    return BatchRecords(
        records._tp,  # noqa: SLF001
        records._records,  # noqa: SLF001
        data,
        records._aborted_transactions,  # noqa: SLF001
        records.next_fetch_offset,
        records._key_deserializer,  # noqa: SLF001
        records._value_deserializer,  # noqa: SLF001
        records._check_crcs,  # noqa: SLF001
        records._isolation_level,  # noqa: SLF001
    )
