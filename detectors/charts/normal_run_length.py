"""Run lengths of CUSUM and EWMA charts on independent normal observations, by Gauss-Legendre quadrature.

Everything is in standard deviations of an observation; `shift` is the distance of the mean from the target. With the
nodes that are used the means are right to nine digits or so up to 1e5 and to seven above; infinity is above 1e300. They
are not the chart's where observations are skewed or depend on each other: with a lag-1 correlation of .2 the 465 of a
CUSUM (slack .5, threshold 5) become 148 (simulated, error 3).

Sources: Vance 1986, J. Quality Technology 18 (CUSUM); Crowder 1987, Technometrics 29, 401-407 (EWMA).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import scipy

from detectors.arrays import Floats, require_fraction
from detectors.charts.design import require_head_start
from detectors.charts.run_length import (
    RunLength,
    absorption,
    eliminated_mean,
    quiet_distribution,
    two_sided,
)
from detectors.contract import Sides

Limits = Literal["fixed", "transient"]


def cusum_run_length(
    shift: float = 0.0,
    *,
    slack: float,
    threshold: float,
    head_start: float = 0.0,
    direction: Sides = "both",
    steady: bool = False,
) -> RunLength:
    """The run length of the tabular CUSUM S = max(0, S + z - slack), and the same of -z, that alarms at S > threshold.

    `head_start` is the statistic of each side before the first observation. With `steady` the mean was on target for
    long, without an alarm, before the shift; for one direction only, and `head_start` no longer matters.

    Source for both sides and the head start: Lucas and Crosier 1982, Technometrics 24, 199-205.
    Raises ValueError for a threshold that is not positive and a head start outside [0, threshold], of both directions
    outside [0, threshold / 2].

    >>> round(cusum_run_length(slack=0.5, threshold=5.0).mean, 3)
    465.444
    >>> round(cusum_run_length(1.0, slack=0.5, threshold=4.0, head_start=2.0).mean, 2)
    5.29
    >>> round(cusum_run_length(1.0, slack=0.5, threshold=4.0, direction="rise", steady=True).mean, 2)
    7.72
    """
    if not (0.0 < threshold < 1e4 and 0.0 <= head_start <= threshold and slack >= 0.0):
        raise ValueError(
            f"slack {slack}, threshold {threshold}, head_start {head_start}: allowed is slack >= 0, "
            "0 < threshold < 10000 and 0 <= head_start <= threshold"
        )
    if direction != "both":
        toward = shift if direction == "rise" else -shift
        return _one_side(toward, slack, threshold, head_start, steady=steady)
    require_head_start("cusum_run_length, in thresholds", head_start / threshold, direction)
    if steady:
        raise ValueError("steady: got True with both directions, allowed is one direction, that of the change")

    def sides(start: float) -> tuple[RunLength, RunLength]:
        found = {toward: _one_side(toward, slack, threshold, start) for toward in {shift, -shift}}
        return found[shift], found[-shift]

    begun = sides(head_start)
    zero = sides(0.0) if head_start else begun
    return two_sided(*begun, rise_from_zero=zero[0], fall_from_zero=zero[1])


def ewma_run_length(
    shift: float = 0.0, *, smoothing: float, width: float, limits: Limits = "fixed", steady: bool = False
) -> RunLength:
    """The run length of the EWMA z = (1 - smoothing) z + smoothing x that alarms at |z| > width standard deviations.

    The deviation is that of a long stream, sqrt(smoothing / (2 - smoothing)), or with transient limits that of the
    t-th z, smaller by sqrt(1 - (1 - smoothing)^(2t)). With `steady` the mean was on target for long, without an alarm.

    Source: Crowder 1987; Lucas and Saccucci 1990, Technometrics 32, 1-12.
    Raises ValueError for a smoothing outside (0, 1] and a width that is not positive.

    >>> round(ewma_run_length(smoothing=0.5, width=2.0).mean, 2)
    26.45
    >>> round(ewma_run_length(1.0, smoothing=0.1, width=2.814, limits="transient").mean, 2)
    8.16
    """
    if not (0.0 < smoothing <= 1.0 and 0.0 < width < 100.0):
        raise ValueError(f"smoothing {smoothing}, width {width}: allowed is 0 < smoothing <= 1 and 0 < width < 100")
    limit = width * math.sqrt(smoothing / (2.0 - smoothing))
    roots, weights = _nodes(40 + int(12.0 * limit / smoothing))

    def kernel(start: Floats, at: float, to: float, mean: float) -> Floats:
        """From z = at * start (rows) to the nodes within [-to, to]."""
        distance = (to * roots - (1.0 - smoothing) * at * start[:, None]) / smoothing - mean
        return to / smoothing * weights * _density(distance)

    transition = kernel(roots, limit, limit, shift)
    kept = (1.0 - smoothing) * limit * roots / smoothing + shift
    alarm = scipy.special.ndtr(kept - limit / smoothing) + scipy.special.ndtr(-kept - limit / smoothing)

    def after(row: Floats) -> RunLength:
        """From the distribution `row` at the nodes, after an observation."""
        return absorption(transition, row, long=lambda: 1.0 + eliminated_mean(transition, alarm, row))

    if steady:
        return after(quiet_distribution(kernel(roots, limit, limit, 0.0)) @ transition)
    if limits == "fixed" or smoothing == 1.0:
        return after(kernel(np.zeros(1), 0.0, limit, shift)[0])
    left, quiet, before, row = (1.0 - smoothing) ** 2, [1.0], 0.0, np.ones(1)
    for t in itertools.count(1):
        now = limit * math.sqrt(1.0 - left**t)
        row = row @ kernel(np.zeros(1) if t == 1 else roots, before, now, shift)
        before = now
        quiet.append(float(row.sum()))
        if left**t < 1e-13:
            break
    rest = after(row @ transition)
    head = np.array(quiet[:-1])

    def survival(count: int) -> Floats:
        following = row
        tail = np.empty(max(count - len(head), 0))
        for n in range(len(tail)):
            tail[n] = following.sum()
            following = following @ transition
        return np.concatenate([head, tail])[:count]

    # `absorption` counts a sure first step; here the row is what is left of the probability.
    return RunLength(float(head.sum()) + float(row.sum()) + rest.mean - 1.0, survival)


def cusum_threshold(
    average_run_length: float, *, slack: float, head_start: float = 0.0, direction: Sides = "both"
) -> float:
    """The threshold with the wanted average run length on target; `head_start` is a fraction of it.

    Raises ValueError where no threshold between .01 and 1000 has it, and for a head start above .5 of both directions.

    >>> round(cusum_threshold(465.444, slack=0.5), 4)
    5.0
    """
    require_head_start("cusum_threshold", head_start, direction)
    return _cusum_threshold(float(average_run_length), float(slack), float(head_start), direction)


def ewma_width(average_run_length: float, *, smoothing: float, limits: Limits = "fixed") -> float:
    """The width, in standard deviations of the EWMA, with the wanted average run length on target.

    Raises ValueError where no width between .1 and 12 has it.

    >>> round(ewma_width(500.0, smoothing=0.5), 3)
    3.071
    """
    return _ewma_width(float(average_run_length), float(smoothing), limits)


def baseline_range(
    run_length: Callable[[float, float], RunLength], baseline: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """The least and greatest average run length in control where target and sigma are estimates from `baseline` values.

    `run_length(shift, spread)` is that of observations with this mean and standard deviation, in units of the estimated
    sigma around the estimated target; it is taken at the limits of both confidence intervals (t and chi-square, each
    with half of the error) and at a shift of 0.
    Raises ValueError for less than 3 values.

    >>> chart = lambda shift, spread: cusum_run_length(shift / spread, slack=0.5 / spread, threshold=5.0 / spread)
    >>> [round(mean) for mean in baseline_range(chart, 1000)]
    [263, 752]
    """
    if baseline < 3:
        raise ValueError(f"baseline: got {baseline}, allowed are whole numbers >= 3")
    error = (1.0 - require_fraction("confidence", confidence)) / 2.0
    shift = float(scipy.special.stdtrit(baseline - 1, 1.0 - error / 2.0)) / math.sqrt(baseline)
    spreads = [
        math.sqrt((baseline - 1) / scipy.special.chdtri(baseline - 1, tail)) for tail in (error / 2, 1 - error / 2)
    ]
    means = [run_length(mean, spread).mean for mean in (-shift, 0.0, shift) for spread in spreads]
    return min(means), max(means)


@lru_cache(maxsize=4096)
def _cusum_threshold(wanted: float, slack: float, head_start: float, direction: Sides) -> float:
    def average(threshold: float) -> float:
        start = head_start * threshold
        return cusum_run_length(slack=slack, threshold=threshold, head_start=start, direction=direction).mean

    return _root(average, wanted, low=0.01, high=1000.0)


@lru_cache(maxsize=4096)
def _ewma_width(wanted: float, smoothing: float, limits: Limits) -> float:
    return _root(lambda width: ewma_run_length(smoothing=smoothing, width=width, limits=limits).mean, wanted, 0.1, 12.0)


def _root(average: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where a rising average has the wanted value; steps up from below, because high thresholds cost most."""
    if average(low) > wanted:
        raise ValueError(
            f"average_run_length {wanted:g}: too small, a threshold of {low} already has {average(low):.6g}"
        )
    top = min(1.0, high)
    while average(top) < wanted:
        low, top = top, min(1.5 * top, high)
        if low == high:
            raise ValueError(f"average_run_length {wanted:g}: no threshold up to {high:g} reaches it")
    return float(
        scipy.optimize.brentq(lambda value: math.log(average(value) / wanted), low, top, xtol=1e-9, rtol=1e-12)
    )


def _one_side(shift: float, slack: float, threshold: float, start: float, *, steady: bool = False) -> RunLength:
    roots, weights = _nodes(40 + int(3.0 * threshold))
    values = np.concatenate([[0.0], threshold / 2.0 * (1.0 + roots)])

    def kernel(origin: Floats, mean: float) -> Floats:
        """From S = origin (rows) to S = 0 and to the nodes."""
        drift = mean - slack + origin[:, None]
        inside = threshold / 2.0 * weights * _density(values[1:] - drift)
        return np.hstack([scipy.special.ndtr(-drift), inside])

    transition = kernel(values, shift)
    row = quiet_distribution(kernel(values, 0.0)) @ transition if steady else kernel(np.array([start]), shift)[0]
    alarm = scipy.special.ndtr(shift - slack + values - threshold)
    return absorption(transition, row, long=lambda: 1.0 + eliminated_mean(transition, alarm, row))


@lru_cache(maxsize=64)
def _nodes(count: int) -> tuple[Floats, Floats]:
    roots, weights = scipy.special.roots_legendre(count)
    return roots, weights


def _density(z: Floats) -> Floats:
    density: Floats = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return density
