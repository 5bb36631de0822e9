"""Which decisions feedback waits for, in memory: so that the many decisions that none waits for need no look-up."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.join.forwarding import KEY_BYTES

LEAST_MERGE: Final = 4096

Hints = npt.NDArray[np.uint64]


class Awaited:
    """The first 8 bytes of the keys that feedback waits for, 16 bytes of memory each.

    May say yes to a key that none waits for, never no to one that some does.
    """

    def __init__(self) -> None:
        self._hints: Hints = np.empty(0, dtype=np.uint64)
        """sorted"""
        self._until: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._fresh: dict[int, int] = {}
        """hint to deadline, of those that are not merged yet"""

    def add(self, key: bytes, *, deadline_ms: int) -> None:
        """Feedback waits for a key until a time of the log's clock."""
        hint = int.from_bytes(key[:8], "big")
        self._fresh[hint] = max(deadline_ms, self._fresh.get(hint, deadline_ms))

    def among(self, keys: bytes) -> list[int]:
        """Indices of the keys, given one after the other, that feedback may wait for."""
        if not self._hints.size and not self._fresh:
            return []
        hints = np.frombuffer(keys, dtype=">u8")[:: KEY_BYTES // 8].astype(np.uint64)
        found = np.fromiter(map(self._fresh.__contains__, hints.tolist()), np.bool_, hints.size)
        if self._hints.size:
            at = np.minimum(np.searchsorted(self._hints, hints), self._hints.size - 1)
            found |= self._hints[at] == hints
        indices: list[int] = np.flatnonzero(found).tolist()
        return indices

    def forget(self, reached_ms: int) -> None:
        """The log's clock has come so far: when enough has changed, drop what waits no longer."""
        if len(self._fresh) < max(LEAST_MERGE, self._hints.size // 8):
            return
        hints = np.concatenate([self._hints, np.fromiter(self._fresh, np.uint64, len(self._fresh))])
        until = np.concatenate([self._until, np.fromiter(self._fresh.values(), np.int64, len(self._fresh))])
        order = np.argsort(hints)
        order = order[until[order] > reached_ms]
        self._hints, self._until, self._fresh = hints[order], until[order], {}
