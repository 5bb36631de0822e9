"""Fault 24: a worker that is stopped for longer than its session, and goes on while another one owns its partitions."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from monitor import catalogue
from monitor.topics import BLOCKS, SOURCES
from monitor.worker import EX_UNAVAILABLE
from tests.e2e import topics
from tests.e2e.scrape import Scrape
from tests.e2e.shared import SHARED_SECONDS, shared, until_shared
from tests.e2e.test_ownership import models
from tests.e2e.worker_process import QUICK, WorkerProcess
from tests.faults.conftest import Size
from tests.faults.fleet import Crew
from tests.faults.traffic import publishing, simulated_minutes
from tests.faults.verdict import settle
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

PARTITIONS = 4
SESSION_SECONDS = float(str(QUICK["kafka.session_timeout_seconds"]))


def test_a_stopped_worker_that_goes_on_exports_and_commits_nothing_of_what_it_lost(
    fault_kafka: KafkaServer, tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    seconds = 90.0 if size == "full" else SESSION_SECONDS + 2.0
    topics.create(fault_kafka, source=PARTITIONS, internal=PARTITIONS)
    minutes = 150 if size == "full" else 30
    batches = list(simulated_minutes(decisions=1000 * minutes, minutes=minutes, seed=11))
    per_second = sum(map(len, batches)) / (seconds + 20)
    first = WorkerProcess(fault_kafka.bootstrap, tmp_path / "first")
    second = WorkerProcess(fault_kafka.bootstrap, tmp_path / "second")
    with first, second:
        until_shared(first, second)
        crew = Crew({"first": first, "second": second})
        left = Crew({"second": second})
        with publishing(fault_kafka.bootstrap, batches, per_second=per_second) as publisher:
            first.until(lambda: models(first) and models(second), what="both export models")
            with ThreadPoolExecutor() as asking, stopped(first):
                pass_seconds(seconds)
                second.until(lambda: owned(second) == PARTITIONS, what="the second has taken over")
                published = publisher.acknowledged
                left.until(lambda: left.records() >= published, what="the second has caught up", within=120)
                before = committed(fault_kafka.bootstrap)
                # Asked while it stands, so that nothing comes before the answer when it goes on.
                asked = [asking.submit(httpx.get, f"{first.url}{path}", timeout=60) for path in ("/readyz", "/metrics")]
                pass_seconds(0.5)
            readiness, metrics = (answer.result() for answer in asked)
            told = [labels["model"] for labels, _ in Scrape(metrics.text).matching(catalogue.DECISIONS.name)]
            assert (503, []) == (readiness.status_code, told), readiness.text
            ended = until_shared_again(first, second)
            after = committed(fault_kafka.bootstrap)
        verdict = settle(crew, fault_kafka.bootstrap, publisher)
    assert [] == [place for place, offset in before.items() if after[place] < offset]
    outcome(
        number="24",
        name=f"SIGSTOP for {seconds:.0f} s, then SIGCONT",
        events=verdict.events,
        faults=1,
        lost=verdict.lost,
        told="exported nothing when it went on, no offset went back, then shared the work again"
        + (" after a restart: what it was sending had timed out" if ended else ""),
    )


def until_shared_again(first: WorkerProcess, second: WorkerProcess) -> bool:
    """Wait until both own partitions; whether the first ended by itself and was started again, as it asks for.

    It does when what it was sending has timed out meanwhile: how long it stood is up to the machine as well.
    """
    ended = False

    def going_on() -> bool:
        nonlocal ended
        if not first.running:
            assert EX_UNAVAILABLE == first.wait(within=1), first.log()
            assert not ended, first.log()
            ended = True
            first.start()
        return bool(shared(first, second))

    second.until(going_on, what="both workers own partitions", within=SHARED_SECONDS)
    return ended


@contextmanager
def stopped(worker: WorkerProcess) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def owned(worker: WorkerProcess) -> float:
    """Partitions of the blocks topic, once it is ready."""
    if worker.get("/readyz").status_code != 200:
        return 0
    return worker.scrape().total("monitor_assigned_partitions", topic=BLOCKS)


def committed(bootstrap: str) -> dict[tuple[str, int], int]:
    """The group's offsets as Kafka has them; -1001 where there is none."""
    places = [TopicPartition(topic, number) for topic in SOURCE_TOPICS for number in range(PARTITIONS)]
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "moderation-monitor"})
    found = {(at.topic, at.partition): int(at.offset) for at in reader.committed(places, timeout=30)}
    reader.close()
    return found


SOURCE_TOPICS = [source.topic for source in SOURCES]


def pass_seconds(seconds: float) -> None:
    """The span of the fault."""
    time.sleep(seconds)
