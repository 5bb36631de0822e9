"""Every benchmark runs at a tiny size, so that none rots; what its numbers are is nobody's test."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from monitor.cohorts import Level
from monitor.decode import decode_event
from monitor.events import Decision, Review
from monitor.settings import Settings
from monitor.topics import DECISIONS, REVIEWS
from tests.bench import car_loan, statistics_peers, watch
from tests.bench.__main__ import SUITE, write_report
from tests.bench.decisions import Decisions
from tests.bench.load import audit, stream
from tests.bench.memory import aged
from tests.bench.peers import PeerDecision
from tests.bench.suite import Step
from tests.bench.tables import Table, cpu_seconds, resident_mb
from tests.kafka_fixtures import require_java

NOON_MS = 1_790_000_000_000
WITHOUT_KAFKA = {
    "hotpath": "--decisions 20000 --rate 10000 --runs 1 --join",
    "exposition": "--lines 500 --runs 1",
    "memory": "--models 1 --days 10 --hours 1 --a-minute 20 --decisions 2000",
    "tick": "--models 1 --decisions 2000 --pinned 2000 --ticks 1 --peer-series 2",
    "join": "--decisions 500",
    "simulate": "--per-minute 100 --minutes 1",
    "statistics": "--rows 500 --segments 3 --charts 5 --length 100 --runs 1",
    "charts": "--charts 50 --times 3 --series 1000 --runs 1",
}
WITH_KAFKA = {
    "throughput": "--decisions 6000 --rounds 1 --only bare,ours,two,stock --stock-decisions 500 --partitions 2",
    "freshness": "--rate 300 --warm 1 --probes 4 --every 0.1 --partitions 2",
    "scrape": "--sizes 1x1 --rates 300 --warm 300 --scrapes 1",
    "memory": "--soak 0.05 --rate 300 --models 1 --days 10 --decisions 2000",
}


def tables(module: str, arguments: str) -> list[Table]:
    run = cast("Callable[[Sequence[str]], list[Table]]", importlib.import_module(f"tests.bench.{module}").run)
    return run(arguments.split())


@pytest.mark.parametrize("module", WITHOUT_KAFKA)
def test_a_benchmark_fills_its_tables(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = tables(module, WITHOUT_KAFKA[module])
    printed = capsys.readouterr().out
    for table in found:
        assert {len(table.columns)} == {len(row) for row in table.rows}
        assert table.title in printed


@pytest.mark.kafka
@pytest.mark.parametrize("module", WITH_KAFKA)
def test_a_benchmark_on_kafka_fills_its_tables(module: str) -> None:
    require_java()
    for table in tables(module, WITH_KAFKA[module]):
        assert {len(table.columns)} == {len(row) for row in table.rows}


def test_the_suite_has_every_benchmark() -> None:
    assert set(SUITE) == WITHOUT_KAFKA.keys() | WITH_KAFKA.keys()


def test_decisions_are_valid_and_make_the_series_they_announce() -> None:
    made = Decisions(models=2, policies=3, acted_share=0.5, features=True)
    events = [decode_event(DECISIONS, value) for value in made.batch(20_000, NOON_MS)]
    found = [event for event in events if isinstance(event, Decision)]
    assert 20_000 == len({event.decision_id for event in found})
    wholes = {(event.model, event.policy) for event in found}
    parts = {
        (event.model, event.policy, name, getattr(event, name))
        for event in found
        for name in ("language", "region", "modality")
    }
    assert made.series == len(wholes) + len(parts)
    assert all(0 <= NOON_MS - 1000 * event.occurred_at.timestamp() < 1000 for event in found)


def test_the_peers_decode_the_same_fields_with_the_same_constraints() -> None:
    _, expected = msgspec.json.schema_components([Decision])
    _, actual = msgspec.json.schema_components([PeerDecision])
    actual["Decision"] = actual.pop("PeerDecision") | {"title": "Decision"}
    assert _without_descriptions(expected) == _without_descriptions(actual)


def _without_descriptions(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_descriptions(item) for item in node]
    if isinstance(node, dict):
        return {key: _without_descriptions(value) for key, value in node.items() if key != "description"}
    return node


def test_a_peer_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evidently", None)

    told = statistics_peers.main("evidently", 10, 1)

    assert {"seconds": [], "why": "not installed (evidently): make peers"} == told


def test_car_loans_without_nannyml_are_a_table_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nannyml", None)
    monkeypatch.setattr(car_loan, "ask", lambda *_, python: statistics_peers.car_loan())

    table = car_loan.car_loan(python=sys.executable)

    assert [("not installed (nannyml): make peers", "", "", "")] == table.rows


def test_a_peer_that_fails_says_why() -> None:
    measured = statistics_peers.measure("nobody", python=sys.executable, rows=10, runs=1)

    assert statistics_peers.Measured(why="failed: KeyError: 'nobody'") == measured


def progress(at: float, *, lag: dict[int, int], counted: int = 0) -> watch.Progress:
    return watch.Progress(taken_at=at, lag=lag, waiting=0, counted=counted)


def test_rates_begin_with_the_first_snapshot_that_has_read_something() -> None:
    track = watch.Track(cast("Any", None))
    track.cpu = [(0.0, 5.0), (10.0, 10.0)]
    track.progress = [
        progress(1, lag={0: 100}),
        progress(2, lag={0: 90}),
        progress(4, lag={0: 30}),
        progress(6, lag={0: 0}, counted=100),
    ]
    found = watch._rates(track, {0: 100})
    assert watch.Rates(decisions=90, wall_seconds=4.0, cpu_seconds=2.0, steady=30.0) == found
    assert (30.0, 45.0) == (found.per_second, found.per_cpu_second)


def test_only_the_last_assignment_is_measured() -> None:
    track = watch.Track(cast("Any", None))
    track.cpu = [(0.0, 0.0), (10.0, 10.0)]
    track.progress = [progress(1, lag={0: 40, 1: 40}), progress(2, lag={1: 40}), progress(3, lag={1: 0})]
    assert 40 == watch._rates(track, {0: 50, 1: 80}).decisions


def test_a_bench_worker_has_the_defaults_of_production() -> None:
    assert Settings().state.checkpoint_interval_seconds == watch.PRODUCTION["state.checkpoint_interval_seconds"]


def test_memory_holds_each_minute_of_its_days_in_one_cohort() -> None:
    found = list(aged(180))
    assert {Level.DAY, Level.HOUR, Level.MINUTE} == {level for level, _ in found}
    assert all(begin + level == after for (level, begin), (_, after) in pairwise(found))
    assert [(Level.DAY, 0), (Level.MINUTE, 180 * 1440 - 1)] == [found[0], found[-1]]


@dataclass
class _Counter:
    """Stands for a publisher; after some records it is told to stop as the parent would."""

    limit: int
    count: int = 0

    def publish_all(self, partition: int, values: Sequence[bytes]) -> None:
        if self.count < self.limit <= self.count + len(values):
            os.kill(os.getpid(), signal.SIGTERM)
        self.count += len(values)

    def flush(self) -> int:
        return self.count


def test_an_audit_speaks_of_its_decision() -> None:
    value = next(one for one in Decisions(acted_share=1.0).batch(1000, NOON_MS) if b'"sampled":true' in one)
    decision, review = decode_event(DECISIONS, value), decode_event(REVIEWS, audit(value, number=0))
    assert isinstance(decision, Decision)
    assert isinstance(review, Review)
    assert (decision.decision_id, None) == (review.decision_id, review.decision)


def test_a_stream_ends_when_it_is_told_to() -> None:
    before = signal.getsignal(signal.SIGTERM)
    done = stream(cast("Any", _Counter(50)), Decisions(models=1), rate=10_000.0, partitions=2)
    signal.signal(signal.SIGTERM, before)
    assert 50 <= done.decisions
    assert done.rate > 0


def test_the_report_has_every_table_under_its_command(tmp_path: Path) -> None:
    path = tmp_path / "REPORT.md"
    table = Table("Title", ("what", "number"), [("row", "1")], notes=("Note.",))
    write_report([(Step("tick", "--ticks 2"), [table])], path)
    text = path.read_text()
    assert re.search(
        r"## Tick\n\nMeasured on [0-9-]{10}\.\n\n`python -m tests\.bench\.tick --ticks 2`\n\n### Title\n", text
    )
    assert "| what | number |\n" in text
    assert "| row | 1 |\n\nNote.\n" in text


def test_a_benchmark_that_is_run_again_replaces_its_section_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "REPORT.md"
    steps = {name: (Step(name), [Table(name, ("what",), [("before",)])]) for name in ("join", "tick", "hotpath")}
    write_report([steps["tick"], steps["join"]], path)
    write_report([(Step("tick"), [Table("tick", ("what",), [("after",)])]), steps["hotpath"]], path)
    text = path.read_text()
    assert ["Hotpath", "Tick", "Join"] == re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert ["before", "after", "before"] == re.findall(r"^\| (before|after) \|$", text, re.MULTILINE)


def test_cpu_and_memory_of_this_process_are_read() -> None:
    assert 0 < cpu_seconds(os.getpid())
    assert 10 < resident_mb(os.getpid())
