"""A worker process with a fault inside it: see `faulty_worker.py`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.worker_process import WorkerProcess

BLOCKED = Path("blocked")
"""A file in the worker's directory: the fault `block` has begun."""

PROGRAM = Path(__file__).with_name("faulty_worker.py")


class FaultyWorker(WorkerProcess):
    """Runs `faulty_worker.py` instead of the command line."""

    def __init__(
        self, fault: str, bootstrap: str, directory: Path, *, settings: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(bootstrap, directory, settings=settings)
        self._command = [sys.executable, str(PROGRAM), fault, "worker"]

    def block(self) -> None:
        """Block its event loop for ever (fault `block`); returns when it stands still."""
        os.kill(self.pid, signal.SIGUSR1)
        self.until((self.directory / BLOCKED).exists, what="the loop is blocked")
