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

NOTHING: Final = 1e-12
"""A chance to be quiet still that is not told from rounding."""

SOLVED: Final = 1e7
"""Up to this mean a solved linear system of a quadrature is right to six digits; what it loses grows with the mean."""

LONGEST_SOLVED: Final = 1e12
"""Above this mean a solved linear system says nothing, and may be negative."""


ROUNDING: Final = 1e-4
"""A mean near 1 is a difference of means that are right to six digits or so."""


class RunLength:
    """The number of observations up to and including the first alarm.

    `mean` is the average run length, infinity where there is none or where it is too long to be computed.
    Probabilities are computed when asked for, one observation after the other until the chance of an alarm has settled
    (absolute error about 1e-12), and by that constant chance from there on: relative error about 1e-7. A chance below
    1e-7 drowns in rounding; it is then the one that the mean has.
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
        found: Floats = 1.0 - inside - inside * np.expm1(self._decline(head) * beyond)
        return found

    def quantile(self, share: float) -> int:
        """The least n with P(alarm within n) >= share, 0 < share < 1; .5 gives the median run length.

        Raises ValueError where a chart of infinite mean does not come so far.

        >>> from detectors.charts import lattice_run_length
        >>> lattice_run_length([6, -1], [0.1, 0.9], threshold=50).quantile(0.5)
        6610
        """
        left = 1.0 - require_fraction("share", share)
        head = self.settled()
        if head[-1] <= left:
            return int(np.argmax(head <= left))
        decline = self._decline(head)
        if decline == 0.0:
            raise ValueError(f"share: got {share!r}, allowed is what an infinite mean leaves: below {1.0 - head[-1]:g}")
        steps = math.log(left / head[-1]) / decline
        return len(head) - 1 + math.ceil(steps - 1e-9)

    def settled(self) -> Floats:
        """P(run length > n) for n = 0, 1, ... until its decline is geometric; never rises."""
        count = 256
        while self._head is None:
            head = np.minimum.accumulate(np.clip(self._survival(count), 0.0, 1.0))
            head[0] = 1.0
            head = head[: np.count_nonzero(head >= NOTHING) + 1]
            early, late = _ratio(head[: count // 2]), _ratio(head)
            if abs(late - early) <= 1e-7 * (1.0 - late) + 1e-14 or len(head) < count or count >= LONGEST_HEAD:
                self._head = head
            count *= 2
        return self._head

    def _decline(self, head: Floats) -> float:
        """What an observation adds to log P(run length > n) after the head."""
        if head[-1] <= 0.0:
            return 0.0
        ratio = _ratio(head)
        if ratio < 1.0 - 1e-7:
            return math.log(ratio)
        left = (self.mean - float(head[:-1].sum())) / float(head[-1])
        return math.log1p(-1.0 / left) if left > 1.0 else math.log(ratio)


def absorption(
    transition: Any, start: Floats, *, long: Callable[[], float] | None = None, solved: float = SOLVED
) -> RunLength:
    """The run length of a chain: `transition` (n, n), dense or sparse, between quiet states; `start` (n,) after a step.

    Rows may add up to less than 1; what is missing is the chance of an alarm. Mean = 1 + start (I - transition)^-1 1.
    Of a chance of 1e-16 only the rounding of the rows is left. So where the mean time from any state exceeds `solved`,
    the mean is what `long` says, for instance by `eliminated_mean`. Without `long` it is infinite where one exceeds
    1e12: nothing is right from there on.
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

    times = _solved_times(transition, LONGEST_SOLVED if long is None else solved)
    if times is not None:
        return RunLength(1.0 + float(start @ times), survival)
    return RunLength(math.inf if long is None else long(), survival)


def expected_times(transition: Any) -> Floats:
    """Mean number of observations until the alarm from each of the quiet states, shape (n,).

    All are infinite where one is above 1e12 or there is no alarm: the linear system then is singular to rounding.

    >>> expected_times(np.array([[0.5, 0.0], [0.5, 0.0]])).tolist()
    [2.0, 2.0]
    """
    times = _solved_times(transition, LONGEST_SOLVED)
    return np.full(transition.shape[0], math.inf) if times is None else times


def eliminated_mean(transition: Floats, alarm: Floats, weight: Floats) -> float:
    """Mean number of observations until the alarm of a chain that is in its quiet states with chances `weight` (n,).

    `transition` (n, n) dense, `alarm` (n,) the chance of an alarm from each state: not 1 less the rest, but computed
    for itself, to all its digits. States are taken out one after the other, and what they did is given to the others:
    without a subtraction, the mean is right to 1e-16 times a few n, however long; infinity above 1e300. What a state
    keeps to itself is not read. n^3 / 3 operations, fewer where transitions lead to near states only.

    Source: Grassmann, Taksar and Heyman 1985, Operations Research 33, 1107-1116.

    >>> eliminated_mean(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([1e-40, 0.0]), np.array([1.0, 0.0]))
    1.5e+40
    """
    chance, kill, weighs, time = transition.copy(), alarm.copy(), weight.copy(), np.ones(len(alarm))
    total = 0.0
    for k in range(len(kill) - 1, -1, -1):
        to, origin = slice(_first(chance[k, :k]), k), slice(_first(chance[:k, k]), k)
        row, column = chance[k, to], chance[origin, k]
        left, hold = departure(row, float(kill[k]), float(time[k]))
        if weighs[k] > 0.0:
            total += float(weighs[k]) * hold
        row = row / left
        weighs[to] += weighs[k] * row
        kill[origin] += kill[k] / left * column
        time[origin] += delayed(column, hold)
        chance[origin, to] += np.multiply.outer(column, row)
    return total


