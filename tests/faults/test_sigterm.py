"""Fault 3: SIGTERM in the middle of the stream. The worker ends in order, soon, and its successor goes on exactly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import topics
from tests.e2e.worker_process import WorkerProcess
from tests.faults.conftest import Size
from tests.faults.fleet import Crew
from tests.faults.traffic import publishing, simulated_minutes
from tests.faults.verdict import settle
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

EXIT_SECONDS = 10.0
FORCED_SECONDS = 30.0
"""Whatever else runs on the machine."""


def test_sigterm_in_mid_stream_loses_nothing_and_counts_nothing_twice(
    fault_kafka: KafkaServer, tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    faults, per_second = (20, 600) if size == "full" else (2, 2000)
    topics.create(fault_kafka)
    minutes = 8 * faults
    batches = list(simulated_minutes(decisions=1000 * minutes, minutes=minutes, seed=11))
    records = sum(map(len, batches))
    exits: list[float] = []
    with (
        WorkerProcess(fault_kafka.bootstrap, tmp_path / "worker") as worker,
        publishing(fault_kafka.bootstrap, batches, per_second=per_second) as publisher,
    ):
        crew = Crew({"only": worker})
        for number in range(faults):
            publisher.limit = minutes * (number + 2) // (faults + 2)  # each fault meets traffic, however long it takes
            worker.until_ready()
            reached = crew.until_counted(records * (number + 1) // (faults + 2), publisher)
            assert reached < records, "all was counted before the fault"
            begin = time.monotonic()
            assert 0 == worker.terminate(within=FORCED_SECONDS), worker.log()[-3000:]
            exits.append(time.monotonic() - begin)
            assert "Traceback" not in worker.log()
            worker.start()
        publisher.finish(at_once=True)
        worker.until_ready()
        verdict = settle(crew, fault_kafka.bootstrap, publisher)
    assert max(exits) < (EXIT_SECONDS if size == "full" else FORCED_SECONDS)
    share = read_again(tmp_path / "worker") / records
    assert share < 0.1
    outcome(
        number="3",
        name="SIGTERM in mid stream",
        events=verdict.events,
        faults=faults,
        lost=verdict.lost,
        redelivered=share,
        told=f"exit 0 in {max(exits):.1f} s at most",
    )


def read_again(directory: Path) -> int:
    """Records that the runs of a worker had processed and left uncommitted when they stopped, by their logs."""
    logs = sorted(directory.glob("worker-*.log"))
    return sum(int(found) for log in logs for found in re.findall(r'"read_again": (\d+)', log.read_text()))
