"""`size` (small in CI, full in `make faults`) and `outcome`, which notes what a test saw for the report.

`FAULTS=full` asks for the full size, `FAULTS_REPORT=path` for the report.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.faults.outcome import Outcome, write_report

Size = Literal["small", "full"]

PATIENCE: Mapping[Size, float] = {"small": 4.0, "full": 1.0}
"""By what the deadlines of the operations checklist are stretched: CI shares its machine with others."""

OUTCOMES = pytest.StashKey[list[Outcome]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    report = os.environ.get("FAULTS_REPORT")
    found = session.config.stash[OUTCOMES]
    if report and found:
        write_report(found, Path(report), size=_size(), versions="Apache Kafka 4.1.2")


@pytest.fixture(scope="session")
def size() -> Size:
    return _size()


def _size() -> Size:
    told = os.environ.get("FAULTS", "small")
    if told not in {"small", "full"}:
        pytest.fail(f"environment FAULTS: expected small or full, got {told!r}")
    return "full" if told == "full" else "small"


@pytest.fixture
def outcome(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Call it with the fields of `Outcome` when all assertions of the test have passed."""
    begun = time.monotonic()

    def note(**fields: Any) -> None:
        measured: dict[str, Any] = {"seconds": time.monotonic() - begun, "on": datetime.now(UTC).date().isoformat()}
        request.config.stash[OUTCOMES].append(Outcome(**(measured | fields)))

    return note
