"""What e-SR and e-CUSUM share: bets on bounded observations, carried on for one series or many.

The two differ in one operation. With a bet's factor L and its carried V >= 1 its e-detector is L V; then
V <- join(1, L V), where join is the sum for e-SR, so that V = 1 + M, and the maximum for e-CUSUM, so that
V = max(1, M). V starts at 1 for both. It is kept as a number and a power of two, so that no step leaves the range of a
float; a step costs a few products and sums a bet, and one logarithm a series.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors.arrays import Floats, Ints
from detectors.contract import (
    Direction,
    Reading,
    Readings,
    Sides,
    Spec,
    StateMismatch,
    directions_of,
    one_by_one,
    require_observation,
    require_observations,
)
from detectors.sequential.alternatives import alternatives

# A number above 2^POWER gives that power to its exponent. No factor is above 1e100: products stay below 2^1023.
POWER: Final = 512
HIGHEST: Final = 2.0**POWER
LOG_2: Final = math.log(2.0)

# So many numbers of one series at a time, in pieces with a product of their factors within exp(-REACH) and exp(REACH):
# the arrays stay in the processor's cache, and sums of logarithms round by less than 1e-10.
STRETCH: Final = 65_536
REACH: Final = 300.0

# A step with arrays costs, before its first number, about what the logarithms of so many numbers do.
STEP: Final = 60

# Up to so many observations, one by one costs less than arrays.
FEW: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """An operation on arrays, on the arrays of their logarithms, and on two numbers."""

    arrays: np.ufunc
    logarithms: np.ufunc
    numbers: Callable[[float, float], float]


SUM: Final = Join(arrays=np.add, logarithms=np.logaddexp, numbers=operator.add)
MAXIMUM: Final = Join(arrays=np.maximum, logarithms=np.maximum, numbers=max)


class EDetectorState(msgspec.Struct, frozen=True):
    """The carried V of each bet: `value` times 2 to the power `exponent`."""

    value: tuple[float, ...] = ()
    exponent: tuple[Annotated[int, Meta(ge=0, le=2**53)], ...] = ()


class EDetector(Spec, frozen=True):
    """The parameters of `ESr` and `ECusum`; see there."""

    mean: Annotated[float, Meta(ge=1e-100, lt=1)] = 0.9
    smallest_change: Annotated[float, Meta(gt=0, lt=1)] = 0.02
    largest_change: Annotated[float, Meta(gt=0, lt=1)] | None = None
    direction: Sides = "fall"
    average_run_length: Annotated[float, Meta(gt=1, le=1e100)] = 10_000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self.bets()
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}.{error}") from None

    @property
    def directions(self) -> frozenset[Direction]:
        """What `direction` says."""
        return directions_of(self.direction)

    def bets(self) -> Bets:
        """The bets on the doubling grid of `alternatives`."""
        grid = alternatives(
            self.mean,
            smallest_change=self.smallest_change,
            largest_change=self.largest_change,
            direction=self.direction,
        )
        at_zero = (1.0 - grid.means) / (1.0 - self.mean)
        # A factor near 0 at x = 1 must not be rounded to 0 or below.
        slope = np.maximum(grid.means / self.mean - at_zero, -at_zero * (1.0 - 1e-15))
        return Bets(at_zero=at_zero[:, np.newaxis], slope=slope[:, np.newaxis], weight=grid.weights[:, np.newaxis])


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """L = at_zero + slope x, the factor of each bet, and its share of the stake; shapes (grid, series or 1)."""

    at_zero: Floats
    slope: Floats
    weight: Floats

    def factors(self, x: Floats) -> Floats:
        """L of observations x (..., series), shape (..., grid, series)."""
        factors: Floats = self.slope * x[..., np.newaxis, :]
        factors += self.at_zero
        return factors

    def longest(self) -> int:
        """A number of observations the product of whose factors is within exp(-REACH) and exp(REACH)."""
        reach = np.abs(np.log([self.at_zero, self.at_zero + self.slope])).max()
        return int(REACH / max(reach, 1.0))

    def of(self, series: Ints) -> Bets:
        """The bets of some series."""
        return Bets(self.at_zero[:, series], self.slope[:, series], self.weight[:, series])


class Lanes:
    """Series side by side: V = `value` times 2^`exponent`, both (grid, series), and both changed in place."""

    def __init__(self, bets: Bets, value: Floats, exponent: Ints, *, join: Join) -> None:
        self._bets, self._join = bets, join
        self.value, self.exponent = value, exponent
        self._follow()

    def update(self, x: Floats) -> Floats:
        """One observation a series, x (series,): the statistics (series,)."""
        each = self._bets.factors(x)
        each *= self.value
        self._join.arrays(self._one, each, out=self.value)
        each *= self._share
        # Row by row: the order of the sum, and so its last bit, must not depend on the number of series.
        mixture = each[0]
        for bet in each[1:]:
            mixture += bet
        statistic: Floats = np.log(mixture)
        statistic += self._offset
        if self.value.max() > HIGHEST or (self._raised and self.value.min() < 1.0):
            up = self.value > HIGHEST
            powers = POWER * (up.astype(np.int64) - ((self.value < 1.0) & (self.exponent > 0)))
            self.value[...] = np.ldexp(self.value, -powers)
            self.exponent += powers
            self._follow()
        return statistic

    def _follow(self) -> None:
        """What the exponents make of the 1 that is joined and of the weights, and what the log of the sum lacks."""
        largest = self.exponent.max(axis=0)
        self._raised = bool(largest.any())
        self._one = np.ldexp(1.0, -self.exponent) if self._raised else 1.0
        self._share = np.ldexp(self._bets.weight, self.exponent - largest) if self._raised else self._bets.weight
        self._offset = largest * LOG_2


def usable(value: Floats, exponent: npt.NDArray[np.float64 | np.int64]) -> bool:
    """Whether these can be carried on."""
    return bool(((value > 0.0) & (value <= HIGHEST) & (exponent >= 0) & (exponent % POWER == 0)).all())


@lru_cache(maxsize=1024)
def _plan(spec: EDetector) -> tuple[Bets, list[list[float]], int]:
    """The bets, their rows as numbers, and the `longest`: made once for all series of one kind, changed by none."""
    bets = spec.bets()
    return bets, np.hstack([bets.at_zero, bets.slope, bets.weight]).tolist(), bets.longest()


class EDetectorLogic:
    """The running e-detector: a number and an exponent for each alternative."""

    def __init__(self, spec: EDetector, *, join: Join, state: EDetectorState | None) -> None:
        self._kind = type(spec)
        self._join = join
        self._bets, self._rows, self._longest = _plan(spec)
        self._threshold = float(np.log(spec.average_run_length))
        grid = len(self._rows)
        self._value, self._exponent = [1.0] * grid, [0] * grid
        if state is not None:
            value, exponent = np.array(state.value, dtype=np.float64), np.array(state.exponent, dtype=np.int64)
            if value.shape != (grid,) or exponent.shape != (grid,) or not usable(value, exponent):
                raise StateMismatch(f"building {self._kind.__name__}: expected a state of {grid} numbers and exponents")
            self._value, self._exponent = list(state.value), list(state.exponent)

    def update(self, x: float) -> Reading:
        """Take one observation within [0, 1]. ValueError, and nothing changed, for another."""
        require_observation(x, self._kind)
        observed, largest, mixture = float(x), max(self._exponent), 0.0
        for place, (at_zero, slope, weight) in enumerate(self._rows):
            exponent = self._exponent[place]
            each = (slope * observed + at_zero) * self._value[place]
            mixture += each * math.ldexp(weight, exponent - largest)
            value = self._join.numbers(math.ldexp(1.0, -exponent), each)
            power = POWER if value > HIGHEST else -POWER if value < 1.0 and exponent else 0
            self._value[place], self._exponent[place] = math.ldexp(value, -power), exponent + power
        statistic = float(np.log(mixture)) + largest * LOG_2
        return Reading(statistic=statistic, threshold=self._threshold, alarm=statistic > self._threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first. Some 80 µs a call, and 4 to 8 ns an observation and bet."""
        values = require_observations(x, self._kind)
        if len(values) <= FEW:
            return one_by_one(self, values.tolist())
        statistic, length = np.empty(values.shape), -(-STRETCH // len(self._rows))
        for start in range(0, len(values), length):
            part = slice(start, start + length)
            statistic[part] = self._take(values[part])
        return Readings(
            statistic=statistic,
            threshold=np.full(statistic.shape, self._threshold),
            alarm=statistic > self._threshold,
        )

    def _take(self, x: Floats) -> Floats:
        """Observations (n,), n >= 1: the statistics.

        Where P is the product of the factors of some observations, and S what they make of V = 0, they make
        join(S, P V) of any V. So runs of a few observations go side by side, and give P and S of each; `group` runs in
        turn are a piece, whose P and S follow likewise. Pieces are chained by logarithms, dear but few, since V may
        leave the range of a float there; then back: from the V before a piece to those before its runs, and to all.
        """
        join, grid = self._join.arrays, len(self._rows)
        # The sum of costs is least where a step over runs, one over groups and the logarithms take equal parts.
        edge = math.ceil((len(x) * grid / STEP) ** (1 / 3))
        size = min(edge, self._longest)
        group = min(edge, self._longest // size)
        pieces = -(-len(x) // (size * group))
        filled = np.zeros(pieces * group * size)
        filled[: len(x)] = x
        factors = self._bets.factors(np.ascontiguousarray(filled.reshape(pieces, group, size).T))

        # What the last piece lacks in observations must leave V as it is: join(0, 1 V).
        full, rest = divmod(len(x) - (pieces - 1) * group * size, size)
        factors[:, full + 1 :, :, -1] = factors[rest:, full:, :, -1] = 1.0
        joined = np.ones((group, grid, pieces))
        joined[full + 1 :, :, -1] = 0.0
        made = np.zeros(joined.shape)
        for step, factor in enumerate(factors):
            if step == rest:
                joined[full:, :, -1] = 0.0
            np.multiply(factor, made, out=made)
            join(joined, made, out=made)
        product = np.multiply.reduce(factors, axis=0)

        whole = np.zeros((grid, pieces))
        for run, factor in zip(made, product, strict=True):
            np.multiply(factor, whole, out=whole)
            join(run, whole, out=whole)
        logs, total = np.empty((grid, pieces + 1)), np.zeros((grid, pieces + 1))
        np.cumsum(np.log(np.multiply.reduce(product, axis=0)), axis=1, out=total[:, 1:])
        logs[:, 0] = np.log(self._value) + np.multiply(self._exponent, LOG_2)
        logs[:, 1:] = np.log(whole) - total[:, 1:]
        logs = self._join.logarithms.accumulate(logs, axis=1) + total

        # V over the largest of its piece: bets far below it are lost in the sum, not in what is carried on.
        scale = logs[:, :-1].max(axis=0)
        one = np.exp(-scale)
        made *= one
        start, value = np.exp(logs[:, :-1] - scale), np.empty(joined.shape)
        for place, (run, factor) in enumerate(zip(made, product, strict=True)):
            value[place] = start
            np.multiply(factor, start, out=start)
            join(run, start, out=start)
        joined[...] = one
        for each in factors:
            np.multiply(each, value, out=each)
            join(joined, each, out=value)
        statistic: Floats = np.log(self._bets.weight[:, 0] @ factors)
        statistic += scale

        last: list[float] = logs[:, -1].tolist()
        self._exponent = [POWER * max(math.ceil(log / (POWER * LOG_2)) - 1, 0) for log in last]
        self._value = [math.exp(log - exponent * LOG_2) for log, exponent in zip(last, self._exponent, strict=True)]
        return statistic.ravel(order="F")[: len(x)]

    def snapshot(self) -> EDetectorState:
        """What is carried on."""
        return EDetectorState(value=tuple(self._value), exponent=tuple(self._exponent))
