"""Writing to Kafka: how it ends when Kafka is away, and when a record cannot be taken at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from monitor.broker import EmbeddedBroker
from monitor.service.outlet import MAX_RECORD_BYTES, KafkaOutlet, Record, Unwritable
from monitor.streaming.security import Security
from monitor.topics import BLOCKS

TIMEOUT_SECONDS = 0.5


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({BLOCKS: 1}) as broker:
        yield broker


def record(size: int) -> Record:
    return Record(BLOCKS, key=b"0", value=b"x" * size, partition=0)


async def test_who_cannot_write_for_the_time_allowed_says_so(broker: EmbeddedBroker) -> None:
    outlet = KafkaOutlet(broker.bootstrap, Security(), client_id="test", timeout=TIMEOUT_SECONDS)
    await outlet.start()
    try:
        await outlet.write([record(10)])
        broker.go_down()
        with pytest.raises(Unwritable, match=r"Kafka took no record for 0\.5 seconds: "):
            await outlet.write([record(10), record(20)])
    finally:
        await outlet.stop(within=1.0)


async def test_a_broker_that_is_away_for_longer_than_one_request_may_take_costs_no_record(
    broker: EmbeddedBroker,
) -> None:
    outlet = KafkaOutlet(broker.bootstrap, Security(), client_id="test", request_timeout=TIMEOUT_SECONDS)
    await outlet.start()
    try:
        await outlet.write([record(10)])
        broker.go_down()
        # The second fills a batch of its own, for which the third has to wait.
        writing = asyncio.create_task(outlet.write([record(10), record(20_000), record(20)]))
        ended, _ = await asyncio.wait({writing}, timeout=3 * TIMEOUT_SECONDS)
        assert not ended
        broker.come_up()
        await asyncio.wait_for(writing, 30)
    finally:
        await outlet.stop(within=1.0)


async def test_what_trying_again_does_not_help_is_another_failure(broker: EmbeddedBroker) -> None:
    outlet = KafkaOutlet(broker.bootstrap, Security(), client_id="test", timeout=TIMEOUT_SECONDS)
    await outlet.start()
    try:
        with pytest.raises(MessageSizeTooLargeError):
            await outlet.write([record(MAX_RECORD_BYTES + 1)])
    finally:
        await outlet.stop(within=1.0)
