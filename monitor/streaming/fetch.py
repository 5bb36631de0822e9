"""Whole record batches out of aiokafka, without one Python object a record.

aiokafka goes on doing the protocol: CRC, aborted transactions, control batches, positions. Only the last step is
replaced, for one fetcher and for the topics it is told: where aiokafka would build one `ConsumerRecord` a record, it
builds one a batch, whose value is a `RecordBatch`. Every offset between two positions is covered by exactly one batch:
a batch starts where the one before it ended, also across markers of transactions and holes left by compaction, so a
batch may cover offsets and hold no record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.structs import ConsumerRecord

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(slots=True, eq=False, repr=False)
class RecordBatch:
    """Records of one partition as columns, in offset order; several of the log's batches when they were merged.

    The batch covers the offsets from `first_offset` up to, not including, `next_offset`; those without a record are
    aborted, compacted away or markers. A `first_offset` beyond the `next_offset` of the batch before says that the log
    was truncated in between. `offsets`, `timestamps` (the record's Kafka timestamp, milliseconds since the epoch),
    `values` and `keys` have one entry a record; `headers_at` holds headers by index, of the records that have any.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
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
        merged.values += batch.values
        merged.keys += batch.keys
    return merged


def as_record(batch: RecordBatch) -> Any:
    """The batch as one aiokafka record at the last offset it covers, so that offset + 1 is the position after it."""
    timestamp = batch.timestamps[-1] if batch.timestamps else 0
    return ConsumerRecord(
        batch.topic, batch.partition, batch.next_offset - 1, timestamp, 0, None, batch, None, 0, 0, ()
    )


class _Span:
    """Stands where aiokafka expects a record: one whole batch, at the offset of its last record."""

    __slots__ = ("batch", "offset")

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self.offset = batch.next_offset - 1


class _SpanBatch:
    """Stands where aiokafka expects a batch: iterates over one span, passes every other question on."""

    __slots__ = ("batch",)

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batch, name)

    def __iter__(self) -> Iterator[_Span]:
        yield _Span(self.batch)

    def __next__(self) -> Any:  # control batches are read record by record
        return next(self.batch)


class _SpanRecords:
    """Stands where aiokafka expects `MemoryRecords`."""

    __slots__ = ("records",)

    def __init__(self, records: Any) -> None:
        self.records = records

    def has_next(self) -> bool:
        return bool(self.records.has_next())

    def next_batch(self) -> _SpanBatch | None:
        batch = self.records.next_batch()
        return None if batch is None else _SpanBatch(batch)


class BatchRecords(PartitionRecords):  # type: ignore[misc]
    """aiokafka's `PartitionRecords` that yields one `ConsumerRecord` a batch, its value a `RecordBatch`."""

    def __init__(self, tp: Any, records: Any, aborted_transactions: Any, fetch_offset: int, *args: Any) -> None:
        super().__init__(tp, _SpanRecords(records), aborted_transactions, fetch_offset, *args)
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
        offsets, timestamps, values, keys = batch.offsets, batch.timestamps, batch.values, batch.keys
        start = batch.first_offset  # a fetch may start inside a batch
        # The hot loop: each record dies before the next is made; kept alive they cost twice as much, in the collector.
        for record in span.batch:
            offset = record.offset
            if offset < start:
                continue
            if record.headers:
                batch.headers_at[len(offsets)] = record.headers
            offsets.append(offset)
            timestamps.append(record.timestamp)
            values.append(record.value)
            keys.append(record.key)
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
        for tp, result in fetcher._records.items():  # noqa: SLF001
            if tp.topic in topics and type(result) is FetchResult:
                records = result._partition_records  # noqa: SLF001
                if type(records) is PartitionRecords:
                    result._partition_records = _as_batches(records)  # noqa: SLF001
        return woken

    fetcher._proc_fetch_request = fetch_batches  # noqa: SLF001


def _as_batches(records: Any) -> BatchRecords:
    return BatchRecords(
        records._tp,  # noqa: SLF001
        records._records,  # noqa: SLF001
        records._aborted_transactions,  # noqa: SLF001
        records.next_fetch_offset,
        records._key_deserializer,  # noqa: SLF001
        records._value_deserializer,  # noqa: SLF001
        records._check_crcs,  # noqa: SLF001
        records._isolation_level,  # noqa: SLF001
    )
