"""Simulated traffic that is published at an even pace, and the workers that read it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.conftest import PATIENCE, Size
from tests.faults.fleet import Fleet
from tests.faults.traffic import Publisher, simulated_minutes


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much, and how fast: a batch holds the events of a simulated minute."""

    decisions: int
    minutes: int
    seconds_per_minute: float


@contextmanager
def under_load(
    load: Load,
    bootstrap: str,
    directory: Path,
    *,
    seed: int,
    size: Size,
    reached_at: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> Iterator[tuple[Publisher, Fleet]]:
    """A publisher that has not started yet, and a fleet without workers; `reached_at` is where workers find Kafka."""
    batches = simulated_minutes(decisions=load.decisions, minutes=load.minutes, seed=seed)
    with (
        Publisher(bootstrap, batches, seconds_per_batch=load.seconds_per_minute) as publisher,
        Fleet(
            reached_at or bootstrap,
            directory,
            settings=settings,
            acknowledged=lambda: publisher.acknowledged,
            patience=PATIENCE[size],
        ) as fleet,
    ):
        yield publisher, fleet
