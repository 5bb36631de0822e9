"""Producers publish everything several times: copies within the horizon count once, copies beyond it count again.

The horizon is a number of blocks, so what has to come out follows from offsets alone, and a `kill -9` in the middle
changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer

from monitor import catalogue
from tests.e2e import topics
from tests.e2e.events import NOON_MS, decision, iso, review
from tests.e2e.independent_count import APPEALS, DECISIONS, REPORTS, REVIEWS
from tests.e2e.scrape import Scrape
from tests.faults.conftest import PATIENCE, Size
from tests.faults.fleet import Fleet
from tests.faults.kafka_nodes import one_node

pytestmark = pytest.mark.kafka

PARTITIONS = 2
HORIZON = 4


@dataclass(frozen=True)
class Plan:
    """Size of blocks, and distinct decisions; a hundredth of them are published again beyond the horizon."""

    block: int
    decisions: int


PLANS = {"small": Plan(block=256, decisions=3_000), "full": Plan(block=4096, decisions=400_000)}
MOST_GROWTH_MB = 64.0
"""of the process between the first block and the last: ids of the horizon, and nothing that grows with the log"""


class Copy(NamedTuple):
    """One record, and where it goes."""

    topic: str
    partition: int
    identity: str
    event: Mapping[str, Any]


@dataclass
class Expected:
    """The documented rule: block k drops ids that were seen in blocks k - horizon to k of the same partition."""

    block: int
    counted: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    _offsets: Counter[tuple[str, int]] = field(default_factory=Counter)
    _seen: dict[tuple[str, int, str], int] = field(default_factory=dict)

    def take(self, copy: Copy) -> None:
        at = self._offsets[copy.topic, copy.partition] // self.block
        self._offsets[copy.topic, copy.partition] += 1
        place = (copy.topic, copy.partition, copy.identity)
        known = place in self._seen and at - self._seen[place] <= HORIZON
        self._seen[place] = at
        self.records[copy.topic] += 1
        (self.duplicates if known else self.counted)[copy.topic] += 1


def decisions(names: Iterator[str] | list[str], *, partition: int | None = None) -> Iterator[Copy]:
    """A decision of each name, in the partition of its number unless another is told."""
    for number, name in enumerate(names):
        at = number % PARTITIONS if partition is None else partition
        yield Copy(DECISIONS, at, name, decision(name, action="remove" if number % 8 == 0 else "allow"))


def interleaved(plan: Plan) -> Iterator[Copy]:
    """Each decision three times: the second copy follows at once, the third two blocks later."""
    behind: list[Copy] = []
    for copy in decisions([f"d-{number}" for number in range(plan.decisions)]):
        yield copy
        yield copy
        behind.append(copy)
        if len(behind) > PARTITIONS * plan.block * 2 // 3:  # two blocks hold three copies of so many
            yield behind.pop(0)
    yield from behind


def feedback(plan: Plan, *, context: bool) -> Iterator[Copy]:
    """Reviews, appeal stages and reports of every eighth decision, each twice in a row."""
    for number in range(0, plan.decisions, 32):
        name, kind = f"d-{number}", "with" if context else "without"
        about = decision(name, action="remove")
        partition = number // 32 % PARTITIONS
        carried = {key: value for key, value in about.items() if key != "decision_id"}
        told = {"decision": carried} if context else {}
        common = {"decision_id": name, "at": iso(NOON_MS), **told}
        given = review(f"r-{kind}-{number}", about, at_ms=NOON_MS)
        if not context:
            del given["decision"]
        appeal = f"a-{kind}-{number}"
        report = f"p-{kind}-{number}"
        for _ in range(2):
            yield Copy(REVIEWS, partition, given["review_id"], given)
            for stage in ("filed", "upheld"):
                yield Copy(APPEALS, partition, f"{appeal} {stage}", {"appeal_id": appeal, "stage": stage, **common})
            yield Copy(REPORTS, partition, report, {"report_id": report, "reason": "spam", **common})


def publish(bootstrap: str, copies: Iterator[Copy], expected: Expected) -> None:
    """Publish in order, each record to its partition, and let the rule be told of each."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5})
    for number, copy in enumerate(copies):
        expected.take(copy)
        producer.produce(copy.topic, json.dumps(copy.event).encode(), partition=copy.partition, timestamp=NOON_MS)
        if number % 1000 == 0:
            producer.flush(30)
    assert 0 == producer.flush(60)


