"""Block arithmetic, which of two messages says more, and block messages as bytes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.blocks import FORMAT, Clock, Span, block_first, decode_block, encode_block, rewind, supersedes
from tests.core.runs import SUMMARISE, summaries
from tests.core.strategies import examples, seeds, traffic

OFFSET = st.integers(min_value=0, max_value=10_000)


def span(*, first: int = 100, begin: int = 100, through: int = 150, closed: bool = False) -> Span:
    return Span("t", 0, first, through, closed, begin, 0)


@examples(100)
@given(offset=OFFSET, size=st.integers(1, 100), horizon=st.integers(1, 5))
def test_an_offset_lies_in_its_block_and_reading_starts_a_horizon_before_it(
    offset: int, size: int, horizon: int
) -> None:
    first = block_first(offset, size)
    assert 0 == first % size
    assert first <= offset < first + size
    start = rewind(offset, size=size, horizon=horizon)
    assert max(0, first - horizon * size) == start


def test_a_message_that_reaches_further_supersedes_and_one_that_does_not_is_skipped() -> None:
    taken = {"first": 100, "begin": 100, "through": 150}
    assert supersedes(span(through=151), **taken)
    assert not supersedes(span(through=150), **taken)
    assert not supersedes(span(through=149, closed=True), **taken)


def test_a_later_block_supersedes_and_an_earlier_one_never_does() -> None:
    taken = {"first": 100, "begin": 100, "through": 150}
    assert supersedes(span(first=200, begin=230, through=231), **taken)
    assert not supersedes(span(first=0, begin=0, through=100, closed=True), **taken)


def test_a_block_that_lost_its_begin_does_not_replace_one_that_has_it_but_does_replace_itself() -> None:
    assert not supersedes(span(begin=140, through=200), first=100, begin=100, through=150)
    assert not supersedes(span(begin=145, through=200), first=100, begin=140, through=150)
    assert supersedes(span(begin=140, through=200), first=100, begin=140, through=150)
    assert supersedes(span(begin=100, through=200), first=100, begin=140, through=150)


@examples(10)
@given(seed=seeds)
def test_messages_survive_their_bytes(seed: int) -> None:
    messages = [message for log in traffic(seed, decisions=30) for message in summaries(log, SUMMARISE)]
    assert messages == [decode_block(encode_block(message)) for message in messages]
    assert Clock("t", 1, 5) == decode_block(encode_block(Clock("t", 1, 5)))


@examples(200)
@given(data=st.binary(max_size=60))
def test_foreign_bytes_are_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(ValueError, match="block message: expected format"):
        decode_block(data)


def test_another_format_is_refused() -> None:
    newer = encode_block(msgspec.structs.replace(Clock("t", 1, 5), format=FORMAT + 1))
    with pytest.raises(ValueError, match=f"expected format {FORMAT}, got {FORMAT + 1}"):
        decode_block(newer)


def test_a_message_cut_off_anywhere_is_refused() -> None:
    data = encode_block(summaries(traffic(1, decisions=30)[0])[0])
    for end in range(len(data)):
        with pytest.raises(ValueError, match="block message"):
            decode_block(data[:end])
