"""Packed arrays: what goes in comes out, in the smallest type."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.packing import Packed, compress, expand, pack, unpack
from tests.core.strategies import examples

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@examples(200)
@given(values=st.lists(INT64, max_size=30))
def test_what_is_packed_is_unpacked(values: list[int]) -> None:
    array = np.array(values, dtype=np.int64)
    assert values == unpack(pack(array)).tolist()
    assert pack(array) == pack(array.copy())


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([], "<i1"),
        ([-128, 127], "<i1"),
        ([128], "<i2"),
        ([-129], "<i2"),
        ([32_768], "<i4"),
        ([2**31], "<i8"),
        ([-(2**63)], "<i8"),
    ],
)
def test_the_smallest_type_that_holds_all_values_is_taken(values: list[int], dtype: str) -> None:
    assert dtype == pack(np.array(values, dtype=np.int64)).dtype


def test_a_foreign_type_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of <i1, <i2, <i4, <i8, got '<f8'"):
        unpack(Packed("<f8", b"\0" * 8))


def test_bytes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        unpack(Packed("<i8", b"\0" * 7))


@examples(200)
@given(pairs=st.lists(st.tuples(INT64, st.integers(0, 300)), max_size=40))
def test_what_is_compressed_is_expanded(pairs: list[tuple[int, int]]) -> None:
    arrays = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    assert arrays.tolist() == [values.tolist() for values in expand(compress(*arrays))]


def test_counts_that_one_large_sum_makes_wide_take_a_quarter_when_compressed() -> None:
    values = np.random.default_rng(0).integers(0, 200, size=4000)
    values[::100] = 2**40
    assert 8 * 4000 == len(pack(values).data)
    assert len(compress(values).data) < 8 * 4000 / 4
