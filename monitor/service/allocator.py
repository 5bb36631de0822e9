"""How the C library hands memory back: a worker reads megabytes a second into large buffers and drops them.

By default glibc maps each large buffer anew and returns it at once, and the kernel clears every page of it again.
"""

from __future__ import annotations

import ctypes
from typing import Final

_MMAP_THRESHOLD: Final = (-3, 8 * 1024 * 1024)
"""Buffers up to this size, more than one fetch of Kafka, come from memory that is kept."""
_TRIM_THRESHOLD: Final = (-1, 32 * 1024 * 1024)
"""So much unused memory is kept at the most."""
_ARENA_MAX: Final = (-8, 1)
"""One pool for all threads: what the thread that fetches drops serves the one that counts."""


def keep_buffers() -> bool:
    """Make the allocator of this process keep large buffers; False where it is not glibc's. Call it before threads."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(bool(mallopt(option, value)) for option, value in (_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENA_MAX))


def release_unused() -> bool:
    """Give pages that hold nothing back to the kernel, those between what is used too; False where there were none.

    A few milliseconds. What has once been needed for a moment (a checkpoint of everything, a large scrape) would else
    stay for good.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))
