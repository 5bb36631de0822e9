"""Exposition of a snapshot beside `prometheus_client.generate_latest` on the very same series.

Run: `python -m tests.bench.exposition`. CPU time of this thread, the least of some runs: other work on the machine then
counts little. prometheus_client gets its metric objects ready made; ours starts from the snapshot.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from monitor.export import families
from monitor.exposition import Renderer
from monitor.http.metrics import compressed
from monitor.snapshot import Snapshot
from tests.bench.tables import Table, begin, show
from tests.bench.timing import least_seconds
from tests.snapshots import snapshot_of_size

SERIES_PER_SEGMENT = 121
"""Lines of the exposition for each series of a model in `snapshot_of_size`."""


class Ready(Collector):
    """Metric objects that were made before."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        return self._metrics


def measure(lines: int, *, runs: int) -> tuple[str, ...]:
    """A row of the report for about so many lines."""
    snapshot = snapshot_of_size(lines // SERIES_PER_SEGMENT)
    renderer = Renderer(process_metrics=False)

    def ours(snapshot: Snapshot = snapshot) -> bytes:
        return renderer.render(families(snapshot, version="1", config_fingerprint=""))

    text = ours()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Ready(text_string_to_metric_families(text.decode())))
    if generate_latest(registry).count(b"\n") != text.count(b"\n"):
        raise ValueError("the two expositions do not have the same lines")
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    mine = least_seconds(ours, runs=runs)
    theirs = least_seconds(lambda: generate_latest(registry), runs=max(1, runs // 3))
    packed = compressed(text)
    gzip = least_seconds(lambda: compressed(text), runs=runs)
    return (
        f"{series:,}",
        f"{mine * 1e3:.1f}",
        f"{theirs * 1e3:.1f}",
        f"{theirs / mine:.1f}",
        f"{gzip * 1e3:.1f}",
        f"{len(text) / 1e6:.2f}",
        f"{len(packed) / 1e6:.2f}",
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--runs", type=int, default=9)
    told = parser.parse_args(arguments)
    table = Table(
        title="Exposition of a snapshot, without HTTP",
        columns=("series", "ours ms", "generate_latest ms", "ratio", "gzip ms", "MB", "MB gzip"),
        rows=[measure(lines, runs=told.runs) for lines in told.lines],
        notes=("CPU time of one thread, the least of some runs.",),
    )
    return show([table])


if __name__ == "__main__":
    begin(run)
