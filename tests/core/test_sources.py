"""Counts of source partitions: each block once, however often and in whichever state it is told."""

from __future__ import annotations

import pytest

from monitor import catalogue
from monitor.blocks import SourceBlock, Span
from monitor.sources import SourceLedger, merge_totals


def block(number: int, through: int, count: int, *, begin: int | None = None, clock: int = 5) -> SourceBlock:
    first = 100 * number
    span = Span("t", 0, first, first + through, through == 100, first if begin is None else begin, clock)
    return SourceBlock(span=span, counts=(("records", ("t",), count),))


def folded(*blocks: SourceBlock) -> tuple[SourceLedger, list[bool]]:
    ledger = SourceLedger("t", 0)
    return ledger, [ledger.fold(one) for one in blocks]


def records(ledger: SourceLedger) -> int:
    return ledger.totals().get(("records", ("t",)), 0)


def test_a_block_that_grows_counts_once_and_finished_ones_add_up() -> None:
    ledger, taken = folded(block(0, 10, 10), block(0, 100, 99), block(1, 5, 5), block(1, 8, 8))
    assert [True] * 4 == taken
    assert 99 + 8 == records(ledger)


def test_what_was_told_before_changes_nothing() -> None:
    ledger, taken = folded(block(0, 100, 99), block(1, 8, 8), block(0, 100, 99), block(1, 7, 7), block(1, 8, 8))
    assert [True, True, False, False, False] == taken
    assert 99 + 8 == records(ledger)


def test_a_block_whose_begin_was_lost_grows_as_any_other() -> None:
    ledger, taken = folded(block(0, 50, 10, begin=40), block(0, 60, 20, begin=40), block(0, 100, 60, begin=40))
    assert [True] * 3 == taken
    assert 60 == records(ledger)


def test_what_was_counted_from_further_back_is_not_replaced_by_less() -> None:
    ledger, taken = folded(block(0, 50, 50), block(0, 100, 40, begin=60), block(1, 10, 10))
    assert [True, False, True] == taken
    assert 60 == records(ledger)


@pytest.mark.parametrize(
    ("blocks", "missed"),
    [
        ([block(0, 100, 100), block(1, 5, 5), block(1, 100, 100), block(2, 1, 1)], 0),
        ([block(3, 100, 60, begin=340), block(4, 1, 1)], 0),  # the first block that was ever read
        ([block(0, 60, 60), block(1, 5, 5)], 40),
        ([block(0, 100, 100), block(2, 5, 5), block(1, 100, 100)], 100),  # out of order
        ([block(0, 100, 100), block(1, 100, 30, begin=170), block(2, 5, 5)], 70),
    ],
)
def test_offsets_that_no_block_covers_are_missed(blocks: list[SourceBlock], missed: int) -> None:
    ledger, _ = folded(*blocks)
    assert missed == ledger.totals().get((catalogue.MISSED.name, (ledger.topic,)), 0)
    again = SourceLedger.restore(ledger.snapshot(0))
    assert ledger.totals() == again.totals()


def test_the_clock_is_the_last_that_was_told_so_that_an_absurd_one_does_not_stay() -> None:
    ledger, _ = folded(block(0, 10, 1, clock=7), block(0, 20, 2, clock=6), block(0, 30, 3, clock=-1))
    assert 6 == ledger.clock_ms


def test_a_restored_ledger_goes_on_where_the_first_one_was() -> None:
    ledger, _ = folded(block(0, 100, 99), block(1, 8, 8, begin=104))
    again = SourceLedger.restore(ledger.snapshot(3))
    assert ledger == again
    assert not again.fold(block(1, 8, 8, begin=104))
    assert again.fold(block(1, 9, 9, begin=104))
    assert 99 + 9 == records(again)


def test_totals_of_partitions_add_up_by_metric_and_labels() -> None:
    first, _ = folded(block(0, 10, 10))
    second, _ = folded(block(0, 10, 7))
    assert {"records": {("t",): 17}} == merge_totals({("t", 0): first, ("t", 1): second})
    assert {} == merge_totals({})
