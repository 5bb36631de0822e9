"""Beginnings of lines and their numbers put together: compiled as in plain Python, and nothing beyond its memory."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import exposition_lines, exposition_lines_plain
from monitor.exposition_lines_plain import Block, Written

Fill = Callable[[list[Written], bytes], bytes]
FILLS = pytest.mark.parametrize("fill", [exposition_lines.fill, exposition_lines_plain.fill])


def block(lines: list[bytes], rows: list[int] | None = None) -> Block:
    ends = np.cumsum([len(line) for line in lines], dtype=np.int64)
    return b"".join(lines), ends, None if rows is None else np.array(rows, dtype=np.int64)


@FILLS
def test_each_line_gets_its_number_and_each_family_a_line_break(fill: Fill) -> None:
    families = [
        (b"# one", [block([b"\na ", b"\nb "]), block([b"\nc ", b"\nd ", b""], rows=[1, 0, 1])], b"[1,2.5,-3,1e300,0]"),
        (b"# two", [block([b"\ne "])], b"[7]"),
    ]
    assert b"# one\na 1\nb 2.5\nd -3\nc 1e300\nd 0\n# two\ne 7\n# EOF" == fill(families, b"# EOF")
    assert b"the end" == fill([], b"the end")


@st.composite
def written(draw: st.DrawFn) -> Written:
    blocks = []
    count = 0
    for _ in range(draw(st.integers(1, 4))):
        lines = draw(st.lists(st.binary(max_size=9), min_size=1, max_size=5))
        rows = draw(st.none() | st.lists(st.integers(0, len(lines) - 1), max_size=6))
        blocks.append(block(lines, rows))
        count += len(lines if rows is None else rows)
    if not count:
        blocks.append(block([b"x"]))
    numbers = st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=count, max_size=count)
    values = draw(numbers) if count else [1]
    return draw(st.binary(max_size=9)), blocks, msgspec.json.encode([value % 2**60 for value in values])


@given(families=st.lists(written(), max_size=4), end=st.binary(max_size=9))
def test_compiled_says_what_plain_python_says(families: list[Written], end: bytes) -> None:
    assert exposition_lines_plain.fill(families, end) == exposition_lines.fill(families, end)


@FILLS
@pytest.mark.parametrize("numbers", [b"[1]", b"[1,2,3]"])
def test_more_or_fewer_numbers_than_lines_are_refused(fill: Fill, numbers: bytes) -> None:
    with pytest.raises(ValueError, match="numbers for 2 lines"):
        fill([(b"", [block([b"a", b"b"])], numbers)], b"")


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_that_there_is_not_is_refused(row: int) -> None:
    with pytest.raises(ValueError, match=f"row {row} of 2 lines"):
        exposition_lines.fill([(b"", [block([b"a", b"b"], rows=[row])], b"[1]")], b"")


def test_a_text_that_ends_elsewhere_than_its_last_beginning_is_refused() -> None:
    text, ends, _ = block([b"a", b"b"])
    with pytest.raises(ValueError, match="do not end with their text"):
        exposition_lines.fill([(b"", [(text + b"c", ends, None)], b"[1,2]")], b"")
