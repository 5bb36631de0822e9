"""Everything at once: workers and brokers are killed, a worker comes and goes, and every number is exactly right.

The counters are compared with a recount of the topics that shares no code with the service, the ledgers with a batch
recomputation from the topics, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import topics
from tests.e2e.independent_count import DECISIONS, REVIEWS
from tests.faults.conftest import Size
from tests.faults.fleet import Fleet
from tests.faults.kafka_nodes import three_nodes
from tests.faults.ledgers import Batch, from_checkpoints, integers, last_minute, state_of, unlike
from tests.faults.schedule import Fault, moments, run
from tests.faults.traffic import Publisher
from tests.faults.under_load import Load, under_load
from tests.faults.verdict import settle
from tests.kafka_cluster import KafkaCluster

pytestmark = pytest.mark.kafka

INTERNAL = 4
SEED = 71


@dataclass(frozen=True, kw_only=True)
class Plan(Load):
    """How much, how fast, and how many kills of workers."""

    kills: int


PLANS = {
    "small": Plan(decisions=30_000, minutes=24, seconds_per_minute=0.5, kills=2),
    "full": Plan(decisions=2_050_000, minutes=240, seconds_per_minute=1.6, kills=20),
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[KafkaCluster]:
    with three_nodes(tmp_path / "kafka") as cluster:
        yield cluster


class Disaster:
    """What happens to workers and brokers, drawn from a seed."""

    def __init__(self, plan: Plan, cluster: KafkaCluster, fleet: Fleet, publisher: Publisher) -> None:
        self.rng = np.random.default_rng(SEED)
        self.joined_after = 0.0
        self.left_after = 0.0
        self._cluster = cluster
        self._fleet = fleet
        self._publisher = publisher
        self._kills = 0
        self.faults = [
            *(Fault(at, self.kill_worker) for at in moments(plan.kills, batches=plan.minutes, rng=self.rng)),
            Fault(round(0.25 * plan.minutes), self.add_worker),
            Fault(round(0.4 * plan.minutes), self.restart_broker),
            Fault(round(0.6 * plan.minutes), self.remove_worker),
            Fault(round(0.75 * plan.minutes), self.lose_broker),
        ]

    def kill_worker(self) -> None:
        """One at random; every fifth loses its disk as well."""
        self._kills += 1
        name = str(self.rng.choice(sorted(self._fleet.workers)))
        self._fleet.kill(name, lose_disk=self._kills % 5 == 0)

    def add_worker(self) -> None:
        self._fleet.start("third")
        self.joined_after = self._fleet.until_owning("third")

    def remove_worker(self) -> None:
        self._fleet.workers["third"].until_ready(within=60)
        self.left_after = self._fleet.stop("third")

    def restart_broker(self) -> None:
        node = self._cluster.nodes[int(self.rng.integers(1, 4))]
        before = self._publisher.acknowledged
        node.kill()
        self._publisher.until(
            lambda: self._publisher.acknowledged > before + 1000 or self._publisher.position >= self._publisher.limit,
            what="the two brokers that are left take records",
        )
        node.launch()

    def lose_broker(self) -> None:
        """Once the other one is back: with two of three gone nothing can be written."""
        for node in self._cluster.nodes.values():
            node.wait(60)
        self._cluster.until_in_sync()
        self._cluster.nodes[int(self.rng.integers(1, 4))].kill()


def test_every_number_is_right_after_any_crash(
    cluster: KafkaCluster, tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    plan = PLANS[size]
    topics.create(cluster, source=4, internal=INTERNAL)
    with under_load(plan, cluster.bootstrap, tmp_path / "workers", seed=SEED, size=size) as (publisher, fleet):
        fleet.start("first")
        fleet.start("second")
        fleet.until_ready(within=60)
        publisher.start()
        disaster = Disaster(plan, cluster, fleet, publisher)
        run(disaster.faults, publisher, rng=disaster.rng, jitter_seconds=2 * plan.seconds_per_minute)
        verdict = settle(fleet, cluster.bootstrap, publisher)
        assert verdict.count.decisions
        assert verdict.count.records[DECISIONS,] > plan.decisions * 0.98
        assert verdict.count.joined > verdict.count.records[REVIEWS,] / 4
        for name in sorted(fleet.workers):
            fleet.stop(name)
    evaluators, blocks = from_checkpoints(cluster.bootstrap, partitions=INTERNAL)
    batch = Batch()
    batch.read(cluster.bootstrap)
    minute = max(last_minute(evaluators), last_minute([batch.evaluator]))
    expected = state_of([batch.evaluator], minute=minute)
    actual = state_of(evaluators, minute=minute)
    assert [] == unlike(expected, actual)[:20]
    assert 0 == verdict.lost
    outcome(
        number="exact",
        name=f"{plan.kills} worker kills, a worker comes and goes, a broker restarts, one of three is lost",
        events=verdict.events,
        faults=len(disaster.faults),
        lost=verdict.lost,
        redelivered=verdict.redelivered,
        stall_seconds=fleet.stall_seconds,
        told=f"{integers(expected):,} integers of the ledgers equal a batch recomputation ({blocks} blocks behind the"
        f" checkpoint); {len(fleet.exits)} workers ended by themselves; joined after {disaster.joined_after:.1f} s,"
        f" left after {disaster.left_after:.1f} s",
    )
