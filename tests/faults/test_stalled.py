"""A worker that makes no progress notices it by itself, says what stands still, and exits for a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import topics
from tests.faults.faulty import FaultyWorker
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

STALLED = 70


def test_a_blocked_event_loop_ends_the_worker_for_a_restart(fault_kafka: KafkaServer, tmp_path: Path) -> None:
    topics.create(fault_kafka)
    settings = {"watchdog.loop_seconds": 5}
    with FaultyWorker("block", fault_kafka.bootstrap, tmp_path / "worker", settings=settings) as worker:
        worker.until_ready()
        worker.block()
        assert STALLED == worker.wait(within=60), worker.log()
        said = [event for event in worker.events() if event["level"] == "critical"]
    assert ("no progress: stopping for a restart", "the event loop") == (said[0]["event"], said[0]["what"])
    stacks = {event["thread"].split(" ")[0]: event["stack"] for event in said[1:]}
    assert "faulty_worker.py" in stacks["MainThread"]
    assert {"watchdog", "http"} <= set(stacks)
