"""Two workers that share the partitions of a group: whether both are at work."""

from __future__ import annotations

from typing import Final

from monitor import catalogue
from monitor.topics import BLOCKS
from tests.e2e.events import DECISIONS
from tests.e2e.worker_process import WorkerProcess

SHARED_SECONDS: Final = 120.0


def until_shared(first: WorkerProcess, second: WorkerProcess) -> set[float]:
    """Wait until both are ready and own partitions; the numbers of partitions of the blocks topic."""
    found: set[float] = second.until(
        lambda: shared(first, second), what="both workers own partitions", within=SHARED_SECONDS
    )
    return found


def shared(first: WorkerProcess, second: WorkerProcess) -> set[float] | None:
    """The numbers of partitions of the blocks topic once both are ready and own some."""
    scrapes = [worker.scrape().only(catalogue.PARTITIONS) for worker in (first, second)]
    ready = [worker.get("/readyz").status_code == 200 for worker in (first, second)]
    owned = [scrape.total(catalogue.PARTITIONS, topic=BLOCKS) for scrape in scrapes]
    sources = [scrape.total(catalogue.PARTITIONS, topic=DECISIONS) for scrape in scrapes]
    return set(owned) if all(ready) and all(owned) and all(sources) and sum(owned) == 4 else None