def departure(row: Floats, alarm: float, time: float) -> tuple[float, float]:
    """The chance to leave a state by an observation, to others (`row`) or to the alarm, and the mean stay: time / left.

    Of a state that is never left: a chance of 1 (of its zeros nothing comes) and an infinite stay.
    """
    left = float(row.sum()) + alarm
    if left == 0.0:
        return 1.0, math.inf
    return left, time / left if time < left * 1e300 else math.inf


def delayed(column: Floats, hold: float) -> Floats:
    """What a stay of `hold` observations adds where one goes to it with chances `column`."""
    if hold < math.inf:
        longer: Floats = hold * column
        return longer
    return np.where(column > 0.0, math.inf, 0.0)


def quiet_distribution(transition: Any) -> Floats:
    """Where the statistic of a chart is after a long time without an alarm, shape (n,): its steady state.

    The left eigenvector of the greatest eigenvalue, by inverse iteration. A start from here gives the run length after
    a change that comes late (the conditional steady state), where a start from zero gives that of an early change.

    >>> quiet_distribution(np.array([[0.5, 0.25], [0.25, 0.5]])).round(6).tolist()
    [0.5, 0.5]
    """
    size = transition.shape[0]
    # The vector is that of any multiple of I; this one is not singular where alarms are too rare for rounding.
    solve = _solver(transition, 1.0 + 1e-13)
    if solve is None:
        raise ValueError("transition: rows add up to more than 1")
    row = np.full(size, 1.0 / size)
    for _ in range(500):
        following = solve(row, True)
        # First the sign: of a quadrature the eigenvalue may be above the multiple.
        following = np.maximum(following / following.sum(), 0.0)
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

    Exact where one stands at zero whenever the other alarms. While both are above zero their sum cannot grow where a
    fall's reference value is at most that of the rise: so for equal thresholds, and head starts (both before the first
    observation) of at most half of them. Without head starts 1/L = 1/L(rise) + 1/L(fall); with them give the sides from
    zero too. Generating functions of P(run length = n) from the same renewal argument give the distribution:
    g = (r + f - r f0 - f r0) / (1 - r0 f0). A side of infinite mean is none. ValueError where the mean comes out below
    1, as only that of higher head starts does; not all of these are found so.

    Source: Kemp 1961, J. R. Stat. Soc. B 23, 149-153; Lucas and Crosier 1982, Technometrics 24, 199-205.

    >>> side = absorption(np.array([[0.9]]), np.array([0.9]))
    >>> round(two_sided(side, side).mean, 9)
    5.0
    """
    rise_zero, fall_zero = rise_from_zero or rise, fall_from_zero or fall
    if math.isinf(rise.mean) or math.isinf(rise_zero.mean):
        return fall
    if math.isinf(fall.mean) or math.isinf(fall_zero.mean):
        return rise
    # (R F0 + F R0 - R0 F0) / (R0 + F0), without products that overflow.
    first = 1.0 / (1.0 + rise_zero.mean / fall_zero.mean)
    second = 1.0 / (1.0 + fall_zero.mean / rise_zero.mean)
    mean = first * (rise.mean - rise_zero.mean) + second * fall.mean
    if mean < 1.0 - ROUNDING:
        raise ValueError(
            f"rise, fall: their mean is {mean:g}, allowed are head starts of at most half of the threshold"
        )

    def survival(count: int) -> Floats:
        at = np.arange(count)
        r, f, r0, f0 = (np.diff(side.alarm_within(at), prepend=0.0) for side in (rise, fall, rise_zero, fall_zero))
        not_both = -_product(r0, f0)
        not_both[0] += 1.0
        return 1.0 - np.cumsum(_quotient(r + f - _product(r, f0) - _product(f, r0), not_both))

    return RunLength(max(mean, 1.0), survival)


def _solved_times(transition: Any, longest: float) -> Floats | None:
    """Mean times to the alarm (n,) by a linear system; None where they exceed `longest` or rounding has eaten them."""
    solve = _solver(transition, 1.0)
    times = None if solve is None else solve(np.ones(transition.shape[0]), False)
    # A time is at least 1; that of a quadrature nearly so.
    return times if times is not None and times.min() > 0.5 and times.max() <= longest else None


def _solver(transition: Any, diagonal: float) -> Callable[[Floats, bool], Floats] | None:
    """Solves (diagonal I - transition) v = right, or its transpose, any number of times; None if it is singular."""
    size = transition.shape[0]
    if scipy.sparse.issparse(transition):
        identity: Any = scipy.sparse.eye_array(size, format="csc")
        try:
            factors: Any = scipy.sparse.linalg.splu((diagonal * identity - transition).tocsc())
        except RuntimeError:
            return None
        return lambda right, transposed: factors.solve(right, "T" if transposed else "N")
    *decomposed, zero_pivot = scipy.linalg.lapack.dgetrf(diagonal * np.eye(size) - transition)
    if zero_pivot:
        return None
    return lambda right, transposed: scipy.linalg.lu_solve(tuple(decomposed), right, trans=1 if transposed else 0)


def _first(chances: Floats) -> int:
    """The first that is above 0; the number of them if none is."""
    positive = chances > 0.0
    return int(positive.argmax()) if positive.any() else len(chances)


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
