"""Writes under way: a commit waits for them, a failure is not lost, and there are never many."""

from __future__ import annotations

import asyncio

import pytest

from monitor.service.underway import MOST, Underway


class Writes:
    """Writes that end when they are told to."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[None]] = []

    async def write(self) -> None:
        answer = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        await answer


def ignored(_: BaseException) -> None:
    """Nobody wants to know."""


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_begins_does_not_wait_and_what_commits_waits_for_what_lies_below() -> None:
    underway, writes = Underway(ignored), Writes()
    await underway.begin(10, writes.write())
    await underway.begin(20, writes.write())
    commit = asyncio.create_task(underway.done(15))
    await turns()
    assert not commit.done()
    writes.answers[0].set_result(None)
    await turns()
    assert commit.done()
    assert not writes.answers[1].done()


async def test_beyond_some_the_oldest_is_waited_for() -> None:
    underway, writes = Underway(ignored), Writes()
    for number in range(MOST):
        await underway.begin(number, writes.write())
    beyond = asyncio.create_task(underway.begin(MOST, writes.write()))
    await turns()
    assert not beyond.done()
    writes.answers[0].set_result(None)
    await beyond


@pytest.mark.parametrize("waiters", [1, 2])
async def test_a_failure_is_raised_in_all_that_wait_for_it_and_stays(waiters: int) -> None:
    underway, writes = Underway(ignored), Writes()
    await underway.begin(10, writes.write())
    tasks = [asyncio.create_task(underway.done(11)) for _ in range(waiters)]
    await turns()
    writes.answers[0].set_exception(OSError("no broker"))
    assert [OSError] * waiters == [type(one) for one in await asyncio.gather(*tasks, return_exceptions=True)]
    with pytest.raises(OSError, match="no broker"):
        await underway.done(11)


async def test_two_that_wait_both_go_on() -> None:
    underway, writes = Underway(ignored), Writes()
    await underway.begin(10, writes.write())
    await underway.begin(20, writes.write())
    tasks = [asyncio.create_task(underway.done(21)) for _ in range(2)]
    await turns()
    for answer in writes.answers:
        answer.set_result(None)
    await asyncio.gather(*tasks)
    await underway.done(21)


async def test_who_waits_is_not_cancelled_when_they_are_abandoned() -> None:
    underway, writes = Underway(ignored), Writes()
    await underway.begin(10, writes.write())
    waiting = asyncio.create_task(underway.done(11))
    await turns()
    underway.abandon()
    writes.answers[0].set_result(None)
    await waiting
    await underway.done(11)


async def test_a_failure_is_told_although_nobody_waits_for_it() -> None:
    told: list[BaseException] = []
    underway, writes = Underway(told.append), Writes()
    await underway.begin(10, writes.write())
    await underway.begin(20, writes.write())
    await turns()
    writes.answers[1].set_exception(OSError("no broker"))
    await turns()
    assert ["no broker"] == [str(error) for error in told]


async def test_of_what_was_abandoned_no_failure_is_told() -> None:
    told: list[BaseException] = []
    underway, writes = Underway(told.append), Writes()
    await underway.begin(10, writes.write())
    await turns()
    underway.abandon()
    writes.answers[0].set_exception(OSError("no broker"))
    await turns()
    assert [] == told
