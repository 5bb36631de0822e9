"""A bad network between workers and brokers: delay, loss as TCP shows it, and a group whose coordinator is cut off.

Workers reach each broker through a proxy; the test itself, and the brokers among each other, do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.e2e import topics
from tests.faults.conftest import PATIENCE, Size
from tests.faults.kafka_nodes import three_nodes
from tests.faults.proxy import FAIR, Proxy, Weather
from tests.faults.under_load import Load, under_load
from tests.faults.verdict import settle
from tests.kafka_cluster import KafkaCluster

pytestmark = pytest.mark.kafka

SEED: Final = 25
LISTENER: Final = "PROXIED"
GROUP: Final = "moderation-monitor"
SESSION_SECONDS: Final = 10.0
CUT_SECONDS: Final = 1.5 * SESSION_SECONDS
"""Long enough for the group to give up on its members."""


@dataclass(frozen=True, kw_only=True)
class Plan(Load):
    """How much, how fast, and for how many batches the network is bad."""

    bad: int


PLANS: Final = {
    "small": Plan(decisions=12_000, minutes=20, seconds_per_minute=0.5, bad=8),
    "full": Plan(decisions=400_000, minutes=240, seconds_per_minute=1.0, bad=60),
}
WEATHERS: Final = {
    "delay": ("200 ms delay each way", Weather(delay_seconds=0.2)),
    "loss": (
        "30 % loss, played as retransmission stalls, and resets of one chunk in 200",
        Weather(loss=0.3, reset=0.005),
    ),
    "coordinator": ("the group's coordinator is cut off", Weather(cut=True)),
}


@contextmanager
def proxied(directory: Path) -> Iterator[tuple[KafkaCluster, dict[int, Proxy]]]:
    """Three nodes, and the proxies that lead to them."""
    proxies = {node: Proxy(seed=SEED + node) for node in (1, 2, 3)}
    try:
        for proxy in proxies.values():
            proxy.begin()
        advertised = {node: {LISTENER: proxy.address} for node, proxy in proxies.items()}
        with three_nodes(directory, listeners={LISTENER: "PLAINTEXT"}, advertised=advertised) as cluster:
            for node, proxy in proxies.items():
                proxy.relay_to(cluster.nodes[node].address(LISTENER))
            yield cluster, proxies
    finally:
        for proxy in proxies.values():
            proxy.end()


@pytest.mark.parametrize("weather", WEATHERS)
def test_workers_recover_from_a_bad_network(
    weather: str, tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    plan = PLANS[size]
    name, bad = WEATHERS[weather]
    with proxied(tmp_path / "kafka") as (cluster, proxies):
        topics.create(cluster, source=4, internal=4)
        with under_load(
            plan,
            cluster.bootstrap,
            tmp_path / "workers",
            seed=SEED,
            size=size,
            reached_at=",".join(proxy.address for proxy in proxies.values()),
            settings={"kafka.session_timeout_seconds": SESSION_SECONDS},
        ) as (publisher, fleet):
            fleet.start("first")
            fleet.start("second")
            fleet.until_ready(within=60)
            publisher.start()
            publisher.limit = plan.minutes
            publisher.until_published(plan.minutes // 4)
            begin = time.monotonic()
            hit = [cluster.coordinator(GROUP)] if bad.cut else list(proxies)
            for node in hit:
                proxies[node].weather = bad
            publisher.until(
                lambda: (
                    publisher.position >= plan.minutes // 4 + plan.bad
                    and time.monotonic() - begin > (CUT_SECONDS if bad.cut else 0.0)
                ),
                what="the network was bad for long enough",
            )
            for proxy in proxies.values():
                proxy.weather = FAIR
            before = fleet.counted
            healed = time.monotonic()
            fleet.until(
                lambda: fleet.counted > before or fleet.counted >= publisher.acknowledged,
                what="the workers count again",
                within=2 * SESSION_SECONDS * PATIENCE[size],
            )
            recovered = time.monotonic() - healed
            publisher.finish()
            verdict = settle(fleet, cluster.bootstrap, publisher)
    resets, stalls = (sum(getattr(proxy, what) for proxy in proxies.values()) for what in ("resets", "stalls"))
    assert 0 == verdict.lost
    outcome(
        number="25",
        name=name,
        events=verdict.events,
        faults=1,
        lost=verdict.lost,
        redelivered=verdict.redelivered,
        stall_seconds=fleet.stall_seconds,
        told=f"counting again {recovered:.1f} s after the network was mended (session timeout {SESSION_SECONDS:g} s);"
        f" {resets} connections reset, {stalls} stalls; {len(fleet.exits)} workers ended by themselves",
    )
