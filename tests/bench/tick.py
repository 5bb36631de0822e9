"""How long readings of 1000 series take: `advance` and a snapshot, with drift against a pinned reference.

Run: `python -m tests.bench.tick`. A day of decisions with two features is fed through the pure steps, then a second of
decisions at a time; after each the clock moves and everything is read off: volumes, rates, precision and drift
of score and features over all windows. `SciPy` computes the same intervals and distances from the same sums the
plain way, a call for each series, window and input; once and for few series, because it is slow.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest, entropy, ks_2samp, wasserstein_distance

from monitor.assembly import assemble
from monitor.cohorts import WINDOWS
from monitor.event_log import FileLog
from monitor.model import Model
from monitor.offline import OfflinePipeline
from monitor.pin import Pinning, pin
from monitor.settings import Settings
from monitor.summarise import FIRST_BIN
from monitor.topics import DECISIONS
from tests.bench.decisions import Decisions
from tests.bench.tables import Table, begin, show

DAY_MS: Final = 86_400_000
START_MS: Final = 1_790_000_000_000 // DAY_MS * DAY_MS
IN_A_BATCH: Final = 2000


class Feed:
    """Decisions into a pipeline, at times that only move on."""

    def __init__(self, pipeline: OfflinePipeline, decisions: Decisions) -> None:
        self._pipeline = pipeline
        self._decisions = decisions
        self._offset = 0

    def take(self, count: int, at_ms: int) -> None:
        """So many decisions of one moment."""
        values: list[bytes | None] = [*self._decisions.batch(count, at_ms)]
        offsets = list(range(self._offset, self._offset + count))
        self._offset += count
        refused = self._pipeline.feed(DECISIONS, 0, offsets, [at_ms] * count, values, next_offset=self._offset)
        if refused:
            raise ValueError(f"expected valid decisions, got {refused[0].why}")


def measure(*, models: int, decisions: int, pinned: int, ticks: int, peer_series: int) -> Table:
    """Times of the ticks, and of the peer."""
    settings = Settings()
    source = Decisions(models=models, features=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decisions.jsonl"
        path.write_bytes(b"\n".join(source.batch(pinned, START_MS)))
        reference = pin([FileLog(DECISIONS, path)], settings, Pinning(minimum_decisions=1), source="benchmark")
    pipeline = OfflinePipeline(assemble(settings, reference))
    feed = Feed(pipeline, source)
    gc.collect()
    gc.freeze()  # as a worker does after its start: what was imported is not looked through again
    steps = max(1, decisions // IN_A_BATCH)
    for step in range(steps):
        feed.take(IN_A_BATCH, START_MS + step * DAY_MS // steps)
        pipeline.advance()
    pipeline.publish_open()
    taken = []
    for second in range(ticks):
        feed.take(IN_A_BATCH, START_MS + DAY_MS + 1000 * second)
        pipeline.publish_open()
        begun = time.thread_time()
        snapshot = pipeline.tick()
        taken.append(time.thread_time() - begun)
    series = sum(len(model.series) for model in snapshot.models)
    numbers = sum(len(column.value) for model in snapshot.models for column in model.readings)
    rows = [
        (
            "advance and snapshot",
            f"{median(taken) * 1e3:.0f}",
            f"{np.percentile(taken, 95) * 1e3:.0f}",
            f"{max(taken) * 1e3:.0f}",
            f"{numbers:,}",
            f"{median(taken) * 1e6 / numbers:.1f}",
        )
    ]
    if peer_series:
        begun = time.thread_time()
        found = sum(1 for _ in one_by_one(next(iter(pipeline.models())), series=peer_series))
        spent = time.thread_time() - begun
        rows.append(
            (
                f"SciPy, a call each, {peer_series} series",
                f"{spent * 1e3:,.0f}",
                "",
                "",
                f"{found:,}",
                f"{spent * 1e6 / found:.1f}",
            )
        )
    return Table(
        title=f"Tick: {series:,} series, {steps * IN_A_BATCH:,} decisions today, a reference with two features",
        columns=("CPU ms", "median", "p95", "greatest", "numbers", "µs a number"),
        rows=rows,
        notes=(f"{ticks} ticks, a second of {IN_A_BATCH:,} decisions before each, so two or three begin a minute.",),
    )


def one_by_one(model: Model, *, series: int) -> Iterator[float]:
    """Intervals and distances of each series, window and input with SciPy; the model's sums are taken as they are."""
    ledger, layout = model.ledger, model.ledger.layout
    baseline = model.settings.baselines[model.name]
    keys = ledger.table.series[:series]
    for window in WINDOWS:
        sums = ledger.cohorts.window(window)
        score = np.add.reduceat(sums[:, layout.score.columns], baseline.score_bins(layout), axis=1)
        inputs = [(baseline.counts(None, keys), score)]
        for feature, group in zip(layout.features, layout.feature_groups, strict=True):
            inputs.append((baseline.counts(feature.name, keys), sums[:, group.columns][:, FIRST_BIN:]))
        for row in range(len(keys)):
            decisions = int(sums[row, layout.actions.columns].sum())
            if decisions:
                yield float(binomtest(decisions // 20, decisions).proportion_ci(method="wilson").low)
            for reference, current in inputs:
                yield from distances(reference[row], current[row])


def distances(reference: npt.NDArray[np.int64], current: npt.NDArray[np.int64]) -> Iterator[float]:
    """PSI, Jensen-Shannon, Kolmogorov-Smirnov and Wasserstein of two histograms."""
    if not reference.sum() or not current.sum():
        return
    expected: npt.NDArray[np.float64] = (reference + 0.5) / (reference + 0.5).sum()
    actual: npt.NDArray[np.float64] = (current + 0.5) / (current + 0.5).sum()
    points: Any = np.arange(len(expected))
    yield float(entropy(actual, expected) + entropy(expected, actual))
    yield float(jensenshannon(expected, actual))
    yield float(wasserstein_distance(points, points, expected, actual))
    yield float(ks_2samp(np.repeat(points, reference), np.repeat(points, current), method="asymp").statistic)


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10, help="100 series each")
    parser.add_argument("--decisions", type=int, default=300_000, help="of the day before the ticks")
    parser.add_argument("--ticks", type=int, default=70)
    parser.add_argument("--pinned", type=int, default=40_000, help="decisions of the reference")
    parser.add_argument("--peer-series", type=int, default=50, help="series that SciPy gets")
    told = parser.parse_args(arguments)
    found = measure(
        models=told.models,
        decisions=told.decisions,
        pinned=told.pinned,
        ticks=told.ticks,
        peer_series=told.peer_series,
    )
    return show([found])


if __name__ == "__main__":
    begin(run)
