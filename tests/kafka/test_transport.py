"""The transport under a Faust app, on a real broker: kills, restarts, transactions."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from faust.types import TP

from tests.kafka_server import KafkaServer
from tests.streaming.apps import Reader, publish, reading, until
from tests.streaming.worker import Worker, committed

pytestmark = pytest.mark.kafka


async def test_transactions_with_aborts_are_committed_to_the_end(kafka: KafkaServer) -> None:
    topic, tp = kafka.create_topic("app-transactions"), TP("app-transactions", 0)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id="app") as producer:
        for number in range(30):
            await producer.begin_transaction()
            for index in range(10):
                await producer.send(topic, b"%d" % (10 * number + index), partition=0)
            await (producer.abort_transaction() if number % 3 == 2 else producer.commit_transaction())
    kept = [b"%d" % value for value in range(300) if value // 10 % 3 != 2]
    async with reading(kafka.bootstrap, topic, group="app-transactions") as (reader, app):
        await until(lambda: app.consumer.progress()[tp].committed == 330)
        assert kept == reader.values(tp)
        assert 330 == app.consumer.progress()[tp].end  # no lag is left by markers
    async with reading(kafka.bootstrap, topic, group="app-transactions", rewind=lambda *_: 0) as (reader, _):
        await until(lambda: len(reader.values(tp)) == len(kept))
        assert kept == reader.values(tp)


def numbers(start: int, stop: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, stop)]


@pytest.mark.parametrize("codec", ["none", "zstd"])
async def test_partitions_arrive_complete_and_in_order(kafka: KafkaServer, codec: str) -> None:
    topic = kafka.create_topic(f"app-{codec}", partitions=4)
    values = [b"%d" % number for number in range(20_000)]
    for partition in range(4):
        publish(kafka.bootstrap, topic, values, partition=partition, **{"compression.type": codec})
    async with reading(kafka.bootstrap, topic, group=topic) as (reader, _):
        await until(lambda: reader.read() == 80_000)
    for partition in range(4):
        assert values == reader.values(TP(topic, partition))
        assert len(reader.batches[TP(topic, partition)]) < 200


async def test_what_is_acknowledged_before_partitions_move_is_not_read_again(kafka: KafkaServer) -> None:
    topic, bootstrap = kafka.create_topic("acknowledged-before"), kafka.bootstrap
    first, second, tp = Reader(), Reader(), TP("acknowledged-before", 0)

    async def acknowledge() -> None:
        first.hold.set()
        await until(lambda: bool(app.consumer._acked[tp]))

    first.hold.clear()
    publish(bootstrap, topic, numbers(0, 10))
    async with reading(bootstrap, topic, group=topic, reader=first, before_revoked=acknowledge) as (_, app):
        await until(lambda: first.read() == 10)
        async with reading(bootstrap, topic, group=topic, reader=second):
            await until(lambda: bool(first.revoked) and bool(first.owned | second.owned))
            owner = first if first.owned else second
            assert {tp: 10} == owner.starts[-1]


async def test_partitions_move_to_a_second_app_and_nothing_is_lost(kafka: KafkaServer) -> None:
    topic, bootstrap = kafka.create_topic("moving", partitions=4), kafka.bootstrap
    for partition in range(4):
        publish(bootstrap, topic, numbers(0, 500), partition=partition)
    async with reading(bootstrap, topic, rewind=lambda _t, _p, offset: offset - 100) as (first, app):
        await until(lambda: {p.committed for p in app.consumer.progress().values()} == {500})
        async with reading(bootstrap, topic, rewind=lambda _t, _p, offset: offset - 100) as (second, _):
            await until(lambda: bool(second.starts and second.starts[-1]))
            await until(lambda: len(first.starts[-1]) == 2)
            assert {TP(topic, partition) for partition in range(4)} == first.revoked[-1]
            for partition in range(4):
                publish(bootstrap, topic, numbers(500, 600), partition=partition)
            owners = {tp: reader for reader in (first, second) for tp in reader.starts[-1]}
            assert 4 == len(owners)
            assert {400} == set(first.starts[-1].values()) | set(second.starts[-1].values())
            for tp, reader in owners.items():
                await until(lambda: len(reader.values(tp)) == 200)  # noqa: B023
                assert numbers(400, 600) == reader.values(tp)


def test_sigterm_and_kill_lose_nothing_and_redeliver_only_what_rewind_asks(kafka: KafkaServer, tmp_path: Path) -> None:
    topic, end = kafka.create_topic("app-signals"), 60_000
    publish(kafka.bootstrap, topic, [b"%d" % number for number in range(end)], **{"batch.num.messages": 500})
    start = 0
    for turn, hard in enumerate([False, True, False]):
        worker = Worker(kafka.bootstrap, topic, tmp_path / f"{turn}", rewind=70, pause=0.1, max_records=500)
        worker.until(lambda lines: len(lines) >= 5)
        if hard:
            worker.process.kill()
            worker.process.wait()
        else:
            assert 0 == worker.stop()
        values = worker.values()
        assert [*range(start, start + len(values))] == values
        at = committed(kafka.bootstrap, topic)
        assert at <= values[-1] + 1
        start = at - 70
    last = Worker(kafka.bootstrap, topic, tmp_path / "last", rewind=70)
    last.until_at(end)
    assert 0 == last.stop()
    assert [*range(start, end)] == last.values()
    assert end == committed(kafka.bootstrap, topic)


def test_a_worker_that_the_group_refuses_ends_instead_of_waiting(kafka: KafkaServer, tmp_path: Path) -> None:
    worker = Worker(kafka.bootstrap, kafka.create_topic("refused"), tmp_path / "out", session=0.5)
    assert 0 != worker.process.wait(30)
    assert "InvalidSessionTimeoutError" in worker.log()


def test_a_broker_killed_and_restarted_is_read_on_where_it_was(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path / "node")
    server.start()
    try:
        topic = server.create_topic("restarted")
        worker = Worker(server.bootstrap, topic, tmp_path / "out")
        publish(server.bootstrap, topic, [b"%d" % number for number in range(1000)])
        worker.until_at(1000)
        server.kill()
        server.start()
        publish(server.bootstrap, topic, [b"%d" % number for number in range(1000, 2000)])
        worker.until_at(2000)
        worker.until(lambda _: committed(server.bootstrap, topic) == 2000)  # the group may have to form anew first
        assert 0 == worker.stop()
        assert [*range(2000)] == sorted(set(worker.values()))
    finally:
        server.terminate()
