"""What exposition_lines.pyx does, for a machine on which it was not compiled."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Block = tuple[bytes, Ints, Ints | None]
"""A text of beginnings of lines, where each of them ends, and which have a number: all if None."""

Written = tuple[bytes, list[Block], bytes]
"""A family: its head, blocks of lines, and their numbers as one JSON array."""


def fill(families: list[Written], end: bytes) -> bytes:
    """All families one after the other, then `end`. ValueError unless the numbers are as many as the lines."""
    parts: list[bytes] = []
    for head, blocks, numbers in families:
        begins: list[bytes] = []
        for text, ends, rows in blocks:
            lines = [text[begin:after] for begin, after in pairwise([0, *ends.tolist()])]
            begins += lines if rows is None else [lines[row] for row in rows.tolist()]
        spelled = numbers[1:-1].split(b",")
        if len(spelled) != len(begins):
            raise ValueError(f"{len(spelled)} numbers for {len(begins)} lines")
        pieces = [b""] * (2 * len(begins))
        pieces[0::2] = begins
        pieces[1::2] = spelled
        parts += (head, *pieces, b"\n")
    return b"".join((*parts, end))
