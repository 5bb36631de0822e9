"""How long it takes until a decision is in the metrics, while the worker reads at half of its maximum rate.

Run: `python -m tests.bench.freshness`; with `--rate` the maximum is not looked for first. The maximum is the greatest
rate that the worker keeps up with while the stream's source and the broker share the machine with it.

Among a steady stream, single decisions of models of their own are published, one model a partition; a reader asks the
API every 50 ms how many of each the snapshot holds. The API and `/metrics` show the same snapshot, so what a scrape of
`/metrics` takes at that time is measured and told beside it. The time runs from before the decision is handed to the
producer, which waits up to 5 ms for company, to the answer that shows it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from statistics import median
from typing import Final

import httpx
import numpy as np

from tests.bench.broker import Broker, running_broker
from tests.bench.decisions import Decisions, Publisher
from tests.bench.load import Load
from tests.bench.tables import Table, begin, show
from tests.bench.watch import PRODUCTION, Progress
from tests.e2e.worker_process import WorkerProcess

LOOK_EVERY: Final = 0.05
SEEN_WITHIN: Final = 60.0
SCRAPES: Final = 5


class Probes:
    """Single decisions on their way: when each was sent, and when it was seen."""

    def __init__(self, bootstrap: str, *, partitions: int) -> None:
        self._publisher = Publisher(bootstrap)
        self._models = [Decisions(model=f"probe-{number}", seed=100 + number) for number in range(partitions)]
        self._sent: list[list[float]] = [[] for _ in range(partitions)]
        self._seen: list[int] = [0] * partitions
        self.waits: list[float] = []

    @property
    def missing(self) -> int:
        """Probes not seen yet."""
        return sum(map(len, self._sent)) - len(self.waits)

    def send(self) -> None:
        """One more, to the next partition."""
        partition = self._publisher.count % len(self._models)
        [value] = self._models[partition].batch(1, int(1000 * time.time()))
        self._sent[partition].append(time.perf_counter())
        self._publisher.publish(partition, value)

    def look(self, worker: WorkerProcess) -> None:
        """Ask the worker which it shows. Order within a partition is kept, so a number says which they are."""
        try:
            answer = worker.get("/api/v1/models").json()
        except httpx.TransportError:
            return
        now = time.perf_counter()
        counted = {model["model"]: model["decisions"] for model in answer["models"]}
        for partition, sent in enumerate(self._sent):
            seen = counted.get(f"probe-{partition}", 0)
            self.waits += [now - at for at in sent[self._seen[partition] : seen]]
            self._seen[partition] = max(self._seen[partition], seen)


def maximum(broker: Broker, *, partitions: int, step: float, seconds: float) -> float:
    """Decisions a second that one worker with the join keeps up with; the rate grows by `step` until it does not.

    It keeps up with a rate if, after some seconds of it, less waits than arrives in one second.
    """
    broker.create_topics(partitions=partitions, internal=4)
    name, folder = broker.run()
    kept = 0.0
    with WorkerProcess(broker.bootstrap, folder, settings={**PRODUCTION, "kafka.group_id": name}) as worker:
        worker.until_ready()
        while True:
            rate = kept + step
            before = _progress(worker)
            counted = 0 if before is None else before.counted
            with Load(broker.bootstrap, rate=rate, partitions=partitions) as load:
                time.sleep(seconds)
                last = _progress(worker)
                done = load.stop()
            behind = last is None or sum(last.lag.values()) > rate or last.counted == counted
            if behind or done.rate < 0.95 * rate:
                break
            kept = rate
    if not kept:
        raise RuntimeError(f"the worker does not keep up with {step:,.0f} decisions a second")
    return kept


def measure(broker: Broker, *, rate: float, partitions: int, probes: int, every: float, warm: float) -> Table:
    """Waits of all probes at a rate."""
    broker.create_topics(partitions=partitions, internal=4)
    name, folder = broker.run()
    settings = {**PRODUCTION, "kafka.group_id": name}
    with WorkerProcess(broker.bootstrap, folder, settings=settings) as worker:
        worker.until_ready()
        with Load(broker.bootstrap, rate=rate, partitions=partitions) as load:
            worker.until(
                lambda: (found := _progress(worker)) and found.counted >= warm * rate, what="load", within=120.0
            )
            on_way = Probes(broker.bootstrap, partitions=partitions)
            begun = time.perf_counter()
            sent = 0
            while sent < probes or on_way.missing:
                now = time.perf_counter() - begun
                if now > probes * every + SEEN_WITHIN:
                    raise RuntimeError(f"{on_way.missing} of {probes} decisions not seen within {SEEN_WITHIN:g} s")
                if sent < probes and now >= sent * every:
                    on_way.send()
                    sent += 1
                on_way.look(worker)
                time.sleep(LOOK_EVERY)
            scrapes = []
            for _ in range(SCRAPES):
                at = time.perf_counter()
                worker.get("/metrics")
                scrapes.append(time.perf_counter() - at)
            done = load.stop()
            last = _progress(worker)
    waits = np.array(on_way.waits)
    shown = (f"{np.percentile(waits, share):.2f}" for share in (50, 95, 99, 100))
    return Table(
        title=f"Freshness: decision to metrics at {rate:,.0f} decisions a second, {partitions} partitions",
        columns=("seconds", "p50", "p95", "p99", "greatest", "decisions a second", "scrape ms", "waiting at the end"),
        rows=[
            (
                f"{len(waits)} probes",
                *shown,
                f"{done.rate:,.0f}",
                f"{median(scrapes) * 1e3:.0f}",
                "" if last is None else f"{sum(last.lag.values()):,}",
            )
        ],
        notes=(f"Seen by looking every {LOOK_EVERY * 1e3:.0f} ms; join on, {rate:,.0f} a second were asked for.",),
    )


def _progress(worker: WorkerProcess) -> Progress | None:
    return Progress.of(worker.get("/api/v1/service").json())


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, help="decisions a second; default: half of the maximum")
    parser.add_argument("--step", type=float, default=10_000, help="decisions a second between rates that are tried")
    parser.add_argument("--step-seconds", type=float, default=12.0, help="how long a rate is tried")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--probes", type=int, default=240)
    parser.add_argument("--warm", type=float, default=8.0, help="seconds of the stream before the first probe")
    parser.add_argument("--every", type=float, default=0.23, help="seconds between probes")
    told = parser.parse_args(arguments)
    rate = told.rate
    if rate is None:
        with running_broker() as broker:
            rate = maximum(broker, partitions=told.partitions, step=told.step, seconds=told.step_seconds) / 2
    with running_broker() as broker:
        table = measure(
            broker, rate=rate, partitions=told.partitions, probes=told.probes, every=told.every, warm=told.warm
        )
    return show([table])


if __name__ == "__main__":
    begin(run)
