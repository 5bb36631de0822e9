"""A worker that makes no progress notices it by itself, says what stands still, and exits for a restart."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from monitor.broker import EmbeddedBroker
from tests.e2e import topics
from tests.e2e.events import decision, record
from tests.e2e.published import publish
from tests.faults.faulty import FaultyWorker

STALLED = 70
FORCED = 128 + signal.SIGTERM
WATCHDOG = {"watchdog.loop_seconds": 5, "watchdog.progress_seconds": 12}


def test_a_blocked_event_loop_ends_the_worker_for_a_restart(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    topics.create(embedded_broker)
    with FaultyWorker("block", embedded_broker.bootstrap, tmp_path, settings=WATCHDOG) as worker:
        worker.until_ready()
        worker.block()
        assert STALLED == worker.wait(within=90), worker.log()
        said = [event for event in worker.events() if event["level"] == "critical"]
    assert ("no progress: stopping for a restart", "the event loop") == (said[0]["event"], said[0]["what"])
    stacks = {event["thread"].split(" ")[0]: event["stack"] for event in said[1:]}
    assert "faulty_worker.py" in stacks["MainThread"]
    assert {"watchdog", "http"} <= set(stacks)


def test_a_batch_that_never_ends_ends_the_worker_for_a_restart_although_the_loop_is_alive(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    topics.create(embedded_broker)
    with FaultyWorker("hang", embedded_broker.bootstrap, tmp_path, settings=WATCHDOG) as worker:
        worker.until_ready()
        publish(embedded_broker.bootstrap, [record(decision(f"d-{number}")) for number in range(100)])
        assert STALLED == worker.wait(within=120), worker.log()
        said = [event for event in worker.events() if event["level"] == "critical"]
        stopped = [event for event in worker.events() if event["event"] == "stopped by a failure"]
    assert said[0]["what"].startswith("reading moderation.decisions[")
    assert 12 <= said[0]["seconds"] < 60
    assert ["Stalled"] == [event["kind"] for event in stopped]


def test_a_second_signal_ends_even_a_worker_whose_loop_is_blocked(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    topics.create(embedded_broker)
    with FaultyWorker("block", embedded_broker.bootstrap, tmp_path) as worker:
        worker.until_ready()
        worker.block()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.terminate(within=3)
        assert FORCED == worker.terminate(within=20), worker.log()
