"""What a scrape of 10 and 50 thousand series takes over HTTP while the worker ingests, plain and compressed.

Run: `python -m tests.bench.scrape`. The time runs from the request to the last byte, on a connection that stays open as
Prometheus keeps it. Scrapes are so far apart that each meets a new snapshot; those that shared a rendering would be
faster. Beside it, in this process, `prometheus_client.generate_latest` renders the same exposition from metric objects
that are ready, without HTTP.
"""

from __future__ import annotations

import argparse
import http.client
import time
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.broker import Broker, running_broker
from tests.bench.exposition import Ready
from tests.bench.load import Load
from tests.bench.tables import Table, begin, show
from tests.bench.watch import PRODUCTION, Progress
from tests.e2e.worker_process import WorkerProcess

APART: Final = 1.3
"""Seconds between scrapes: there is a snapshot each second."""
ENCODINGS: Final = ("identity", "gzip")
TEXT: Final = "text/plain;version=0.0.4"


def measure(
    broker: Broker, *, models: int, policies: int, rates: Sequence[float], scrapes: int, warm: int
) -> list[tuple[str, ...]]:
    """Rows of the report for a worker that watches so many models, at each of the rates."""
    name, folder = broker.run()
    rows: list[tuple[str, ...]] = []
    with WorkerProcess(broker.bootstrap, folder, settings={**PRODUCTION, "kafka.group_id": name}) as worker:
        worker.until_ready()
        for rate in rates:
            with Load(broker.bootstrap, rate=rate, partitions=1, models=models, policies=policies) as load:
                worker.until(
                    lambda: (found := Progress.of(worker.get("/api/v1/service").json())) and found.counted >= warm,
                    what="decisions",
                    within=300.0,
                )
                taken, bodies = timed_scrapes(worker.url, scrapes)
                done = load.stop()
            series, theirs = generated(bodies["identity"], runs=5)
            rows += [
                (
                    f"{series:,} {encoding}",
                    f"{done.rate:,.0f}",
                    *(f"{np.percentile(taken[encoding], share) * 1e3:.0f}" for share in (50, 95)),
                    f"{len(bodies[encoding]) / 1e6:.2f}",
                    f"{theirs * 1e3:.0f}",
                )
                for encoding in ENCODINGS
            ]
    return rows


def timed_scrapes(url: str, count: int) -> tuple[dict[str, list[float]], dict[str, bytes]]:
    """Seconds of so many scrapes of each encoding, in turn, and the last body of each."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    taken: dict[str, list[float]] = {encoding: [] for encoding in ENCODINGS}
    bodies: dict[str, bytes] = {}
    for number in range(count * len(ENCODINGS)):
        encoding = ENCODINGS[number % len(ENCODINGS)]
        begun = time.perf_counter()
        connection.request("GET", "/metrics", headers={"Accept": TEXT, "Accept-Encoding": encoding})
        bodies[encoding] = connection.getresponse().read()
        taken[encoding].append(time.perf_counter() - begun)
        time.sleep(max(0.0, APART - taken[encoding][-1]))
    connection.close()
    return taken, bodies


def generated(text: bytes, *, runs: int) -> tuple[int, float]:
    """How many series an exposition has, and the least seconds in which prometheus_client renders it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Ready(text_string_to_metric_families(text.decode())))
    times = list(_seconds(registry, runs))
    return sum(not line.startswith(b"#") for line in text.splitlines()), min(times)


def _seconds(registry: CollectorRegistry, runs: int) -> Iterable[float]:
    for _ in range(runs):
        begun = time.perf_counter()
        generate_latest(registry)
        yield time.perf_counter() - begun


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", nargs="+", default=["1x6", "8x4"], help="models x policies of each size; 25 rows of series a policy"
    )
    parser.add_argument(
        "--rates", nargs="+", type=float, default=[20_000.0, 5_000.0], help="decisions a second, one after the other"
    )
    parser.add_argument(
        "--warm", type=int, default=50_000, help="decisions before the first scrape: all series are met"
    )
    parser.add_argument("--scrapes", type=int, default=20, help="of each encoding and rate")
    told = parser.parse_args(arguments)
    rows = []
    for models, policies in (map(int, size.split("x")) for size in told.sizes):
        with running_broker() as broker:
            broker.create_topics(partitions=1, internal=4)
            rows += measure(
                broker, models=models, policies=policies, rates=told.rates, scrapes=told.scrapes, warm=told.warm
            )
    table = Table(
        title="Scrape of /metrics while decisions are read",
        columns=("series, encoding", "decisions a second", "p50 ms", "p95 ms", "MB", "generate_latest ms"),
        rows=rows,
        notes=(
            f"{told.scrapes} scrapes each, every one of another snapshot; generate_latest: the least of 5, no HTTP.",
            "The worker shares the machine's cores with Kafka, the source of the decisions and the scraper.",
        ),
    )
    return show([table])


if __name__ == "__main__":
    begin(run)
