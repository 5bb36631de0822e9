"""Writes of one partition that were begun and not acknowledged yet: reading goes on, commits wait for them.

One that fails is told at once: who would wait for it next may itself be waiting for the broker that failed it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

MOST: Final = 8
"""Beyond so many the oldest is waited for before the next is begun: memory is bounded, and a slow broker slows us."""


class Underway:
    """In order of offset. A write that failed raises its error in whoever waits for it, or begins the next but few.

    `on_failure` is told the error when it happens, unless the write was abandoned before.
    """

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._on_failure = on_failure
        self._writes: deque[tuple[int, asyncio.Task[None]]] = deque()

    async def begin(self, since: int, write: Coroutine[Any, Any, None]) -> None:
        """Begin a write of what came of the records from `since` on."""
        task = asyncio.create_task(write)
        self._writes.append((since, task))
        task.add_done_callback(self._ended)
        while len(self._writes) > MOST:
            await self._oldest()

    async def done(self, through: int) -> None:
        """Wait for the writes that hold something of records below `through`."""
        while self._writes and self._writes[0][0] < through:
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

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Asked for its error also where nobody wants it: asyncio would report one that was never looked at.
        error = None if task.cancelled() else task.exception()
        if error is not None and any(write is task for _, write in self._writes):
            self._on_failure(error)
