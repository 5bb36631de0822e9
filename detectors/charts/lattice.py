"""Run lengths of CUSUM charts on whole numbers, exactly, and the least threshold for a wanted average.

The statistic S = max(0, S + increment) of 0, 1, 2, ... alarms at S >= threshold. Increments are whole numbers with
known probabilities: verdicts (Bernoulli CUSUM) and counts (Poisson CUSUM) for instance.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, Ints, fractions
from detectors.charts.run_length import RunLength, absorption, delayed, departure, quiet_distribution

DENSE: Final = 150
"""Up to so many states a full matrix is quicker than a sparse one."""

HIGHEST: Final = 4_000_000
"""No threshold above this is looked for."""

SOLVED_LATTICE: Final = 1e10
"""Up to this mean a solved linear system is right to six digits; what it loses grows with the mean."""

MOST_WORK: Final = 2e10
"""States times steps up times steps down up to which long means are computed, in half a minute."""


def lattice_run_length(
    increments: npt.ArrayLike,
    shares: npt.ArrayLike,
    *,
    threshold: int,
    head_start: int = 0,
    quiet_shares: npt.ArrayLike | None = None,
) -> RunLength:
    """The run length where `increments` (k,), whole numbers, come independently with probability `shares` (k,).

    Shares add up to 1, or to less where what is missing, if more than 1e-12, is an increment that alarms from anywhere.
    `head_start` is the statistic before the first observation. With `quiet_shares` (k,) the chart has run for long
    without an alarm under those before `shares` set in: the steady state, where `head_start` no longer matters.

    Exact: a state for each value of S. Means up to 1e10 are from a sparse linear system, right to six digits; longer
    ones from an elimination without subtractions, right to eleven. Infinite: no alarm, above 1e300, or too much work
    (steps both up and down of ten thousands).
    Source: Brook and Evans 1972; Reynolds and Stoumbos 1999, J. Quality Technology 31, 87-108 (Bernoulli); Lucas 1985,
    Technometrics 27, 129-144 (counts); Grassmann, Taksar and Heyman 1985, Operations Research 33, 1107-1116.
    Raises ValueError for shares that are none, a threshold below 1 and a head start outside [0, threshold).

    >>> round(lattice_run_length([6, -1], [0.1, 0.9], threshold=50).mean, 4)
    9504.9243
    >>> round(lattice_run_length([6, -1], [0.2, 0.8], threshold=50, quiet_shares=[0.1, 0.9]).mean, 2)
    101.45
    >>> f"{lattice_run_length([6, -1], [1e-4, 0.9999], threshold=50).mean:.10g}"
    '1.986667633e+33'
    """
    if threshold < 1 or not 0 <= head_start < threshold:
        raise ValueError(f"threshold {threshold}, head_start {head_start}: allowed is 0 <= head_start < threshold")
    transition = _transition(increments, shares, threshold)
    if quiet_shares is None:
        at = np.zeros(threshold)
        at[head_start] = 1.0
    else:
        at = quiet_distribution(_transition(increments, quiet_shares, threshold))
    return absorption(
        transition, at @ transition, long=lambda: _eliminated_mean(increments, shares, at), solved=SOLVED_LATTICE
    )


def binary_thresholds(
    average_run_length: npt.ArrayLike, share: npt.ArrayLike, *, up: npt.ArrayLike, down: npt.ArrayLike
) -> Ints:
    """Least thresholds of many charts that go `up` with probability `share`, else `down`; one of both is 1.

    All are broadcasting arrays, a chart each: the `average_run_length` that a threshold must reach, `share` in (0, 1),
    `up` and `down` whole numbers >= 1. Because the statistic cannot skip a value in one of the directions, the average
    run lengths for all thresholds 1, 2, 3, ... follow from one recursion of positive terms, all charts side by side.

    Raises ValueError where `up` and `down` are both above 1, for shares that make the statistic rise on average, and
    where no threshold is enough.

    >>> binary_thresholds([1000, 9504, 1e5], 0.1, up=6, down=1).tolist()
    [31, 50, 72]
    >>> binary_thresholds(9504, [0.9, 0.99], up=1, down=[15, 150]).tolist()
    [82, 541]
    """
    wanted, p, rising, falling = np.broadcast_arrays(
        np.asarray(average_run_length, dtype=np.float64), fractions("share", share), np.asarray(up), np.asarray(down)
    )
    shape = wanted.shape
    wanted, p, rising, falling = (array.ravel() for array in (wanted, p, rising, falling))
    if ((rising != 1) & (falling != 1)).any() or (rising < 1).any() or (falling < 1).any():
        raise ValueError("up, down: allowed are whole numbers >= 1, one of the two being 1")
    if (p * rising >= (1.0 - p) * falling).any():
        raise ValueError("share: allowed are shares with which the statistic does not rise on average")
    found = np.zeros(len(wanted), dtype=np.int64)
    for upward in (False, True):
        at = np.flatnonzero((rising == 1) == upward)
        if len(at):
            reach = (falling if upward else rising)[at]
            found[at] = (_upward if upward else _downward)(wanted[at], p[at], reach)
    return found.reshape(shape)


def _upward(wanted: Floats, p: Floats, reach: Ints) -> Ints:
    """+1 with probability p, else -reach. D(h) = E T(h) from 0 has p D(h+1) - p D(h) = 1 + q (D(h) - D(h - reach))."""
    longest = int(reach.max()) + 1
    before = np.zeros((longest, len(p)))  # the last values of D, a ring
    average, found, columns = np.zeros(len(p)), np.zeros(len(p), dtype=np.int64), np.arange(len(p))
    for h in range(1, HIGHEST):
        before[(h - 1) % longest] = average
        earlier = before[np.maximum(h - 1 - reach, 0) % longest, columns] * (h - 1 >= reach)
        average = average + (1.0 + (1.0 - p) * (average - earlier)) / p
        found[(found == 0) & (average >= wanted)] = h
        if found.all():
            return found
    raise ValueError(f"average_run_length: no threshold up to {HIGHEST} reaches it")


def _downward(wanted: Floats, p: Floats, reach: Ints) -> Ints:
    """+reach with probability p, else -1.

    With j = h - 1 - S, E T = a W(j) - Z(j), where W and Z do not depend on h: q W'(j) = p (W(j) - W(j - reach)) and
    q Z'(j) = 1 + p (Z(j) - Z(j - reach)) are differences to j + 1, W(0) = 1, Z(0) = 0, W and Z are 0 below 0;
    reflection at S = 0 makes a = Z'(h - 1) / W'(h - 1).
    """
    longest = int(reach.max()) + 1
    w_before, z_before = np.zeros((longest, len(p))), np.zeros((longest, len(p)))
    w, z, q = np.ones(len(p)), np.zeros(len(p)), 1.0 - p
    found, columns = np.zeros(len(p), dtype=np.int64), np.arange(len(p))
    for h in range(1, HIGHEST):
        j = h - 1
        w_before[j % longest], z_before[j % longest] = w, z
        place, there = np.maximum(j - reach, 0) % longest, j >= reach
        w_step = p * (w - w_before[place, columns] * there) / q
        z_step = (1.0 + p * (z - z_before[place, columns] * there)) / q
        with np.errstate(divide="ignore"):  # charts that were found long ago
            found[(found == 0) & (z_step / w_step * w - z >= wanted)] = h
        if found.all():
            return found
        w, z = w + w_step, z + z_step
    raise ValueError(f"average_run_length: no threshold up to {HIGHEST} reaches it")


def _eliminated_mean(increments: npt.ArrayLike, shares: npt.ArrayLike, weight: Floats) -> float:
    """`eliminated_mean` of a lattice chart that is at 0, 1, ... with chances `weight` (threshold,).

    The highest value of S is taken out first. It is reached from `rises` values at most and gives them chances to go to
    `falls` values at most, so of the transitions that elimination adds, a window below it is all that is kept:
    `fill[i, j]` from S - i to S - j. Costs threshold * rises * falls.
    """
    threshold = len(weight)
    furthest = max(threshold - 1, 1)
    step = np.clip(np.asarray(increments, dtype=np.int64), -furthest, threshold)
    share = np.asarray(shares, dtype=np.float64)
    chance = np.bincount(step + threshold, share, minlength=2 * threshold + 1)
    missing = 1.0 - float(share.sum())
    up, down = chance[threshold + 1 :], chance[threshold - 1 :: -1]
    alarm = np.cumsum(up[::-1]) + (missing if missing > 1e-12 else 0.0)
    alarm = alarm[:threshold]  # from 0 the largest steps alarm, from the highest value all
    to_zero = np.cumsum(down[::-1])[::-1]  # by so many or more
    rises, falls = (int(np.flatnonzero(chances).max(initial=-1)) + 1 for chances in (up[:-1], down))
    if float(threshold) * (rises + 1) * (falls + 1) > MOST_WORK:
        return math.inf
    up, down = up[:rises], down[:falls]
    weighs, time, total = weight.copy(), np.ones(threshold), 0.0
    fill = np.zeros((rises + 1, falls + 1))
    for s in range(threshold - 1, -1, -1):
        row, column = down + fill[0, 1:], up + fill[1:, 0]  # from s to s - 1, s - 2, ..., and from these to s
        if s <= falls:
            row[s:] = 0.0
            if s:
                row[s - 1] = to_zero[s - 1] + fill[0, s]
        left, hold = departure(row, float(alarm[s]), float(time[s]))
        if weighs[s] > 0.0:
            total += float(weighs[s]) * hold
        row /= left
        to, origin = min(falls, s), min(rises, s)
        weighs[s - to : s] += (weighs[s] * row[:to])[::-1]
        alarm[s - origin : s] += (alarm[s] / left * column[:origin])[::-1]
        time[s - origin : s] += delayed(column[:origin], hold)[::-1]
        fill[:-1, :-1] = fill[1:, 1:] + np.multiply.outer(column, row)
        fill[-1], fill[:, -1] = 0.0, 0.0
    return total


def _transition(increments: npt.ArrayLike, shares: npt.ArrayLike, threshold: int) -> Any:
    step, share = np.asarray(increments, dtype=np.int64), fractions("shares", shares)
    if step.shape != share.shape or step.ndim != 1 or share.sum() > 1.0 + 1e-9:
        raise ValueError(
            f"shares: got {share.tolist()} for increments {step.tolist()}, allowed are shares of one whole"
        )
    states = np.arange(threshold)
    if threshold <= DENSE:
        dense = np.zeros((threshold, threshold))
        for by, chance in zip(step.tolist(), share.tolist(), strict=True):
            to = np.maximum(states + by, 0)
            dense[states[to < threshold], to[to < threshold]] += chance
        return dense
    rows, columns = np.broadcast_arrays(states[:, None], np.maximum(states[:, None] + step, 0))
    inside = columns < threshold
    values = np.broadcast_to(share, rows.shape)[inside]
    return scipy.sparse.csr_array((values, (rows[inside], columns[inside])), shape=(threshold, threshold))
