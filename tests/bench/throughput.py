"""Decisions a second and a CPU second through one worker, end to end, beside its peers on the same messages.

Run: `python -m tests.bench.throughput`; quick while tuning: `--decisions 300000 --only ours,bare --rounds 2`.

For each layout of the topic (partitions, compression) one Kafka is filled once; then the readers take turns, several
rounds. `ours` is a whole worker with the join switched off, from the first snapshot that has read something to the one
that has counted all; `join` is the same with the join, through which the decisions go that were acted on; `two` is two
workers in one group. `bare` decodes and does nothing; `stock` gets a slice, because it is slow. CPU is that of the
reading processes, all threads and user plus system; the broker's is not in it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from monitor.catalogue import RECORDS, SERIES_COUNT
from monitor.topics import DECISIONS
from tests.bench.broker import Broker, running_broker
from tests.bench.decisions import Decisions
from tests.bench.peers import measure
from tests.bench.tables import Table, begin, show, spread, thousands
from tests.bench.watch import PRODUCTION, follow
from tests.e2e.worker_process import WorkerProcess

WITHIN = 600.0


@dataclass(frozen=True, slots=True)
class Rate:
    """One run of one reader: decisions a second, and a CPU second."""

    second: float
    cpu_second: float
    whole: float
    """decisions a second until everything is in the metrics; what a peer reads is done when it is read"""
    series: int = 0
    """`monitor_series` at the end"""


def ours(broker: Broker, *, workers: int = 1, join: bool = False, settings: Mapping[str, object] | None = None) -> Rate:
    """One run of the service. RuntimeError when its metrics do not say what was published."""
    broker.forget_results()
    name, folder = broker.run()
    told = {**PRODUCTION, "kafka.group_id": name, "join.enabled": join, **(settings or {})}
    with ExitStack() as stack:
        running = [
            stack.enter_context(WorkerProcess(broker.bootstrap, folder / str(number), settings=told))
            for number in range(workers)
        ]
        rates = follow(running, sizes=broker.sizes, within=WITHIN)
        scrapes = [worker.scrape() for worker in running]
    counted = sum(scrape.only(RECORDS).total(RECORDS, topic=DECISIONS.topic) for scrape in scrapes)
    series = sum(scrape.only(SERIES_COUNT).total(SERIES_COUNT) for scrape in scrapes)
    if counted != broker.decisions:
        raise RuntimeError(f"/metrics: expected {broker.decisions} decisions, got {counted:.0f}")
    return Rate(rates.per_second, rates.per_cpu_second, rates.whole, int(series))


def peer(name: str, broker: Broker, *, decisions: int) -> Rate:
    """One run of a peer."""
    found = measure(name, broker.bootstrap, decisions=min(decisions, broker.decisions))
    rate = found.decisions / found.wall_seconds
    return Rate(rate, found.decisions / found.cpu_seconds, rate)


def readers(stock_decisions: int, *, settings: Mapping[str, object]) -> dict[str, Callable[[Broker], Rate]]:
    """What can be measured, by name, in the order of a round."""
    return {
        "bare": lambda broker: peer("bare", broker, decisions=broker.decisions),
        "ours": lambda broker: ours(broker, settings=settings),
        "join": lambda broker: ours(broker, join=True, settings=settings),
        "two": lambda broker: ours(broker, workers=2, settings=settings),
        "stock": lambda broker: peer("stock", broker, decisions=stock_decisions),
    }


NAMES = {
    "bare": "bare aiokafka loop, decoding only",
    "ours": "worker, end to end",
    "join": "worker with the join",
    "two": "two workers of one group",
    "stock": "Faust agent, River and prometheus-client an event",
}


def measured(
    chosen: Mapping[str, Callable[[Broker], Rate]], *, layout: Layout, decisions: Decisions, total: int, rounds: int
) -> Table:
    """All rounds on one layout of the topic."""
    found: dict[str, list[Rate]] = {name: [] for name in chosen}
    with running_broker() as broker:
        broker.create_topics(partitions=layout.partitions, internal=layout.internal)
        size = broker.fill(decisions, total=total, partitions=layout.partitions, compression=layout.compression)
        for number in range(rounds):
            for name, read in chosen.items():
                rate = read(broker)
                found[name].append(rate)
                sys.stderr.write(
                    f"  round {number + 1} {name:6} {thousands(rate.second):>9}/s {thousands(rate.cpu_second):>9}/CPU s"
                    f" {thousands(rate.whole):>9}/s to the end\n"
                )
    return table(layout, found, total=total, size=size, rounds=rounds)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the decisions lie in Kafka. `internal` is the number of partitions of the topics that the service writes."""

    partitions: int
    compression: str
    internal: int

    def __str__(self) -> str:
        plural = "" if self.partitions == 1 else "s"
        return f"{self.partitions} partition{plural}, {self.compression.replace('none', 'uncompressed')}"


