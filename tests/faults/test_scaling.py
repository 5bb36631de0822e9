"""Workers are added and removed under load: 1, 2, 3 and back to 1, and nothing counts twice in the sum over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import topics
from tests.faults.conftest import Size
from tests.faults.kafka_nodes import one_node
from tests.faults.schedule import Fault, run
from tests.faults.under_load import Load, under_load
from tests.faults.verdict import settle

pytestmark = pytest.mark.kafka

SEED = 41


@dataclass(frozen=True, kw_only=True)
class Plan(Load):
    """How much, how fast, how many steps of scaling, and how many batches lie between two."""

    steps: int
    every: int


PLANS = {
    "small": Plan(decisions=16_000, minutes=20, seconds_per_minute=0.5, steps=3, every=5),
    "full": Plan(decisions=600_000, minutes=210, seconds_per_minute=3.0, steps=20, every=10),
}


def test_workers_come_and_go_under_load(tmp_path: Path, size: Size, outcome: Callable[..., None]) -> None:
    plan = PLANS[size]
    joined: list[float] = []
    left: list[float] = []
    with one_node(tmp_path / "kafka") as kafka:
        topics.create(kafka, source=4, internal=4)
        with under_load(plan, kafka.bootstrap, tmp_path / "workers", seed=SEED, size=size) as (publisher, fleet):

            def add(name: str) -> None:
                fleet.start(name)
                joined.append(fleet.until_owning(name))

            def remove() -> None:
                left.extend(fleet.stop(name) for name in ("second", "third") if name in fleet.workers)

            fleet.start("first")
            fleet.until_ready()
            publisher.start()
            steps = (lambda: add("second"), lambda: add("third"), remove)
            faults = [Fault((number + 1) * plan.every, steps[number % 3]) for number in range(plan.steps)]
            run(faults, publisher, rng=np.random.default_rng(SEED))
            verdict = settle(fleet, kafka.bootstrap, publisher)
    assert 0 == verdict.lost
    outcome(
        number="4",
        name="scaling 1, 2, 3, 1 under load",
        events=verdict.events,
        faults=plan.steps,
        lost=verdict.lost,
        redelivered=verdict.redelivered,
        stall_seconds=fleet.stall_seconds,
        told=f"joined within {max(joined):.1f} s, left within {max(left):.1f} s;"
        f" {len(fleet.exits)} ended by themselves",
    )
