"""How long a chart runs until it alarms: mean, distribution and quantiles, from the Markov chain of its statistic.

An average run length is a mean, not a guarantee: the run length is nearly geometric, so a chart with an average of A
alarms within its first A observations with a probability near .63.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, require_fraction

LONGEST_HEAD: Final = 1 << 17
"""Probabilities taken one by one before the tail counts as geometric; a chain forgets its start long before."""


class RunLength:
    """The number of observations up to and including the first alarm.

    `mean` is the average run length. Probabilities are computed when asked for, one observation after the other until
    the chance of an alarm has settled, and by that constant chance from there on (relative error about 1e-7).
    """

    def __init__(self, mean: float, survival: Callable[[int], Floats]) -> None:
        self.mean = mean
        self._survival = survival
        self._head: Floats | None = None

    def __repr__(self) -> str:
        return f"RunLength(mean={self.mean:.6g})"

    def alarm_within(self, n: npt.ArrayLike) -> Floats:
        """P(alarm within the first n observations), n whole numbers of any shape.

        >>> from detectors.charts import lattice_run_length
        >>> lattice_run_length([6, -1], [0.1, 0.9], threshold=50).alarm_within([100, 9505]).round(4).tolist()
        [0.0039, 0.6321]
        """
        counts = np.asarray(n, dtype=np.int64)
        if (counts < 0).any():
            raise ValueError(f"n: found {counts.min()}, allowed are whole numbers >= 0")
        head = self.settled()
        inside = head[np.minimum(counts, len(head) - 1)]
        beyond = np.maximum(counts - (len(head) - 1), 0)
        found: Floats = 1.0 - inside * _ratio(head) ** beyond
        return found

    def quantile(self, share: float) -> int:
        """The least n with P(alarm within n) >= share, 0 < share < 1; .5 gives the median run length.

        >>> from detectors.charts import lattice_run_length
        >>> lattice_run_length([6, -1], [0.1, 0.9], threshold=50).quantile(0.5)
        6610
        """
        left = 1.0 - require_fraction("share", share)
        head = self.settled()
        if head[-1] <= left:
            return int(np.argmax(head <= left))
        steps = math.log(left / head[-1]) / math.log(_ratio(head))
        return len(head) - 1 + math.ceil(steps - 1e-9)

    def settled(self) -> Floats:
        """P(run length > n) for n = 0, 1, ... until its decline is geometric."""
        count = 256
        while self._head is None:
            head = self._survival(count)
            early, late = _ratio(head[: count // 2]), _ratio(head)
            if abs(late - early) <= 1e-7 * (1.0 - late) + 1e-14 or count >= LONGEST_HEAD:
                self._head = head
            count *= 2
        return self._head


def absorption(transition: Any, start: Floats) -> RunLength:
    """The run length of a chain: `transition` (n, n), dense or sparse, between quiet states; `start` (n,) after a step.

    Rows may add up to less than 1; what is missing is the chance of an alarm. Mean = 1 + start (I - transition)^-1 1.
    Source: Brook and Evans 1972, Biometrika 59, 539-549.

    >>> absorption(np.array([[0.9]]), np.array([0.9])).mean.__round__(9)
    10.0
    """

    def survival(count: int) -> Floats:
        quiet, row = np.empty(count), start
        quiet[0] = 1.0
        for n in range(1, count):
            quiet[n] = row.sum()
            row = row @ transition
        return quiet

    return RunLength(1.0 + float(start @ expected_times(transition)), survival)


def expected_times(transition: Any) -> Floats:
    """Mean number of observations until the alarm from each of the quiet states, shape (n,).

    >>> expected_times(np.array([[0.5, 0.0], [0.5, 0.0]])).tolist()
    [2.0, 2.0]
    """
    return _solver(transition)(np.ones(transition.shape[0]), False)


def quiet_distribution(transition: Any) -> Floats:
    """Where the statistic of a chart is after a long time without an alarm, shape (n,): its steady state.

    The left eigenvector of the greatest eigenvalue, by inverse iteration. A start from here gives the run length after
    a change that comes late (the conditional steady state), where a start from zero gives that of an early change.

    >>> quiet_distribution(np.array([[0.5, 0.25], [0.25, 0.5]])).round(6).tolist()
    [0.5, 0.5]
    """
    size = transition.shape[0]
    solve = _solver(transition)
    row = np.full(size, 1.0 / size)
    for _ in range(500):
        following = solve(row, True)
        following /= following.sum()
        if np.abs(following - row).sum() <= 1e-13:
            break
        row = following
    return following


def two_sided(
    rise: RunLength,
    fall: RunLength,
    *,
    rise_from_zero: RunLength | None = None,
    fall_from_zero: RunLength | None = None,
) -> RunLength:
    """The run length of two opposite CUSUMs on the same series, of which the first to alarm counts.

    Exact where one stands at zero whenever the other alarms, as for equal thresholds and a fall's reference value at
    most that of the rise. Without head starts 1/L = 1/L(rise) + 1/L(fall). With head starts (both before the first
    observation) give the sides from zero too. Generating functions of P(run length > n) from the same renewal argument
    give the distribution: G = (R F0 + F R0 - R0 F0) / (R0 + F0 - (1 - z) R0 F0).

    Source: Kemp 1961, J. R. Stat. Soc. B 23, 149-153; Lucas and Crosier 1982, Technometrics 24, 199-205.

    >>> side = absorption(np.array([[0.9]]), np.array([0.9]))
    >>> round(two_sided(side, side).mean, 9)
    5.0
    """
    rise_zero, fall_zero = rise_from_zero or rise, fall_from_zero or fall
    mean = (rise.mean * fall_zero.mean + fall.mean * rise_zero.mean - rise_zero.mean * fall_zero.mean) / (
        rise_zero.mean + fall_zero.mean
    )

    def survival(count: int) -> Floats:
        at = np.arange(count)
        r, f, r0, f0 = (1.0 - side.alarm_within(at) for side in (rise, fall, rise_zero, fall_zero))
        both = _product(r0, f0)
        numerator = _product(r, f0) + _product(f, r0) - both
        denominator = r0 + f0 - np.diff(both, prepend=0.0)
        return _quotient(numerator, denominator)

    return RunLength(mean, survival)


def _solver(transition: Any) -> Callable[[Floats, bool], Floats]:
    """Solves (I - transition) v = right, or with its transpose, any number of times."""
    size = transition.shape[0]
    if scipy.sparse.issparse(transition):
        identity: Any = scipy.sparse.eye_array(size, format="csc")
        factors: Any = scipy.sparse.linalg.splu((identity - transition).tocsc())
        return lambda right, transposed: factors.solve(right, "T" if transposed else "N")
    decomposed = scipy.linalg.lu_factor(np.eye(size) - transition)
    return lambda right, transposed: scipy.linalg.lu_solve(decomposed, right, trans=1 if transposed else 0)


def _ratio(head: Floats) -> float:
    return float(head[-1] / head[-2]) if head[-1] > 0 else 0.0


def _product(a: Floats, b: Floats) -> Floats:
    size = 1 << (2 * len(a) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(b, size), size)[: len(a)]


def _quotient(a: Floats, b: Floats) -> Floats:
    """The power series a / b: each Newton step doubles how many terms of 1 / b are right."""
    inverse = np.array([1.0 / b[0]])
    while len(inverse) < len(b):
        right = min(2 * len(inverse), len(b))
        padded = np.zeros(right)
        padded[: len(inverse)] = inverse
        correction = -_product(b[:right], padded)
        correction[0] += 2.0
        inverse = _product(padded, correction)
    return _product(a, inverse)
