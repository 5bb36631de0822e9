"""The workers of a fault test, and who looks after them.

A crew is looked at only. A fleet is looked after as an orchestrator does: a worker that exits is started again, with
the same disk.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from monitor import catalogue
from monitor.topics import BLOCKS
from tests.e2e.scrape import Scrape
from tests.e2e.worker_process import READY_SECONDS, WorkerProcess
from tests.faults.traffic import TOPICS, Publisher

LOOK_SECONDS: Final = 1.0
JOIN_SECONDS: Final = 30.0
"""A new worker owns partitions and is ready within this."""
FIRST_COMMIT_SECONDS: Final = 30.0
"""A worker that was killed commits again within this after its start."""
EXIT_SECONDS: Final = 10.0
"""A worker that gets SIGTERM ends within this."""


class Crew:
    """Workers by name, whose numbers count together. One that ends by itself is an error."""

    def __init__(self, workers: Mapping[str, WorkerProcess]) -> None:
        self.workers = dict(workers)

    def scrapes(self) -> list[Scrape]:
        """What all of them say now."""
        return [worker.scrape() for worker in self.workers.values()]

    def records(self) -> float:
        """Records of the source topics that those that can be asked say they have counted."""
        return sum(_records(worker) for worker in list(self.workers.values()) if worker.serves)

    def until(self, look: Callable[[], Any], *, what: str, within: float) -> Any:
        """The first truthy result; AssertionError with the ends of all logs when there is none in time."""
        deadline = time.monotonic() + within
        while not (found := self._look(look)):
            self.look_after()
            assert time.monotonic() < deadline, f"not within {within:g} s: {what}\n{self.logs()}"
            time.sleep(LOOK_SECONDS)
        return found

    def until_counted(self, goal: float, publisher: Publisher, *, within: float = 90.0) -> float:
        """Wait until they together have counted more records than that, while they are being published; how many."""

        def reached() -> float:
            publisher.check()
            found = self.records()
            return found if found > goal else 0.0

        return float(self.until(reached, what=f"more than {goal:g} records are counted", within=within))

    def look_after(self) -> None:
        """AssertionError when one has ended."""
        assert all(worker.running for worker in self.workers.values()), self.logs()

    def logs(self) -> str:
        """The ends of the logs of all workers."""
        return "\n".join(f"--- {name}\n{worker.log()[-3000:]}" for name, worker in self.workers.items())

    @staticmethod
    def _look(look: Callable[[], Any]) -> Any:
        try:
            return look()
        except httpx.HTTPError:
            return None


def _records(worker: WorkerProcess) -> float:
    try:
        scrape = worker.scrape().only(catalogue.RECORDS)
    except (httpx.HTTPError, AssertionError):
        return 0.0  # it has just ended
    return sum(scrape.total(catalogue.RECORDS, topic=topic) for topic in TOPICS)


class Fleet(Crew):
    """A crew that is looked after; a context manager that kills them all.

    `acknowledged` says how many records Kafka has taken from the publisher: while the workers together have counted
    fewer, the time without progress is a stall. `patience` stretches the deadlines of the operations checklist where
    other programs share the machine.
    """

    def __init__(
        self,
        bootstrap: str,
        directory: Path,
        *,
        settings: Mapping[str, object] | None = None,
        acknowledged: Callable[[], int] = lambda: 0,
        patience: float = 1.0,
    ) -> None:
        super().__init__({})
        self.exits: list[tuple[str, int]] = []
        """workers that ended by themselves, with their exit codes"""
        self.stall_seconds = 0.0
        """longest time in which records waited and the workers together counted none"""
        self.counted = 0.0
        """records of the source topics that the workers together have counted, at most"""
        self.acknowledged = acknowledged
        self._patience = patience
        self._bootstrap = bootstrap
        self._directory = directory
        self._settings = dict(settings or {})
        self._moved = time.monotonic()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="fleet", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watcher.join()
        for worker in self.workers.values():
            worker.__exit__(None, None, None)

    # What is done to the workers.

    def start(self, name: str) -> WorkerProcess:
        """Start a worker, a new one or one that was stopped."""
        with self._lock:
            worker = self.workers.get(name)
            if worker is None:
                settings = {"http.host": "127.0.0.1"} | self._settings
                worker = WorkerProcess(self._bootstrap, self._directory / name, settings=settings)
                self.workers[name] = worker
            return worker.start()

    def kill(self, name: str, *, lose_disk: bool = False) -> None:
        """`kill -9`, then start it again; with an empty disk if it is to be lost."""
        with self._lock:
            worker = self.workers[name]
            worker.kill()
            if lose_disk:
                shutil.rmtree(worker.directory / "state", ignore_errors=True)
            worker.start()

    def stop(self, name: str) -> float:
        """SIGTERM; seconds until it has ended. AssertionError unless it exits with 0 in time."""
        with self._lock:  # the watcher would start it again
            worker = self.workers.pop(name)
            begin = time.monotonic()
            code = worker.terminate(within=EXIT_SECONDS * self._patience)
            took = time.monotonic() - begin
            assert 0 == code, worker.log()[-4000:]
            worker.__exit__(None, None, None)
            return took

    # What they say.

    def look_after(self) -> None:
        """The watcher does."""

    def until_ready(self, *, within: float = READY_SECONDS) -> None:
        """Wait until every worker says that it is ready."""
        for worker in list(self.workers.values()):
            worker.until_ready(within=within)

    def until_owning(self, name: str) -> float:
        """Seconds until a worker owns partitions and is ready. AssertionError when it takes too long."""
        worker = self.workers[name]
        begin = time.monotonic()

        def owns() -> bool:
            if not worker.serves or worker.get("/readyz").status_code != 200:
                return False
            owned = worker.scrape().only(catalogue.PARTITIONS)
            return owned.total(catalogue.PARTITIONS, topic=BLOCKS) > 0

        worker.until(owns, what=f"{name} owns partitions", within=JOIN_SECONDS * self._patience)
        return time.monotonic() - begin

    def until_committed(self, name: str) -> float:
        """Seconds until Kafka has acknowledged a commit of a worker that was just started."""
        worker = self.workers[name]
        begin = time.monotonic()

        def committed() -> bool:
            return worker.serves and bool(worker.scrape().only(catalogue.LAST_COMMIT).total(catalogue.LAST_COMMIT))

        within = FIRST_COMMIT_SECONDS * self._patience
        worker.until(committed, what=f"the first commit of {name}", within=within)
        return time.monotonic() - begin

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with self._lock:
                for name, worker in self.workers.items():
                    if not worker.running:
                        self.exits.append((name, worker.wait(within=1)))
                        worker.start()
            self._note(self.records())

    def _note(self, total: float) -> None:
        now = time.monotonic()
        if total > self.counted:
            self.stall_seconds = max(self.stall_seconds, now - self._moved)
            self.counted, self._moved = total, now
        elif self.acknowledged() <= self.counted:
            self._moved = now
