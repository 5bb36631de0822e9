"""Record batches of every kind, without a broker; tests/kafka/test_batches.py repeats what a real broker can make."""

from __future__ import annotations

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from monitor.streaming.fetch import RecordBatch, as_record, merge
from tests.streaming.log import ABORT, COMMIT, READ_UNCOMMITTED, batch, marker, read


def covered(records: object) -> list[tuple[int, int, list[int]]]:
    return [(r.value.first_offset, r.value.next_offset, [*r.value.offsets]) for r in records]  # type: ignore[attr-defined]


def test_a_batch_arrives_as_one_record_with_columns() -> None:
    [record] = read(batch(0, [b"a", None, b"c"]))
    found = record.value
    assert ("decisions", 3, 2) == (record.topic, record.partition, record.offset)
    assert ([0, 1, 2], [1000, 1001, 1002], [b"a", None, b"c"]) == (
        [*found.offsets],
        [*found.timestamps],
        [*found.values],
    )
    assert ([b"k0", b"k1", b"k2"], 3) == ([*found.keys], len(found))
    assert b"k1" == found.key(1)


def test_headers_are_there_for_the_records_that_have_them() -> None:
    plain, with_headers = read(batch(0, [b"a"]), batch(1, [b"b", b"c"], headers=[("h", b"1"), ("h", b"2")]))
    assert () == plain.value.headers(0)
    assert [("h", b"1"), ("h", b"2")] == with_headers.value.headers(1)
    assert [("h", b"1"), ("h", b"2")] == merge([plain.value, with_headers.value]).headers(2)


def test_a_fetch_that_starts_inside_a_batch_leaves_out_what_is_below() -> None:
    assert [(2, 5, [2, 3, 4]), (5, 6, [5])] == covered(read(batch(0, [b"x"] * 5), batch(5, [b"y"]), fetch_offset=2))


def test_compacted_offsets_are_covered_but_hold_no_record() -> None:
    log = [batch(0, [b"x"] * 5, kept=[1, 3]), batch(5, [b"x"] * 3, kept=[]), batch(10, [b"y"])]
    assert [(0, 5, [1, 3]), (5, 8, []), (8, 11, [10])] == covered(read(*log))


def test_markers_are_covered_by_the_batch_after_them_and_at_the_end_by_one_of_their_own() -> None:
    log = [
        batch(0, [b"a", b"b"], producer=7, transactional=True),
        marker(2, producer=7, kind=COMMIT),
        batch(3, [b"c"], producer=7, transactional=True),
        marker(4, producer=7, kind=COMMIT),
    ]
    records = read(*log)
    assert [(0, 2, [0, 1]), (2, 4, [3]), (4, 5, [])] == covered(records)
    assert 5 == records.next_fetch_offset
    assert [] == list(records)


def test_aborted_records_are_left_out_when_reading_committed() -> None:
    log = [
        batch(0, [b"a"], producer=7, transactional=True),
        batch(1, [b"b"], producer=8, transactional=True),
        marker(2, producer=7, kind=ABORT),
        batch(3, [b"c"], producer=7, transactional=True),
        marker(4, producer=8, kind=COMMIT),
        marker(5, producer=7, kind=COMMIT),
    ]
    committed = [(0, 2, [1]), (2, 4, [3]), (4, 6, [])]
    assert committed == covered(read(*log, aborted=[(7, 0)]))
    everything = [(0, 1, [0]), (1, 2, [1]), (2, 4, [3]), (4, 6, [])]
    assert everything == covered(read(*log, aborted=[(7, 0)], isolation=READ_UNCOMMITTED))


def test_a_corrupt_batch_raises_after_what_came_before_it() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 16)
    builder.append(0, 1000, None, b"value", [])
    good = bytes(builder.build())
    broken = bytearray(batch(1, [b"value"]))
    broken[-1] ^= 1
    records = read(good, bytes(broken), check_crcs=True)
    assert [0] == [*next(records).value.offsets]
    with pytest.raises(CorruptRecordException):
        next(records)


def test_the_record_for_faust_stands_at_the_last_covered_offset() -> None:
    assert 41 == as_record(RecordBatch("t", 0, 40, 42)).offset


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.data())
def test_merged_or_not_all_offsets_are_covered_once_in_order(sizes: list[int], data: st.DataObject) -> None:
    base, log, values = 0, [], []
    for size in sizes:
        kept = sorted(data.draw(st.sets(st.integers(0, size - 1))))
        content = [b"%d" % (base + index) for index in range(size)]
        log.append((base + size, batch(base, content, kept=kept)))
        values += [(base + index, content[index]) for index in kept]
        base += size
    start = data.draw(st.integers(0, base - 1))
    fetched = [data for end, data in log if end > start]  # a broker sends the batch that holds the offset, and on
    batches = [record.value for record in read(*fetched, fetch_offset=start)]
    cut = data.draw(st.integers(1, len(batches)))
    parts = [merge(batches[:cut])] + ([merge(batches[cut:])] if batches[cut:] else [])
    ends = [start, *(part.next_offset for part in parts)]
    assert ends[:-1] == [part.first_offset for part in parts]
    assert base == ends[-1]
    found = [pair for part in parts for pair in zip(part.offsets, part.values, strict=True)]
    assert [pair for pair in values if pair[0] >= start] == found
