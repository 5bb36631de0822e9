"""A worker process as it runs in production, watched from a test: its logs, its metrics, its exit.

It listens on a port of its own choice and says which in its log; everything it writes stays in one directory.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from monitor.catalogue import LAG, RECORDS
from tests.e2e.scrape import Scrape

POLL_SECONDS: Final = 0.1
# Deadlines end a test that hangs: none of them says how fast a worker is, and machines that build share their cores.
READY_SECONDS: Final = 120.0
COUNTED_SECONDS: Final = 180.0
EXIT_SECONDS: Final = 30.0
QUIET_SECONDS: Final = 5.0
"""An open block that hardly grows is published at the fifth attempt, of which `QUICK` makes two a second; what it says
is in the next snapshot."""

COMMAND: Final = (sys.executable, "-m", "monitor.cli", "worker")

QUICK: Final[Mapping[str, object]] = {
    "kafka.session_timeout_seconds": 6,
    "kafka.commit_interval_seconds": 0.5,
    "blocks.publish_interval_seconds": 0.5,
    "state.checkpoint_interval_seconds": 1,
    "http.host": "127.0.0.1",
    "http.port": 0,
}
"""Settings that make a worker answer within a test's patience; they change no number."""


BYTECODE: Final = Path(tempfile.gettempdir()) / "moderation-monitor-bytecode"


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Variables for settings named `section.key`, on top of the environment without any MONITOR_ variable.

    Bytecode is kept, as in the container: where it is not, each start compiles all libraries for seconds.
    """
    left_out = ("MONITOR_", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    inherited["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
    own = {f"MONITOR_{name.upper().replace('.', '__')}": _as_yaml(value) for name, value in settings.items()}
    return inherited | own


def _as_yaml(value: object) -> str:
    return str(value) if isinstance(value, str | Path) else json.dumps(value)


class WorkerProcess:
    """One `moderation-monitor worker`; a context manager that kills what is still running.

    `settings` are named `section.key` and go on top of `QUICK`; what does not fit a variable goes into a file of
    `config`.
    """

    def __init__(
        self,
        bootstrap: str,
        directory: Path,
        *,
        settings: Mapping[str, object] | None = None,
        config: Path | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._settings = {
            **QUICK,
            "kafka.bootstrap_servers": bootstrap,
            "state.directory": directory / "state",
            **(settings or {}),
        }
        self._command = [*COMMAND, *(() if config is None else ("--config", str(config)))]
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "worker.log"
        self._port: int | None = None
        self._client = httpx.Client(timeout=10.0, headers={"Accept-Encoding": "identity"})

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._client.close()

    # Its life.

    def start(self) -> Self:
        """Run it, without waiting for anything."""
        self._starts += 1
        self._port = None
        self._log = self.directory / f"worker-{self._starts}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=environment(self._settings), cwd=self.directory, stdout=log, stderr=log
            )
        return self

    def kill(self) -> None:
        """`kill -9`, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self, *, within: float = EXIT_SECONDS) -> int:
        """SIGTERM; the exit code, or `TimeoutExpired`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self.wait(within=within)

    def wait(self, *, within: float) -> int:
        """The exit code once it has ended by itself, or `TimeoutExpired`."""
        assert self._process is not None
        return self._process.wait(within)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    # What it says.

    def log(self) -> str:
        """All that this run has written to standard output and error."""
        return self._log.read_text(errors="replace")

    def events(self) -> list[dict[str, Any]]:
        """The lines of the log that are JSON objects."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    @property
    def serves(self) -> bool:
        """Whether it has said where it serves, so that `url` need not wait."""
        return self._port is not None or self._serving() is not None

    @property
    def url(self) -> str:
        """Address of its server; waits until it says which."""
        if self._port is None:
            self._port = self.until(self._serving, what="the worker says where it serves")
        return f"http://127.0.0.1:{self._port}"

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer to GET."""
        return self._client.get(f"{self.url}{path}", **options)

    def scrape(self) -> Scrape:
        """What `/metrics` says now."""
        answer = self.get("/metrics", headers={"Accept": "text/plain;version=0.0.4"})
        assert 200 == answer.status_code
        return Scrape(answer.text)

    def until(self, look: Callable[[], Any], *, what: str, within: float = READY_SECONDS, ended: bool = False) -> Any:
        """The first truthy result; AssertionError with the end of the log when there is none in time.

        A worker that ends meanwhile is an error too, unless `ended`.
        """
        deadline = time.monotonic() + within
        while not (found := self._look(look)):
            assert ended or self.running, f"waiting for: {what}; the worker has ended:\n{self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"not within {within:g} s: {what}\n{self.log()[-4000:]}"
            time.sleep(POLL_SECONDS)
        return found

    def until_ready(self, *, within: float = READY_SECONDS) -> Self:
        """Wait until `/readyz` says so."""
        self.until(lambda: self.get("/readyz").status_code == 200, what="/readyz is 200", within=within)
        return self

    def until_counted(self, records: Mapping[str, int], *, within: float = COUNTED_SECONDS) -> Scrape:
        """The first scrape in which `monitor_records_total` of each topic has reached these numbers."""

        def reached() -> Scrape | None:
            scrape = self.scrape()
            read = scrape.only(RECORDS)  # the whole text takes seconds to parse when there are many series
            return (
                scrape if all(read.total(RECORDS, topic=topic) >= wanted for topic, wanted in records.items()) else None
            )

        return self.until(reached, what=f"records {dict(records)} in /metrics", within=within)

    def until_quiet(self, *, within: float = COUNTED_SECONDS) -> Scrape:
        """A scrape without lag, after `QUIET_SECONDS` in which what it says of the models did not change."""
        before = ""
        since = time.monotonic()

        def settled() -> Scrape | None:
            nonlocal before, since
            scrape = self.scrape()
            told = "\n".join(line for line in scrape.text.splitlines() if line.startswith("moderation_"))
            lag = [value for _, value in scrape.only(LAG).matching(LAG.name)]
            if told != before or not lag or any(lag):
                before, since = told, time.monotonic()
            return scrape if time.monotonic() - since > QUIET_SECONDS else None

        return self.until(settled, what="no lag and nothing moves", within=within)

    def _serving(self) -> int | None:
        ports = re.findall(r'"port": (\d+)', self.log())
        return int(ports[0]) if ports else None

    @staticmethod
    def _look(look: Callable[[], Any]) -> Any:
        try:
            return look()
        except httpx.TransportError:
            return None