def table(layout: Layout, found: Mapping[str, Sequence[Rate]], *, total: int, size: float, rounds: int) -> Table:
    """Medians with their range, and the ratios of the medians."""
    middle = {
        name: (median(r.second for r in rates), median(r.cpu_second for r in rates)) for name, rates in found.items()
    }
    series = max(rate.series for rates in found.values() for rate in rates)
    compared = [name for name in ("bare", "stock", "ours") if name in found]
    rows = []
    for name, rates in found.items():
        ratios = []
        for other in compared:
            wall, cpu = (own / theirs for own, theirs in zip(middle[name], middle[other], strict=True))
            ratios.append("" if name == other else f"{wall:.2f} / {cpu:.2f}")
        rows.append(
            (
                NAMES[name],
                spread([rate.second for rate in rates], scale=1e-3),
                spread([rate.whole for rate in rates], scale=1e-3),
                spread([rate.cpu_second for rate in rates], scale=1e-3),
                *ratios,
            )
        )
    return Table(
        title=f"Throughput: {layout}; {total:,} decisions of {size:.0f} bytes, {series} series",
        columns=(
            "thousand decisions",
            "a second",
            "to the end",
            "a CPU second",
            *(f"over {name}" for name in compared),
        ),
        rows=rows,
        notes=(
            f"Medians of {rounds} interleaved rounds (least-greatest); ratios are of medians, a second / a CPU second.",
            "*A second* is the steady part, *to the end* includes the wait until the last one is in `/metrics`.",
        ),
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="bare,ours,stock", help=f"readers, out of {', '.join(NAMES)}")
    parser.add_argument("--partitions", type=int, nargs="+", default=[1])
    parser.add_argument("--compression", nargs="+", default=["none"])
    parser.add_argument("--internal", type=int, default=4, help="partitions of the topics that the service writes")
    parser.add_argument("--stock-decisions", type=int, default=40_000, help="the slice for the stock agent")
    parser.add_argument("--join-share", type=float, default=0.05, help="decisions that were acted on")
    parser.add_argument("--workers", type=int, choices=(1, 2), default=1, help="2 adds `two` to the readers")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="settings of the worker")
    told = parser.parse_args(arguments)
    known = readers(told.stock_decisions, settings=dict(entry.split("=", 1) for entry in told.set))
    wanted = {*told.only.split(","), *(["two"] if told.workers == 2 else [])}
    if wanted - known.keys():
        parser.error(
            f"--only: expected names out of {', '.join(known)}, got {', '.join(sorted(wanted - known.keys()))}"
        )
    chosen = {name: read for name, read in known.items() if name in wanted}
    decisions = Decisions(acted_share=told.join_share)
    tables = []
    for compression in told.compression:
        for partitions in told.partitions:
            layout = Layout(partitions, compression, told.internal)
            found = measured(chosen, layout=layout, decisions=decisions, total=told.decisions, rounds=told.rounds)
            tables += show([found])
    return tables


if __name__ == "__main__":
    begin(run)
