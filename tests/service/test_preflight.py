"""Kafka before the start: any broker that is up can answer, and who gives up says so in one line."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from monitor.assembly import assemble
from monitor.broker import EmbeddedBroker
from monitor.service.logs import LogCounts
from monitor.service.preflight import NotReady, check_kafka, why_away
from monitor.settings import Settings
from monitor.streaming.security import Security
from monitor.topics import BLOCKS, JOIN, SOURCES, STATE
from monitor.worker import Worker
from tests.ports import free_port

TOPICS = {BLOCKS: 3, STATE: 3}
PLAIN = Security()
CHECKS = 12
"""The client asks a node at random: one answer would be luck, so many are not."""


@pytest.fixture
def brokers() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(TOPICS, nodes=3) as brokers:
        yield brokers


Lose = Callable[[Iterable[int]], None]


@pytest.fixture
def lose(brokers: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> Lose:
    """Nodes go down when the client has learned of them: Kafka names a node until its session has ended."""

    def lose(nodes: Iterable[int]) -> None:
        async def start_then_lose(admin: AIOKafkaAdminClient) -> None:
            for node in (1, 2, 3):
                brokers.come_up(node)
            await start(admin)
            for node in nodes:
                brokers.go_down(node)

        monkeypatch.setattr(AIOKafkaAdminClient, "start", start_then_lose)

    start = AIOKafkaAdminClient.start
    return lose


@pytest.mark.parametrize("nodes", [[2], [1, 3]], ids=["one", "two"])
async def test_with_nodes_down_another_one_answers(brokers: EmbeddedBroker, lose: Lose, nodes: list[int]) -> None:
    lose(nodes)
    found = [await check_kafka(brokers.bootstrap, PLAIN, topics=list(TOPICS)) for _ in range(CHECKS)]
    assert CHECKS * [TOPICS] == found


async def test_the_watchdog_is_not_told_that_kafka_is_away_for_one_node(brokers: EmbeddedBroker, lose: Lose) -> None:
    lose([2])
    told = [await why_away(brokers.bootstrap, PLAIN, topics=list(TOPICS)) for _ in range(CHECKS)]
    # The partitions that it leads have no leader for a moment; that is another reason than no answer.
    assert [] == [reason for reason in told if reason is not None and "no leader" not in reason]


async def test_a_bootstrap_server_that_swallows_what_is_sent_leaves_time_for_the_next(
    brokers: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.shuffle", lambda _: None)  # the client asks them in the order in which they are named
    with socket.create_server(("127.0.0.1", 0)) as silent:
        servers = f"127.0.0.1:{silent.getsockname()[1]},{brokers.bootstrap}"
        assert TOPICS == await check_kafka(servers, PLAIN, topics=list(TOPICS), within=4.0)


async def test_where_nobody_listens_it_gives_up_at_once_with_the_address() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(NotReady, match=f"kafka {address}: ") as caught:
        await check_kafka(address, PLAIN, topics=list(TOPICS), within=60.0)
    assert 1 == len(str(caught.value).splitlines())


async def test_a_cluster_that_goes_while_it_is_asked_is_given_up_in_time_with_the_last_reason(
    brokers: EmbeddedBroker, lose: Lose
) -> None:
    lose([1, 2, 3])
    with pytest.raises(NotReady, match=r"no answer within 4 s; the last attempt: .*node id [123]") as caught:
        await check_kafka(brokers.bootstrap, PLAIN, topics=list(TOPICS), within=4.0)
    assert 1 == len(str(caught.value).splitlines())


@pytest.fixture
def own_signals() -> Iterator[None]:
    """A worker takes over what its process does at a signal."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
async def test_a_worker_asks_for_all_topics_that_it_reads_or_writes_the_dead_letters_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    async def refuse(*_: Any, topics: Sequence[str]) -> dict[str, int]:
        asked.extend(topics)
        raise NotReady("missing topics")

    monkeypatch.setattr("monitor.worker.check_kafka", refuse)
    monkeypatch.setattr("monitor.worker.KafkaOutlet", Mock())
    settings = Settings.model_validate({"state": {"directory": tmp_path}})
    with pytest.raises(NotReady):
        await Worker(settings, assemble(settings), PLAIN, LogCounts()).run()
    sources = [name for source in SOURCES for name in (source.topic, source.dead_letters)]
    assert sorted([*sources, JOIN, BLOCKS, STATE]) == sorted(asked)
