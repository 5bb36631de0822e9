"""Do the calibrated charts run as long as they say? Each is simulated in control and after a shift.

Run: `python -m tests.studies.run_lengths`. Charts of one kind run side by side on independent observations until each
has alarmed; the first alarms give the measured average run length and its Monte-Carlo error, beside the stated one. An
error of more than 10 % is marked. Then the same with a shift from the first observation on: the delay.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors import BernoulliCusum, Cusum, Ewma, PoissonCusum
from detectors.charts import (
    ChartFamily,
    RunLength,
    bernoulli_cusum_family,
    cusum_family,
    ewma_family,
    poisson_cusum_family,
    simulated_run_length,
)
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 40 --wanted 200"
Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, float, tuple[int, int]], Floats]


class Chart(NamedTuple):
    """A chart, how many of it are made, and the levels it is tried at: in control first, then shifted."""

    name: str
    make: Callable[[int], ChartFamily]
    stated: Callable[[float], RunLength]
    draw: Draw
    levels: tuple[float, ...]


def normal(rng: np.random.Generator, level: float, size: tuple[int, int]) -> Floats:
    """Standard deviation 1."""
    return rng.standard_normal(size) + level


def verdicts(rng: np.random.Generator, level: float, size: tuple[int, int]) -> Floats:
    """Ones with this share."""
    return (rng.random(size) < level).astype(np.float64)


def reports(rng: np.random.Generator, level: float, size: tuple[int, int]) -> Floats:
    """Poisson counts."""
    return rng.poisson(level, size).astype(np.float64)


def published() -> list[Chart]:
    """Charts with a given threshold."""
    head: dict[str, Any] = {"slack": 0.5, "threshold": 4.0, "head_start": 0.5}
    cusum, started, ewma = Cusum(threshold=5.0), Cusum(**head), Ewma(threshold=2.814)
    bernoulli = BernoulliCusum(p0=0.1, p1=0.2, threshold=40)
    return [
        Chart(
            "CUSUM k .5, h 5",
            lambda charts: cusum_family(np.zeros(charts), 1.0, threshold=5.0),
            cusum.run_length,
            normal,
            (0.0, 0.5, 1.0),
        ),
        Chart(
            "CUSUM k .5, h 4, head start",
            lambda charts: cusum_family(np.zeros(charts), 1.0, **head),
            started.run_length,
            normal,
            (0.0, 0.5, 1.0),
        ),
        Chart(
            "EWMA .1, L 2.814",
            lambda charts: ewma_family(np.zeros(charts), 1.0, threshold=2.814),
            ewma.run_length,
            normal,
            (0.0, 0.5, 1.0),
        ),
        Chart(
            "Bernoulli .1 to .2, h 40",
            lambda charts: bernoulli_cusum_family(np.full(charts, 0.1), 0.2, threshold=40),
            bernoulli.run_length,
            verdicts,
            (0.1, 0.12, 0.2),
        ),
    ]


def calibrated(wanted: float) -> list[Chart]:
    """Charts whose threshold comes from a wanted average run length."""
    told: dict[str, Any] = {"average_run_length": wanted}
    weighted: dict[str, Any] = {**told, "limits": "transient"}
    bernoulli = {
        "Bernoulli .05 to .1": (0.05, 0.1, "rise", (0.05, 0.075, 0.1)),
        "Bernoulli .95 to .93, fall": (0.95, 0.93, "fall", (0.95, 0.93, 0.9)),
        "Bernoulli .2 to .3, both": (0.2, 0.3, "both", (0.2, 0.13, 0.3)),
    }
    charts = [
        Chart(
            "CUSUM k .5",
            lambda count: cusum_family(np.zeros(count), 1.0, **told),
            Cusum(**told).run_length,
            normal,
            (0.0, 0.5, 1.0),
        ),
        Chart(
            "EWMA .1, transient limits",
            lambda count: ewma_family(np.zeros(count), 1.0, **weighted),
            Ewma(**weighted).run_length,
            normal,
            (0.0, 0.5, 1.0),
        ),
        Chart(
            "Poisson 4 to 6",
            lambda count: poisson_cusum_family(
                np.full(count, 4.0), 6.0, threshold=PoissonCusum(**told).decision_interval()
            ),
            PoissonCusum(**told).run_length,
            reports,
            (4.0, 5.0, 6.0),
        ),
    ]
    for name, (p0, p1, direction, levels) in bernoulli.items():
        parameters: dict[str, Any] = {**told, "direction": direction}
        spec = BernoulliCusum(p0=p0, p1=p1, **parameters)
        fixed: dict[str, Any] = {"threshold": spec.decision_interval(), "direction": direction}
        charts.append(
            Chart(
                name,
                lambda count, p0=p0, p1=p1, fixed=fixed: bernoulli_cusum_family(np.full(count, p0), p1, **fixed),  # type: ignore[misc]
                spec.run_length,
                verdicts,
                levels,
            )
        )
    return charts


def measure(charts: Sequence[Chart], stated: str, *, runs: int) -> Table:
    """The table of some charts."""
    rows = []
    for number, chart in enumerate(charts):
        cells = []
        for place, level in enumerate(chart.levels):
            exact = chart.stated(level)
            rng = np.random.default_rng(100 * number + place)
            draw = partial(_drawn, chart.draw, rng, level)
            found = simulated_run_length(chart.make(runs), draw)
            ratio = found.mean / exact.mean
            cells += [f"{exact.mean:,.1f}", f"{found.mean:,.1f} ± {found.standard_error:,.1f}"]
            if place == 0:
                cells.append(f"{100 * (ratio - 1):+.1f} %{'' if abs(ratio - 1) <= 0.1 else ' !'}")
                within = int(exact.mean / 10)
                cells += [f"{float(exact.alarm_within(within)):.3f}", f"{(found.lengths <= within).mean():.3f}"]
        levels = ", ".join(f"{level:g}" for level in chart.levels)
        rows.append((f"{chart.name} ({levels})", *cells))
    columns = ("chart (levels)", "stated", "measured", "off", "P(alarm in a tenth)", "measured")
    shifts = ("delay, first shift", "measured", "delay, second shift", "measured")
    return Table(
        title=f"Average run lengths, {stated}: {runs:,} simulated charts each",
        columns=columns + shifts,
        rows=rows,
        notes=("Measured with its Monte-Carlo standard error. Shifts are there from the first observation on.",),
    )


def _drawn(draw: Draw, rng: np.random.Generator, level: float, charts: int, times: int) -> Floats:
    return draw(rng, level, (charts, times))


def run(arguments: Sequence[str]) -> list[Table]:
    """Simulate and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--wanted", default="1000,10000,100000", help="average run lengths")
    parser.add_argument("--fewer", type=int, default=1000, help="runs where the average run length is above 20,000")
    told = parser.parse_args(arguments)
    tables = [measure(published(), "thresholds given", runs=told.runs)]
    for wanted in map(float, told.wanted.split(",")):
        runs = told.runs if wanted <= 20_000 else min(told.runs, told.fewer)
        tables.append(measure(calibrated(wanted), f"{wanted:,.0f} wanted", runs=runs))
    return show(tables)


if __name__ == "__main__":
    begin(run)
