"""Own time: what coroutines compute is counted, what happens while they wait is not."""

from __future__ import annotations

import asyncio

import pytest

from monitor.service.own_time import OwnTime


class Clock:
    """CPU seconds that pass when they are spent."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


async def test_what_others_compute_while_a_coroutine_waits_is_not_its_own() -> None:
    clock = Clock()
    own = OwnTime(clock)
    go, waiting = asyncio.Event(), asyncio.Event()

    async def step() -> str:
        clock.spend(1.0)
        waiting.set()
        await go.wait()
        clock.spend(2.0)
        return "done"

    task = asyncio.create_task(own.run(step()))
    await waiting.wait()
    clock.spend(100.0)
    go.set()
    assert "done" == await task
    assert 3.0 == own.seconds


async def test_tasks_that_are_run_through_it_count_together_and_once() -> None:
    clock = Clock()
    own = OwnTime(clock)

    async def part(seconds: float) -> None:
        clock.spend(seconds)
        await asyncio.sleep(0)
        clock.spend(seconds)

    async def step() -> None:
        clock.spend(1.0)
        await asyncio.gather(*(own.run(part(seconds)) for seconds in (10.0, 20.0)))

    await own.run(step())
    assert 61.0 == own.seconds


async def test_an_exception_comes_through_and_what_was_computed_before_it_counts() -> None:
    clock = Clock()
    own = OwnTime(clock)

    async def step() -> None:
        clock.spend(1.0)
        await asyncio.sleep(0)
        clock.spend(1.0)
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await own.run(step())
    assert 2.0 == own.seconds


async def test_a_cancellation_reaches_the_coroutine_which_may_put_things_in_order() -> None:
    clock = Clock()
    own = OwnTime(clock)
    waiting = asyncio.Event()
    said = []

    async def step() -> None:
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append("cancelled")
            await asyncio.sleep(0)
            clock.spend(5.0)
            raise

    task = asyncio.create_task(own.run(step()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["cancelled"] == said
    assert 5.0 == own.seconds


async def test_a_deadline_inside_holds() -> None:
    own = OwnTime()

    async def step() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await own.run(step())
