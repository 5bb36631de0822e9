"""Writes of one partition that were begun and not acknowledged yet: reading goes on, commits wait for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

MOST: Final = 8
"""Beyond so many the oldest is waited for before the next is begun: memory is bounded, and a slow broker slows us."""


class Underway:
    """In order of offset. A write that failed raises its error in whoever waits for it, or begins the next but few."""

    def __init__(self) -> None:
        self._writes: deque[tuple[int, asyncio.Task[None]]] = deque()

    async def begin(self, through: int, write: Coroutine[Any, Any, None]) -> None:
        """Begin a write of what came of records below `through`."""
        task = asyncio.create_task(write)
        task.add_done_callback(_retrieve)
        self._writes.append((through, task))
        while len(self._writes) > MOST:
            await self._oldest()

    async def done(self, through: int) -> None:
        """Wait for the writes of records below `through`."""
        while self._writes and self._writes[0][0] <= through:
            await self._oldest()

    def abandon(self) -> None:
        """Ask of them no more: whoever reads the records again writes again what they write, or do not."""
        self._writes.clear()

    async def _oldest(self) -> None:
        # Two may wait for the same one; whoever comes first takes it out.
        oldest = self._writes[0]
        await asyncio.shield(oldest[1])
        if self._writes and self._writes[0] is oldest:
            self._writes.popleft()


def _retrieve(task: asyncio.Task[None]) -> None:
    """Look at how it ended, so that asyncio does not report a failure that nobody waited for."""
    if not task.cancelled():
        task.exception()
