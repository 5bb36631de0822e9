"""Fault 8: an exception in the processing of a batch ends the worker, and whoever starts it again goes on exactly."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import topics
from tests.e2e.worker_process import POLL_SECONDS, WorkerProcess
from tests.faults.conftest import Size
from tests.faults.faulty import FaultyWorker
from tests.faults.fleet import Crew
from tests.faults.traffic import publishing, simulated_minutes
from tests.faults.verdict import settle
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

FAILED = 1
SETTLE_SECONDS = 300.0


def test_an_exception_in_a_batch_ends_the_worker_and_a_restart_loses_nothing(
    fault_kafka: KafkaServer,
    tmp_path: Path,
    size: Size,
    outcome: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every, wanted = (100_000, 5) if size == "full" else (8_000, 2)
    monkeypatch.setenv("FAIL_EVERY", str(every))
    topics.create(fault_kafka)
    minutes = (wanted + 1) * every // 1200
    batches = list(simulated_minutes(decisions=1000 * minutes, minutes=minutes, seed=11))
    codes: list[int] = []
    with FaultyWorker("raise", fault_kafka.bootstrap, tmp_path / "worker") as worker:
        with publishing(fault_kafka.bootstrap, batches, per_second=20_000) as publisher:
            deadline = time.monotonic() + SETTLE_SECONDS
            while len(codes) < wanted:
                assert time.monotonic() < deadline, worker.log()[-3000:]
                if not worker.running:
                    codes.append(worker.wait(within=1))
                    assert_said_once(worker)
                    worker.start()
                time.sleep(POLL_SECONDS)
        worker.kill()
    with WorkerProcess(fault_kafka.bootstrap, tmp_path / "mended") as mended:
        verdict = settle(Crew({"mended": mended.until_ready()}), fault_kafka.bootstrap, publisher)
    assert [FAILED] * wanted == codes
    outcome(
        number="8",
        name=f"exception in a batch, 1 in {every:,} records",
        events=verdict.events,
        faults=wanted,
        lost=verdict.lost,
        told=f"exit {FAILED} each time, then restarted",
    )


def assert_said_once(worker: WorkerProcess) -> None:
    """The exception with its traceback once, then one line that says why the worker stopped."""
    said = worker.events()
    assert 1 == len([event for event in said if "exception" in event]), worker.log()
    [last] = [event for event in said if event["event"] == "stopped by a failure"]
    assert "injected" in last["error"]
    assert "Event loop is closed" not in worker.log()
