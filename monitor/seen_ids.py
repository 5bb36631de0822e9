"""Which ids were seen in the last blocks of a partition: exact, and some ten nanoseconds an id.

Ids are 64-bit hashes. A table holds each with the block in which it was seen last; what has left the horizon is taken
out again as blocks begin. It grows to the size that full blocks need, which those of a quiet partition never are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor import seen_loops

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

SLOTS_PER_ID: Final = 1.5
"""Slots of 10 bytes for each id that fits into the horizon, at least, and less than twice as many."""
SWEEPS: Final = 8
"""How often the table is looked through within a horizon, at the most: between, it holds some ids more."""
LEAST_BITS: Final = 10
"""A table begins with two to the power of this many slots."""
MOST_BLOCKS: Final = 2**16 - 1
"""Blocks are numbered from 1 on in the table, and anew when they get beyond."""


class SeenIds:
    """The ids of the open block and of the `horizon` blocks before it, at most `block_size` each."""

    def __init__(self, *, horizon: int, block_size: int) -> None:
        self._horizon = horizon
        self._block_size = self._room = block_size
        self._every = horizon // SWEEPS + 1
        self._most_bits = _bits((horizon + self._every) * block_size)  # all that it ever holds fits
        self._make(LEAST_BITS)
        self._first = -1
        """the block that would be number 0 in the table, which stands for an empty slot"""
        self._number = self._swept = 0
        """the open block, and the one at whose begin the table was looked through"""

    def begin(self, number: int) -> None:
        """Go on to block `number`, which is greater than the one before; forget what has left the horizon."""
        if number - self._number > self._horizon:  # all of it
            self._make(LEAST_BITS)
            self._first, self._swept = number - 1, number
        self._number = number
        self._room = self._block_size
        if number - self._swept >= self._every:
            self._swept = number
            self._sweep()
        if number - self._first > MOST_BLOCKS:
            self._renumber(number - self._first - self._horizon - 2)

    def add(self, ids: Hashes) -> Mask:
        """Take ids of the open block in order of the log; True where an id is seen for the first time.

        Raises ValueError for more than the block has offsets: the table has no room for them.
        """
        self._room -= len(ids)
        if self._room < 0:
            raise ValueError(f"block {self._number}: expected at most {self._block_size} ids, got {-self._room} more")
        needed = min(_bits(self._used + len(ids)), self._most_bits)
        if needed > 64 - self._shift:
            self._grow(needed)
        fresh = np.empty(len(ids), dtype=np.bool_)
        seen_loops.enter(
            ids.data,
            fresh.view(np.uint8).data,
            self._held.data,
            self._block.data,
            self._shift,
            self._number - self._first,
            self._oldest,
        )
        self._used += int(np.count_nonzero(fresh))
        return fresh

    @property
    def _oldest(self) -> int:
        return max(1, self._number - self._first - self._horizon)

    def _make(self, bits: int) -> None:
        """An empty table of so many bits, or of the most."""
        bits = min(bits, self._most_bits)
        self._shift = 64 - bits
        self._held = np.zeros(1 << bits, dtype=np.uint64)
        self._block = np.zeros(1 << bits, dtype=np.uint16)
        self._used = 0
        """slots that are not empty, at the most"""

    def _grow(self, bits: int) -> None:
        """Move to a table of so many bits."""
        held, block = self._held[self._block > 0], self._block[self._block > 0]
        self._make(bits)
        self._used = len(held)
        fresh = np.empty(len(held), dtype=np.uint8)
        for number in np.unique(block).tolist():
            own = held[block == number]
            seen_loops.enter(own.data, fresh.data, self._held.data, self._block.data, self._shift, number, 1)

    def _renumber(self, behind: int) -> None:
        """Count blocks from `behind` on; what has left the horizon and is still there is in block 1, before it."""
        held = self._block > 0
        self._block[held] = np.maximum(self._block[held], behind + 1) - behind
        self._first += behind

    def _sweep(self) -> None:
        gone = np.flatnonzero(self._block - np.uint16(1) < self._oldest - 1)  # an empty slot's 0 becomes the greatest
        seen_loops.expire(gone.data, self._held.data, self._block.data, self._shift, self._oldest)
        self._used = int(np.count_nonzero(self._block))


def _bits(ids: int) -> int:
    """Of the number of slots that so many ids need."""
    return int(SLOTS_PER_ID * ids).bit_length()
