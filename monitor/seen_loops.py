# cython: language_level=3, annotation_typing=False, boundscheck=False, wraparound=False, cdivision=True
"""The loops of `monitor.seen_ids`, from one id to the next; compiled if there is a compiler.

seen_loops.pxd tells the compiler the types and nothing else: compiled or not, it is this text that runs.

A table has a power of two of slots: `held` are ids, `block` says in which block each was met last, 0 that a slot is
empty. An id lies in the slot that its high bits say (`shift` of them are left) or in one of those that follow without
an empty one between them (linear probing).
"""

from __future__ import annotations

from typing import TypeAlias

Numbers: TypeAlias = "memoryview[int]"
"""One dimension, contiguous: ids "Q", blocks "H", places "q", marks "B"."""


def enter(ids: Numbers, fresh: Numbers, held: Numbers, block: Numbers, shift: int, current: int, oldest: int) -> None:
    """Say of each id whether it was not met in the blocks from `oldest` on; it was met in the `current` one now."""
    last = len(held) - 1
    for row in range(len(ids)):
        one = ids[row]
        slot = one >> shift
        while block[slot] != 0 and held[slot] != one:
            slot = slot + 1 & last
        fresh[row] = block[slot] < oldest
        held[slot] = one
        block[slot] = current


def expire(slots: Numbers, held: Numbers, block: Numbers, shift: int, oldest: int) -> None:
    """Empty these slots, in ascending order, where they hold ids of blocks before `oldest`.

    What follows a slot moves up into it (Knuth, The Art of Computer Programming 3, 6.4, algorithm R), so that those
    before it are looked at after it. What moves up beyond the end of the table may stay.
    """
    last = len(held) - 1
    for index in range(len(slots) - 1, -1, -1):
        gap = slots[index]
        if block[gap] >= oldest:
            continue
        at = gap + 1 & last
        while block[at] != 0:
            if at - (held[at] >> shift) & last >= at - gap & last:
                held[gap] = held[at]
                block[gap] = block[at]
                gap = at
            at = at + 1 & last
        block[gap] = 0
