"""Fault 3: SIGTERM in the middle of the stream. The worker ends in order, soon, and its successor goes on exactly."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import topics
from tests.e2e.worker_process import WorkerProcess
from tests.faults.conftest import Size
from tests.faults.recount import lost, read_again, traffic, until_counted
from tests.faults.stream import Stream
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

EXIT_SECONDS = 10.0
FORCED_SECONDS = 30.0
"""Whatever else runs on the machine."""


def test_sigterm_in_mid_stream_loses_nothing_and_counts_nothing_twice(
    fault_kafka: KafkaServer, tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    faults = 20 if size == "full" else 2
    topics.create(fault_kafka)
    records = traffic(minutes=8 * faults)
    exits: list[float] = []
    with (
        Stream(fault_kafka.bootstrap, records, per_second=2000) as stream,
        WorkerProcess(fault_kafka.bootstrap, tmp_path / "worker") as worker,
    ):
        for number in range(faults):
            worker.until_ready()
            reached = until_counted([worker], stream, len(records) * (number + 1) // (faults + 2))
            assert reached < len(records), "the stream was over before the fault"
            begin = time.monotonic()
            assert 0 == worker.terminate(within=FORCED_SECONDS), worker.log()[-3000:]
            exits.append(time.monotonic() - begin)
            assert "Traceback" not in worker.log()
            worker.start()
        stream.finish()
        worker.until_ready()
        wrong = lost(records, [worker])
    assert max(exits) < (EXIT_SECONDS if size == "full" else FORCED_SECONDS)
    share = read_again(tmp_path / "worker") / len(records)
    assert share < 0.1
    outcome(
        number="3",
        name="SIGTERM in mid stream",
        events=len(records),
        faults=faults,
        lost=wrong,
        redelivered=share,
        told=f"exit 0 in {max(exits):.1f} s at most",
    )