def resident_mb(pid: int) -> float:
    """Memory of a process that is in RAM."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def until_counted(fleet: Fleet, expected: Expected, *, within: float = 300.0) -> Scrape:
    """The worker's scrape once it has counted all records and says what is expected."""
    apart: list[str] = []

    def agreed() -> Scrape | None:
        (scrape,) = fleet.scrapes()
        apart[:] = wrong(scrape, expected)
        return None if apart else scrape

    try:
        found: Scrape = fleet.until(agreed, what="the documented numbers", within=within)
    except AssertionError as error:
        raise AssertionError("\n".join(apart)) from error
    return found


COUNTED = {
    DECISIONS: catalogue.DECISIONS,
    REVIEWS: catalogue.REVIEWS,
    APPEALS: catalogue.APPEALS,
    REPORTS: catalogue.REPORTS,
}


def wrong(scrape: Scrape, expected: Expected) -> list[str]:
    """What the worker says otherwise than the rule."""
    told = {
        f"{topic} {what}": (wanted, got)
        for topic, metric in COUNTED.items()
        for what, wanted, got in (
            ("records", expected.records[topic], scrape.total(catalogue.RECORDS, topic=topic)),
            ("counted", expected.counted[topic], scrape.total(metric, segment="all")),
            ("duplicates", expected.duplicates[topic], scrape.total(catalogue.DUPLICATES, topic=topic)),
        )
    }
    return [f"{name}: expected {wanted}, got {got}" for name, (wanted, got) in told.items() if wanted != got]


def test_copies_count_once_within_the_horizon_and_again_beyond_it(
    tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    plan = PLANS[size]
    settings = {"blocks.size": plan.block, "blocks.horizon": HORIZON}
    expected = Expected(plan.block)
    with one_node(tmp_path / "kafka") as kafka:
        topics.create(kafka, source=PARTITIONS, internal=2)
        with Fleet(kafka.bootstrap, tmp_path / "workers", settings=settings, patience=PATIENCE[size]) as fleet:
            worker = fleet.start("only")
            fleet.until_ready()
            three = interleaved(plan)
            publish(kafka.bootstrap, (next(three) for _ in range(plan.decisions)), expected)
            fleet.until(lambda: fleet.counted > plan.decisions // 4, what="the worker is at work", within=120)
            fleet.kill("only")
            publish(kafka.bootstrap, (next(three) for _ in range(plan.block * PARTITIONS)), expected)
            until_counted(fleet, expected)
            first_mb = resident_mb(worker.pid)
            publish(kafka.bootstrap, three, expected)
            until_counted(fleet, expected)
            assert plan.decisions == expected.counted[DECISIONS]
            assert 2 * plan.decisions == expected.duplicates[DECISIONS]
            beyond = [f"d-{number}" for number in range(plan.decisions // 100)]
            publish(kafka.bootstrap, decisions(beyond), expected)
            both = [f"both-{number}" for number in range(plan.decisions // 100)]
            for partition in range(PARTITIONS):
                publish(kafka.bootstrap, decisions(both, partition=partition), expected)
            until_counted(fleet, expected)
            assert plan.decisions + len(beyond) + PARTITIONS * len(both) == expected.counted[DECISIONS]
            assert 2 * plan.decisions == expected.duplicates[DECISIONS]
            grown_mb = resident_mb(worker.pid) - first_mb
            publish(kafka.bootstrap, feedback(plan, context=True), expected)
            publish(kafka.bootstrap, feedback(plan, context=False), expected)
            fleet.kill("only")
            scrape = until_counted(fleet, expected)
            pairs = len(range(0, plan.decisions, 32)) * 2
            assert pairs == expected.counted[REVIEWS] == expected.duplicates[REVIEWS]
            assert 2 * pairs == expected.counted[APPEALS] == expected.duplicates[APPEALS]
            assert pairs == expected.counted[REPORTS] == expected.duplicates[REPORTS]
    assert grown_mb < MOST_GROWTH_MB
    lost = sum(abs(expected.counted[topic] - scrape.total(metric, segment="all")) for topic, metric in COUNTED.items())
    outcome(
        number="13",
        name="every event three times, within and beyond the horizon; the same id on two partitions",
        events=expected.records.total(),
        faults=2,
        lost=round(lost),
        stall_seconds=None,
        told=f"{expected.duplicates[DECISIONS]:,} copies of {plan.decisions:,} decisions recognised; beyond"
        f" {HORIZON} blocks {len(beyond):,} counted again, of {len(both):,} on two partitions both; memory grew by"
        f" {max(0.0, grown_mb):.0f} MB",
    )
