"""The end of a fault test: the workers together say what an independent count of the published records says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from monitor import catalogue
from monitor.simulate import demo
from tests.e2e.accounts import apart
from tests.e2e.independent_count import count
from tests.e2e.published import Published, counts_by_topic, simulated
from tests.e2e.scrape import Scrape
from tests.e2e.test_ownership import START_MS
from tests.e2e.worker_process import POLL_SECONDS, WorkerProcess
from tests.faults.stream import Stream

SETTLE_SECONDS = 90.0


def traffic(*, minutes: int, per_minute: int = 1000, seed: int = 11) -> list[Published]:
    """Simulated decisions with feedback, an incident early on."""
    return simulated(
        demo(decisions_per_minute=per_minute, incident_minute=5), seed=seed, start_ms=START_MS, minutes=minutes
    )


def counted(workers: Iterable[WorkerProcess]) -> float:
    """Source records that the workers have counted, all topics together."""
    return sum(_records(worker.scrape()) for worker in workers if worker.running)


def _records(scrape: Scrape) -> float:
    found = scrape.only(catalogue.RECORDS)
    return sum(found.total(catalogue.RECORDS, topic=topic) for topic in counts_by_topic(()))


def until_counted(workers: Sequence[WorkerProcess], stream: Stream, goal: int, *, within: float = 90.0) -> float:
    """Wait until the workers together have counted so many records, while they are being published; how many."""

    def reached() -> float:
        stream.check()
        found = counted(workers)
        return found if found > goal else 0.0

    return float(workers[0].until(reached, what=f"{goal} records are counted", within=within))


def lost(records: Sequence[Published], workers: Sequence[WorkerProcess], *, within: float = SETTLE_SECONDS) -> int:
    """0 once every counter, summed over the workers, equals the count; AssertionError when they do not in time."""
    expected = count(records, refused={})
    deadline = time.monotonic() + within
    while wrong := apart(expected, [worker.scrape() for worker in workers]):
        assert all(worker.running for worker in workers), workers[0].log()[-3000:]
        assert time.monotonic() < deadline, wrong[:20]
        time.sleep(POLL_SECONDS)
    return len(wrong)


def read_again(directory: Path) -> int:
    """Records that the runs of a worker had processed and left uncommitted when they stopped, by their logs."""
    logs = sorted(directory.glob("worker-*.log"))
    return sum(int(found) for log in logs for found in re.findall(r'"read_again": (\d+)', log.read_text()))
