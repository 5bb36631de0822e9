"""What was processed in one assignment is committed in it or not at all, on the embedded broker.

A worker that stood still finds its partitions with another one, which goes on and commits. What the first still had
under way is acknowledged and committed when it goes on: once it has partitions again that would set them back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.commit import OffsetCommitRequest
from faust.types import TP

from monitor.broker import EmbeddedBroker
from tests.streaming.apps import Reader, committed, numbers, publish, reading, until

TOPIC = "events"
PARTITION = TP(TOPIC, 0)


@pytest.fixture
async def held(embedded_broker: EmbeddedBroker) -> AsyncIterator[tuple[Reader, Any]]:
    """An app that received ten records and acknowledges them when its reader's `hold` is set."""
    embedded_broker.create_topic(TOPIC, 1)
    async with reading(embedded_broker.bootstrap, TOPIC) as (reader, app):
        reader.hold.clear()
        publish(embedded_broker.bootstrap, TOPIC, numbers(0, 10))
        await until(lambda: reader.read() == 10)
        yield reader, app


@pytest.mark.parametrize("assigned", [False, True], ids=["between two", "before the next is read"])
async def test_what_is_acknowledged_after_its_assignment_is_not_committed(
    held: tuple[Reader, Any], *, assigned: bool
) -> None:
    reader, app = held
    consumer, acknowledged = app.consumer, asyncio.Event()
    accept = consumer.ack

    def ack(message: Any) -> bool:
        acknowledged.set()
        return bool(accept(message))

    consumer.ack = ack
    await consumer.on_partitions_revoked({PARTITION})
    if assigned:
        app.consumer_generation_id += 1
        consumer._assignment = object()
    reader.hold.set()
    await acknowledged.wait()
    assert consumer._new_offset(PARTITION) is None
    assert not await consumer.commit()
    assert await committed(app) is None


async def test_a_commit_that_outlasts_its_assignment_commits_nothing(held: tuple[Reader, Any]) -> None:
    reader, app = held
    waiting, go_on = asyncio.Event(), asyncio.Event()
    flush = app.producer.flush

    async def slow() -> None:
        waiting.set()
        await go_on.wait()
        await flush()

    app.producer.flush = slow
    sent = commits_sent(app, lose_first=False)
    reader.hold.set()
    await waiting.wait()
    next_generation(app)
    go_on.set()
    await until(lambda: app.consumer._commit_fut is None)
    assert [] == sent
    assert await committed(app) is None


async def test_a_commit_is_not_tried_again_in_the_next_generation(held: tuple[Reader, Any]) -> None:
    reader, app = held
    sent = commits_sent(app, lose_first=True)
    reader.hold.set()
    await until(lambda: bool(sent) and app.consumer._commit_fut is None)
    assert 1 == len(sent)
    assert await committed(app) is None


async def test_an_assignment_ends_though_what_comes_before_its_end_does_not(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    broken_off = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            broken_off.set()

    bootstrap = embedded_broker.bootstrap
    async with reading(bootstrap, TOPIC, before_revoked=never, revoked_within=0.1) as (reader, app):
        await until(lambda: PARTITION in reader.owned)
        await app.consumer.on_partitions_revoked({PARTITION})
        assert {PARTITION} == reader.revoked[-1]
        assert broken_off.is_set()


def commits_sent(app: Any, *, lose_first: bool) -> list[Any]:
    """Requests to commit from here on; the first one may be lost, and the group formed anew meanwhile."""
    coordinator = app.consumer._thread._consumer._coordinator
    send, sent = coordinator._send_req, []

    async def send_or_lose(request: Any) -> Any:
        if isinstance(request, OffsetCommitRequest):
            sent.append(request)
            if lose_first and len(sent) == 1:
                next_generation(app)
                raise RequestTimedOutError
        return await send(request)

    coordinator._send_req = send_or_lose
    return sent


def next_generation(app: Any) -> None:
    """What the group's coordinator on our side is told when the group was formed anew."""
    app.consumer._thread._consumer._coordinator.generation += 1
