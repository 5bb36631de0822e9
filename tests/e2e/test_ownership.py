"""Two workers of one group on real Kafka: each exports what it owns, and who is left takes over everything.

Sums over the workers are what Prometheus sees after `sum without (instance)`.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from monitor import catalogue
from monitor.simulate import demo
from tests.e2e import topics
from tests.e2e.accounts import apart
from tests.e2e.independent_count import Count, count
from tests.e2e.published import Published, counts_by_topic, publish, simulated
from tests.e2e.shared import until_shared
from tests.e2e.worker_process import POLL_SECONDS, WorkerProcess
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

START_MS = 1_736_164_800_000  # 2025-01-06T12:00Z


def test_workers_share_the_work_and_the_one_that_is_left_takes_over(own_kafka: KafkaServer, tmp_path: Path) -> None:
    topics.create(own_kafka, source=4, internal=4)
    records = simulated(demo(decisions_per_minute=2000, incident_minute=100), seed=6, start_ms=START_MS, minutes=45)
    thirds = [records[number * len(records) // 3 : (number + 1) * len(records) // 3] for number in range(3)]
    first = WorkerProcess(own_kafka.bootstrap, tmp_path / "first")
    second = WorkerProcess(own_kafka.bootstrap, tmp_path / "second")
    with first:
        first.until_ready()
        published = feed(own_kafka, thirds[:1], [first])
        assert_whole(count(published, refused={}), [first])
        with second:
            shared = until_shared(first, second)
            published = feed(own_kafka, thirds[:2], [first, second], sent=len(published))
            assert_whole(count(published, refused={}), [first, second])
            assert models(first)
            assert models(second)
            assert set() == models(first) & models(second)
            assert {2} == shared
            first.kill()
            published = feed(own_kafka, thirds, [second], sent=len(published))
            assert_whole(count(published, refused={}), [second])
            assert 0 == second.terminate(within=10)
    # Whoever comes next goes on from the checkpoint.
    with WorkerProcess(own_kafka.bootstrap, tmp_path / "third") as third:
        third.until_ready()
        assert_whole(count(records, refused={}), [third])


def feed(
    kafka: KafkaServer, parts: list[list[Published]], workers: list[WorkerProcess], *, sent: int = 0
) -> list[Published]:
    """Publish what has not been sent yet and wait until the workers together have counted all of it."""
    records = [record for part in parts for record in part]
    publish(kafka.bootstrap, records[sent:])
    wanted = counts_by_topic(records)

    def counted() -> bool:
        scrapes = [worker.scrape().only(catalogue.RECORDS) for worker in workers]
        return all(
            sum(scrape.total(catalogue.RECORDS, topic=topic) for scrape in scrapes) == number
            for topic, number in wanted.items()
        )

    workers[0].until(counted, what=f"the workers have counted {wanted}", within=180)
    return records


def models(worker: WorkerProcess) -> set[str]:
    """Models that a worker exports."""
    return {labels["model"] for labels, _ in worker.scrape().matching(catalogue.DECISIONS.name)}


def assert_whole(expected: Count, workers: list[WorkerProcess], *, within: float = 120.0) -> None:
    """The sum over the workers is the independent count; blocks may still be on their way for a moment."""
    deadline = time.monotonic() + within
    while wrong := apart(expected, [worker.scrape() for worker in workers]):
        assert time.monotonic() < deadline, wrong[:20]
        time.sleep(POLL_SECONDS)
