"""What control charts cost an observation: families and single charts in batches, beside River and plain Python.

Run: `python -m tests.bench.charts`. All rows see the same arrays. Every River detector and the plain loop gets one
series value after value, and from a shorter piece of it where it is slow.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from river import drift

from detectors import BernoulliCusum, Cusum, Ewma, Logic
from detectors.charts import bernoulli_cusum_family, cusum_family, ewma_family
from tests.bench.tables import Table, begin, show
from tests.bench.timing import least_seconds

Floats = npt.NDArray[np.float64]


def plain_cusum(values: list[float]) -> int:
    """A two-sided CUSUM with a loop; the number of alarms."""
    up = down = 0.0
    alarms = 0
    for value in values:
        up = max(0.0, up + value - 0.5)
        down = max(0.0, down - value - 0.5)
        alarms += up > 8.0 or down > 8.0
    return alarms


def river(make: Callable[[], Any], values: Sequence[float]) -> int:
    """A River detector, value after value; the number of alarms."""
    detector, alarms = make(), 0
    for value in values:
        detector.update(value)
        alarms += detector.drift_detected
    return alarms


def one_by_one(logic: Logic, values: Sequence[float]) -> None:
    """A chart, value after value."""
    for value in values:
        logic.update(value)


def nanoseconds(call: Callable[[], Any], observations: int, runs: int) -> float:
    """CPU time of a call, an observation."""
    return least_seconds(call, runs=runs) / observations * 1e9


def measure(*, charts: int, times: int, series: int, runs: int) -> list[Table]:
    """Families, and one series."""
    rng = np.random.default_rng(5)
    normal, verdicts = rng.normal(size=(charts, times)), (rng.random((charts, times)) < 0.05).astype(np.float64)
    some = (charts * rng.random(charts * times) ** 2).astype(np.int64)
    families: list[tuple[str, Any, Floats]] = [
        ("CUSUM, both sides", cusum_family(np.zeros(charts), 1.0, threshold=8.0), normal),
        ("Bernoulli CUSUM", bernoulli_cusum_family(np.full(charts, 0.05), 0.1, threshold=94), verdicts),
        ("EWMA", ewma_family(np.zeros(charts), 1.0, threshold=3.75), normal),
    ]
    rows = []
    for name, family, x in families:
        one, flat = np.ascontiguousarray(x[:, 0]), x.ravel()
        cells = [
            nanoseconds(partial(family.update, one), charts, runs * 10),
            nanoseconds(partial(family.update, x), x.size, runs),
            nanoseconds(partial(family.update_some, some, flat), x.size, runs),
        ]
        rows.append((name, *(f"{cell:.1f}" for cell in cells), f"{cells[0] * charts / 1e6:.2f}"))
    many = Table(
        title=f"Control charts: {charts:,} in one call",
        columns=("ns an observation", "one each", f"{times} each", "pairs, uneven", "ms a call, one each"),
        rows=rows,
        notes=("Pairs: chart and value as they came, most of them of few charts.",),
    )
    return [many, one_series(rng.normal(size=series), (rng.random(series) < 0.05).astype(np.float64), runs=runs)]


def one_series(normal: Floats, verdicts: Floats, *, runs: int) -> Table:
    """Single charts in arrays and one by one, and the peers."""
    specs: list[tuple[str, Any, Floats]] = [
        ("CUSUM, both sides", Cusum(threshold=8.0), normal),
        ("Bernoulli CUSUM", BernoulliCusum(threshold=94), verdicts),
        ("EWMA", Ewma(threshold=3.75), normal),
    ]
    count, found = len(normal), []
    for name, spec, x in specs:
        for size in (1000, 10_000):
            part = x[:size]
            logic = spec.build()
            cost = nanoseconds(partial(logic.update_many, part), len(part), runs * 10)
            found.append((f"{name}, arrays of {len(part):,}", cost))
        logic, short = spec.build(), x[: count // 10].tolist()
        cost = nanoseconds(partial(one_by_one, logic, short), len(short), runs)
        found.append((f"{name}, one by one", cost))
    values = normal.tolist()
    found.append(("plain Python CUSUM, both sides", nanoseconds(lambda: plain_cusum(values), count, runs)))
    ones = [int(value) for value in verdicts]
    peers: list[tuple[str, Callable[[], Any], int]] = [
        ("River ADWIN", drift.ADWIN, 1),
        ("River PageHinkley", drift.PageHinkley, 1),
        ("River HDDM_A", drift.binary.HDDMA, 10),
        ("River HDDM_W", drift.binary.HDDMW, 10),
        ("River KSWIN", drift.KSWIN, 25),
    ]
    for name, make, less in peers:
        part_of = (ones if "HDDM" in name else values)[: max(count // less, 1)]
        found.append((name, nanoseconds(partial(river, make, part_of), len(part_of), runs)))
    unit = found[1][1]
    return Table(
        title=f"Control charts: one series of {count:,} observations",
        columns=("", "ns an observation", f"times {found[1][0]}"),
        rows=[(name, f"{cost:,.0f}", f"{cost / unit:,.1f}") for name, cost in found],
        notes=("River's detectors on the same values; KSWIN sees a twenty-fifth, HDDM a tenth of them.",),
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charts", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=20, help="observations of each chart in a batch")
    parser.add_argument("--series", type=int, default=50_000, help="observations of the one series")
    parser.add_argument("--runs", type=int, default=3)
    told = parser.parse_args(arguments)
    return show(measure(charts=told.charts, times=told.times, series=told.series, runs=told.runs))


if __name__ == "__main__":
    begin(run)
