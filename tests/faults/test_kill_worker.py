"""Workers are killed with `kill -9` in the middle of a batch, again and again, and nothing is lost or counts twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import topics
from tests.faults.conftest import Size
from tests.faults.kafka_nodes import one_node
from tests.faults.schedule import Fault, moments, run
from tests.faults.under_load import Load, under_load
from tests.faults.verdict import settle

pytestmark = pytest.mark.kafka

SEED = 11


@dataclass(frozen=True, kw_only=True)
class Plan(Load):
    """How much, how fast, and how many kills."""

    kills: int


ONE = {
    "small": Plan(decisions=16_000, minutes=20, seconds_per_minute=0.5, kills=2),
    "full": Plan(decisions=420_000, minutes=200, seconds_per_minute=1.5, kills=20),
}
TWO = {
    "small": Plan(decisions=16_000, minutes=20, seconds_per_minute=0.5, kills=2),
    "full": Plan(decisions=600_000, minutes=200, seconds_per_minute=3.75, kills=40),
}


def test_one_worker_killed_mid_batch_goes_on_exactly(tmp_path: Path, size: Size, outcome: Callable[..., None]) -> None:
    plan = ONE[size]
    rng = np.random.default_rng(SEED)
    first_commits: list[float] = []
    with one_node(tmp_path / "kafka") as kafka:
        topics.create(kafka, source=4, internal=2)
        with under_load(plan, kafka.bootstrap, tmp_path / "workers", seed=SEED, size=size) as (publisher, fleet):
            fleet.start("only")
            fleet.until_ready()

            def kill() -> None:
                fleet.kill("only")
                first_commits.append(fleet.until_committed("only"))

            publisher.start()
            faults = [Fault(at, kill) for at in moments(plan.kills, batches=plan.minutes, rng=rng)]
            run(faults, publisher, rng=rng, jitter_seconds=plan.seconds_per_minute)
            verdict = settle(fleet, kafka.bootstrap, publisher)
    assert plan.kills == len(first_commits)
    assert 0 == verdict.lost
    outcome(
        number="1",
        name="one worker, `kill -9` mid-batch",
        events=verdict.events,
        faults=plan.kills,
        lost=verdict.lost,
        redelivered=verdict.redelivered,
        stall_seconds=fleet.stall_seconds,
        told=f"restart to first commit at most {max(first_commits):.1f} s; {len(fleet.exits)} ended by themselves",
    )


def test_two_workers_killed_in_turn_take_over_from_each_other_exactly(
    tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    plan = TWO[size]
    rng = np.random.default_rng(SEED)
    with one_node(tmp_path / "kafka") as kafka:
        topics.create(kafka, source=4, internal=4)
        with under_load(plan, kafka.bootstrap, tmp_path / "workers", seed=SEED + 1, size=size) as (publisher, fleet):
            names = ("first", "second")
            for name in names:
                fleet.start(name)
            fleet.until_ready()
            publisher.start()
            every = plan.minutes // (plan.kills + 1)
            faults = [
                Fault((number + 1) * every, lambda name=names[number % 2]: fleet.kill(name))  # type: ignore[misc]
                for number in range(plan.kills)
            ]
            run(faults, publisher, rng=rng)
            verdict = settle(fleet, kafka.bootstrap, publisher)
    assert 0 == verdict.lost
    outcome(
        number="2",
        name=f"two workers, `kill -9` in turn every {every * plan.seconds_per_minute:.0f} s",
        events=verdict.events,
        faults=plan.kills,
        lost=verdict.lost,
        redelivered=verdict.redelivered,
        stall_seconds=fleet.stall_seconds,
        told=f"{len(fleet.exits)} ended by themselves",
    )
