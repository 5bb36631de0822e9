"""Run lengths by simulation: for observations that no chain describes, such as skewed, clustered or recorded ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Ints
from detectors.charts.family import ChartFamily


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedRunLength:
    """The run length of each simulated chart (charts,), their mean, and the Monte-Carlo standard error of the mean."""

    lengths: Ints
    mean: float
    standard_error: float


def simulated_run_length(
    family: ChartFamily, draw: Callable[[int, int], npt.ArrayLike], *, longest: int = 10_000_000
) -> SimulatedRunLength:
    """Run the charts of `family`, equal ones, each on observations of its own until its first alarm.

    `draw(charts, times)` gives the next observations, shape (charts, times); what it draws from is the caller's, so is
    its generator. The family itself is not changed. 400 charts give a mean with an error of 5 %, 10,000 of 1 %.
    Raises ValueError for less than two charts, and where a chart has not alarmed after `longest` observations.

    >>> from detectors.charts import cusum_family
    >>> draw = np.random.default_rng(1).standard_normal
    >>> found = simulated_run_length(cusum_family(np.zeros(1000), 1.0, threshold=3.0), lambda *size: draw(size))
    >>> bool(abs(found.mean - 58.8) < 3 * found.standard_error)
    True
    """
    if len(family) < 2:
        raise ValueError(f"family: got {len(family)} charts, allowed are 2 or more")
    running, parts, done, times = family.keep(np.ones(len(family), dtype=np.bool_)), [], 0, 64
    while len(running):
        if done >= longest:
            raise ValueError(f"longest: {len(running)} of {len(family)} charts are quiet after {done} observations")
        alarm = running.update(draw(len(running), times)).alarm
        hit = alarm.any(axis=1)
        parts.append(done + 1 + alarm[hit].argmax(axis=1))
        done += times
        running = running.keep(~hit)
    lengths = np.concatenate(parts).astype(np.int64)
    error = float(lengths.std(ddof=1)) / math.sqrt(len(lengths))
    return SimulatedRunLength(lengths=lengths, mean=float(lengths.mean()), standard_error=error)
