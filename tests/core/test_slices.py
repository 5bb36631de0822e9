"""Slices are the sequence of byte strings that they were made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.slices import Slices
from tests.core.strategies import examples

strings = st.lists(st.one_of(st.none(), st.binary(max_size=5)), max_size=8)


@examples(100)
@given(values=strings, begin=st.integers(-9, 9), end=st.integers(-9, 9))
def test_slices_are_the_sequence_that_they_were_made_of(values: list[bytes | None], begin: int, end: int) -> None:
    slices = Slices.of(values)
    assert slices is Slices.of(slices)
    assert values == list(slices)
    assert values == [slices[index] for index in range(len(values))]
    assert values[begin:end] == list(slices[begin:end])
    assert len(values) == len(slices)


@examples(100)
@given(parts=st.lists(strings, min_size=1, max_size=4), cut=st.integers(0, 8))
def test_joined_they_are_all_in_order(parts: list[list[bytes | None]], cut: int) -> None:
    apart = [piece for values in parts for piece in (Slices.of(values)[:cut], Slices.of(values)[cut:])]
    assert [value for values in parts for value in values] == list(Slices.joined(apart))


def test_what_lies_in_one_buffer_is_not_copied() -> None:
    whole = Slices.of([b"a", None, b"bc"])
    assert whole.buffer is Slices.joined([whole[:1], whole[1:]]).buffer
