"""Which ids were seen in the last blocks of a partition: exact, and a few dozen nanoseconds an id.

Ids are 64-bit hashes, kept by block in sorted arrays. Looking each of them up in each block would cost far more than
all the rest, so a table of slots says which ids *may* have been seen: an id's high bits choose its slot, which holds 16
of its low bits and the number of the block that wrote it last. A slot that stood for two ids at a time stands for any.
Only ids that may have been seen, some in a hundred in ordinary traffic, are looked up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

SLOTS_PER_ID: Final = 2
"""Slots of 4 bytes for each id that fits into the horizon, at least: 4 MB with the default horizon."""
TAGS: Final = 65_535
"""Block numbers are told apart modulo this; an older block that looks like one of the horizon costs a look, no more."""
ANY: Final = 0
"""Stands for every id in place of 16 bits of one."""


class SeenIds:
    """The ids of the open block and of the `horizon` blocks before it, at most `block_size` each."""

    def __init__(self, *, horizon: int, block_size: int) -> None:
        bits = max(8, (SLOTS_PER_ID * (horizon + 1) * block_size - 1).bit_length())
        self._horizon = horizon
        self._shift = np.uint64(64 - bits)
        self._slots = np.zeros(1 << bits, dtype=np.uint32)
        self._sorted: dict[int, list[Hashes]] = {}
        """sorted ids by number of the block; of the open block one array for each call of `add`"""
        self._number = -1

    def begin(self, number: int) -> None:
        """Go on to block `number`, which is greater than the one before; forget what has left the horizon."""
        last = self._sorted.get(self._number)
        if last is not None and len(last) > 1:
            self._sorted[self._number] = [np.sort(np.concatenate(last))]
        self._number = number
        for gone in [known for known in self._sorted if known < number - self._horizon]:
            del self._sorted[gone]

    def add(self, ids: Hashes) -> Mask:
        """Take ids of the open block in order of the log; True where an id is seen for the first time."""
        fresh = np.ones(len(ids), dtype=np.bool_)
        candidates = np.flatnonzero(self._may_be_seen(ids))
        if candidates.size:
            fresh[candidates] = ~self._is_seen(ids[candidates])
        ordered = np.sort(ids)
        if (ordered[1:] == ordered[:-1]).any():
            first = np.zeros(len(ids), dtype=np.bool_)
            first[np.unique(ids, return_index=True)[1]] = True
            fresh &= first
        self._sorted.setdefault(self._number, []).append(ordered)
        return fresh

    def _may_be_seen(self, ids: Hashes) -> Mask:
        """False where an id was not seen within the horizon before this call; enters the ids into the table."""
        tag = self._number % TAGS + 1
        slot = (ids >> self._shift).astype(np.intp)
        bits = np.maximum(ids.astype(np.uint16), 1).astype(np.uint32)
        held = self._slots[slot]
        alive: Mask = (tag - (held >> 16).astype(np.int32)) % TAGS <= self._horizon
        alive &= held != 0
        held &= 0xFFFF
        other = alive & (held != bits)
        bits[other] = ANY
        written = bits | np.uint32(tag << 16)
        self._slots[slot] = written
        lost = self._slots[slot] != written  # two ids of this call in one slot
        self._slots[slot[lost]] = tag << 16 | ANY
        alive &= ~other | (held == ANY)
        return alive

    def _is_seen(self, ids: Hashes) -> Mask:
        seen = np.zeros(len(ids), dtype=np.bool_)
        for arrays in self._sorted.values():
            for known in arrays:
                if known.size:
                    at = np.minimum(np.searchsorted(known, ids), known.size - 1)
                    seen |= known[at] == ids
        return seen
