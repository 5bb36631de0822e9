"""How long coroutines compute, without what the event loop does for others while they wait."""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class OwnTime:
    """`seconds` is the CPU time of the coroutines that were run through it; `clock` gives that of the thread."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self.seconds = 0.0
        self._clock = clock

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine; what it starts as tasks of its own is not counted unless that is run through here too."""
        return await self._driven(coroutine)

    @types.coroutine
    def _driven(self, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        step: Callable[[Any], Any] = coroutine.send
        told: Any = None
        while True:
            begin = self._clock()
            try:
                waits_for = step(told)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.seconds += self._clock() - begin
            try:
                step, told = coroutine.send, (yield waits_for)
            except BaseException as error:  # a cancellation is the coroutine's to handle
                step, told = coroutine.throw, error
