"""Which ids were seen in the last blocks of a partition: exact, and a few dozen nanoseconds an id.

Ids are 64-bit hashes, kept by block in sorted arrays. Looking each of them up in each block would cost far more than
all the rest, so a table of slots says which ids *may* have been seen: an id's high bits choose its slot, which holds 8
of its low bits and when it was written last. A slot that stood for two ids at a time stands for any.
Only ids that may have been seen, some in a hundred in ordinary traffic, are looked up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

SLOTS_PER_ID: Final = 2
"""Slots of 2 bytes for each id that fits into the horizon, at least: 2 MB with the default horizon."""
TAGS: Final = 256
"""Ages are told apart modulo this; a slot so old that it looks like one of the horizon costs a look, no more."""
AGES: Final = 64
"""Steps in which the age of a slot is known, at the most; with a longer horizon a step is several blocks."""
ANY: Final = 0
"""Stands for every id in place of 8 bits of one."""


class SeenIds:
    """The ids of the open block and of the `horizon` blocks before it, at most `block_size` each."""

    def __init__(self, *, horizon: int, block_size: int) -> None:
        bits = max(8, (SLOTS_PER_ID * (horizon + 1) * block_size - 1).bit_length())
        self._horizon = horizon
        self._shift = np.uint64(64 - bits)
        self._slots = np.zeros(1 << bits, dtype=np.uint16)
        self._step = horizon // AGES + 1
        self._oldest = -(-horizon // self._step)
        self._sorted: dict[int, list[Hashes]] = {}
        """sorted ids by number of the block; of the open block in few arrays, each more than twice the next"""
        self._number = self._base = -1

    def begin(self, number: int) -> None:
        """Go on to block `number`, which is greater than the one before; forget what has left the horizon."""
        last = self._sorted.get(self._number)
        if last is not None and len(last) > 1:
            self._sorted[self._number] = [np.sort(np.concatenate(last))]
        if self._base < 0:
            self._base = number
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
        held = self._sorted.setdefault(self._number, [])
        while held and len(held[-1]) <= 2 * len(ordered):
            ordered = np.sort(np.concatenate([held.pop(), ordered]))
        held.append(ordered)
        return fresh

    def _may_be_seen(self, ids: Hashes) -> Mask:
        """False where an id was not seen within the horizon before this call; enters the ids into the table."""
        # What was never written looks half a round of tags old.
        tag = ((self._number - self._base) // self._step + TAGS // 2) % TAGS
        slot = (ids >> self._shift).astype(np.intp)
        bits = np.maximum(ids.astype(np.uint8), 1).astype(np.uint16)
        held = self._slots[slot]
        alive: Mask = np.uint8(tag) - (held >> 8).astype(np.uint8) <= self._oldest
        held &= 0xFF
        other = alive & (held != bits)
        bits[other] = ANY
        written = bits | np.uint16(tag << 8)
        self._slots[slot] = written
        lost = self._slots[slot] != written  # two ids of this call in one slot
        self._slots[slot[lost]] = tag << 8 | ANY
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
