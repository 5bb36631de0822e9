# cython: language_level=3, annotation_typing=False, boundscheck=False, wraparound=False, cdivision=True, cpow=True
"""The loops of detectors that go from one observation to the next; compiled if there is a compiler.

Every one takes memory of doubles: `values`, oldest first, and two of the same length, in which it writes what it says,
`statistics` and `thresholds`, both full of NaN, if it does not say otherwise; then parameters, then what it carries
from value to value, which it gives back. step_loops.pxd tells the compiler the types and nothing else: compiled or not,
it is this text that runs, with the same bits at some 5 or 500 nanoseconds a value. Where the detector is River's the
order of the operations is too, so that results are equal to the last bit. What a state calls None is infinity or NaN
here.
"""

from __future__ import annotations

import math
from typing import TypeAlias

Doubles: TypeAlias = "memoryview[float]"
"""One dimension, format "d", contiguous. Read one by one these are plain numbers, ten times as fast as an array's."""

_NAN = float("nan")
_INFINITY = float("inf")

LOWEST = -4096.0
"""A sum of `cusum` that has been lower starts again at its lowest, so that rounding does not grow with the stream."""
_LOWEST = LOWEST

POWER = 512
"""Step of the exponents that `e_detector` carries: no factor is above 1e100, so products stay below 2^1023."""
_HIGHEST = 2.0**POWER

ROUNDINGS = 8.0
"""Error of an e-value that was not carried, in `confidence_sequence`."""
_MOST_ROUNDINGS = 1024.0
_AGREE = 1e-13


def cusum(
    values: Doubles,
    statistics: Doubles,
    thresholds: Doubles,
    target: float,
    sigma: float,
    slack: float,
    threshold: float,
    rises: bool,
    falls: bool,
    rise: float,
    lowest_rise: float,
    fall: float,
    lowest_fall: float,
    n: int,
) -> tuple[float, float, float, float, int]:
    """Running sums of what is beyond the slack, less the lowest that each has been (`charts.cusum`)."""
    for index in range(len(values)):
        n += 1
        z = (values[index] - target) / sigma
        up = down = 0.0
        if rises:
            rise += z - slack
            lowest_rise = min(lowest_rise, rise)
            up = rise - lowest_rise
            if lowest_rise < _LOWEST:
                rise, lowest_rise = up, 0.0
        if falls:
            fall += -z - slack
            lowest_fall = min(lowest_fall, fall)
            down = fall - lowest_fall
            if lowest_fall < _LOWEST:
                fall, lowest_fall = down, 0.0
        statistics[index] = max(up, down)
        thresholds[index] = threshold
    return rise, lowest_rise, fall, lowest_fall, n


def page_hinkley(
    values: Doubles,
    statistics: Doubles,
    thresholds: Doubles,
    slack: float,
    threshold: float,
    forgetting: float,
    warm_up: int,
    rises: bool,
    falls: bool,
    n: int,
    mean: float,
    rise: float,
    lowest: float,
    fall: float,
    highest: float,
) -> tuple[int, float, float, float, float, float]:
    """Sums of deviations from the running mean, and their extremes (`charts.page_hinkley`)."""
    for index in range(len(values)):
        x = values[index]
        n += 1
        mean += (1.0 / n) * (x - mean)
        rise = forgetting * rise + (x - mean) - slack
        fall = forgetting * fall + (x - mean) + slack
        if rise < lowest or n == 1:
            lowest = rise
        if fall > highest or n == 1:
            highest = fall
        if n >= warm_up:
            up = rise - lowest if rises else 0.0
            down = highest - fall if falls else 0.0
            statistics[index] = max(up, down)
            thresholds[index] = threshold
    return n, mean, rise, lowest, fall, highest


def ddm(
    values: Doubles,
    statistics: Doubles,
    thresholds: Doubles,
    warm_up: int,
    deviations: float,
    n: int,
    rate: float,
    least_rate: float,
    least_deviation: float,
) -> tuple[int, float, float, float]:
    """The error rate, and rate and deviation where their sum was least, infinite before (`river.ddm`)."""
    for index in range(len(values)):
        n += 1
        rate += (1.0 / n) * (values[index] - rate)
        if n > warm_up:
            deviation = math.sqrt(rate * (1 - rate) / n)
            if rate + deviation <= least_rate + least_deviation:
                least_rate, least_deviation = rate, deviation
            statistics[index] = rate + deviation
            thresholds[index] = least_rate + deviations * least_deviation
    return n, rate, least_rate, least_deviation


def eddm(
    values: Doubles,
    statistics: Doubles,
    thresholds: Doubles,
    warm_up: int,
    share: float,
    n: int,
    last: int,
    errors: int,
    mean: float,
    squares: float,
    largest: float,
    level: float,
) -> tuple[int, int, int, float, float, float, float]:
    """Distances between errors; `largest` is -inf and `level` NaN before there is one (`river.eddm`)."""
    for index in range(len(values)):
        n += 1
        if values[index] != 0.0:
            errors += 1
            distance = n - last
            last = n
            before = mean
            mean += (1.0 / errors) * (distance - mean)
            squares += 1.0 * (distance - before) * (distance - mean)
            if n > warm_up:
                variance = squares / (errors - 1) if errors > 1 else 0.0
                value = mean + 2 * variance**0.5
                largest = max(largest, value)
                if errors > warm_up:
                    level = value / largest
        if not math.isnan(level):
            statistics[index] = -level
            thresholds[index] = -share
    return n, last, errors, mean, squares, largest, level


def hddm_a(
    values: Doubles,
    statistics: Doubles,
    thresholds: Doubles,
    log_cut: float,
    log_test: float,
    rises: bool,
    falls: bool,
    n: int,
    mean: float,
    rise_n: int,
    rise_mean: float,
    least: float,
    fall_n: int,
    fall_mean: float,
    most: float,
) -> tuple[int, float, int, float, int, float]:
    """Means of all and up to the cuts; `least` and `most` are the bounds that made these (`river.hddm_a`)."""
    for index in range(len(values)):
        n += 1
        mean += (1.0 / n) * (values[index] - mean)
        bound = math.sqrt(1.0 / (2 * n) * log_cut)
        if least >= mean + bound:
            rise_n, rise_mean, least = n, mean, mean + bound
        if most <= mean - bound:
            fall_n, fall_mean, most = n, mean, mean - bound
        statistic = threshold = 0.0
        if rises:
            statistic = mean - rise_mean
            threshold = math.sqrt(1.0 * (n - rise_n) / rise_n * (1.0 / n) / 2 * log_test)
        if falls:
            other = fall_mean - mean
            limit = math.sqrt(1.0 * (n - fall_n) / fall_n * (1.0 / n) / 2 * log_test)
            if not rises or other - limit > statistic - threshold:
                statistic, threshold = other, limit
        statistics[index] = statistic
        thresholds[index] = threshold
    return n, mean, rise_n, rise_mean, fall_n, fall_mean


Cut = tuple[float, float, float, float, float]
"""Of one direction: mean and sum of squares before the cut, the bound that made it, mean and sum of squares since."""


def moved(
    side: Cut, x: float, mean: float, square: float, root: float, weight: float, own_square: float, kept_square: float
) -> Cut:
    """A side after x: cut anew where the mean of all plus `root` is the least so far, else one value more since."""
    before, before_square, bound, since, since_square = side
    if mean + root < bound:
        return mean, square, mean + root, _NAN, 1.0
    since = x if math.isnan(since) else weight * x + (1 - weight) * since
    return before, before_square, bound, since, own_square + kept_square * since_square


def hddm_w(
    values: Doubles,
    statistics: Doubles,
    thresholds: Doubles,
    weight: float,
    kept_square: float,
    log: float,
    rises: bool,
    falls: bool,
    mean: float,
    square: float,
    rise: Cut,
    fall: Cut,
) -> tuple[float, float, Cut, Cut]:
    """Weighted means; NaN before the first value and right after a cut, the bound infinite before (`river.hddm_w`)."""
    own_square = weight * weight
    for index in range(len(values)):
        x = values[index]
        mean = x if math.isnan(mean) else weight * x + (1 - weight) * mean
        square = own_square + kept_square * square
        root = math.sqrt(square * log / 2)
        # A fall is a rise of what is short of 0.
        rise = moved(rise, x, mean, square, root, weight, own_square, kept_square)
        fall = moved(fall, -x, -mean, square, root, weight, own_square, kept_square)
        statistic = threshold = 0.0
        if rises:
            before, before_square, _, since, since_square = rise
            statistic = 0.0 if math.isnan(since) else since - before
            threshold = math.sqrt((before_square + since_square) * log / 2)
        if falls:
            before, before_square, _, since, since_square = fall
            other = 0.0 if math.isnan(since) else since - before
            limit = math.sqrt((before_square + since_square) * log / 2)
            if not rises or other - limit > statistic - threshold:
                statistic, threshold = other, limit
        statistics[index] = statistic
        thresholds[index] = threshold
    return mean, square, rise, fall


def e_detector(
    values: Doubles, mixtures: Doubles, powers: Doubles, bets: Doubles, sums: bool, carried: Doubles
) -> None:
    """The weighted sum of the bets' e-detectors, `mixtures` times 2 to the `powers` (`sequential.e_detector`).

    `bets`: what each makes of 0, by how much more of 1, its weight; first one of all, then the next. `carried`, changed
    in place, has value, exponent and twice room for another number of each.
    """
    count = len(bets) // 3
    moved = True
    largest = 0.0
    for index in range(len(values)):
        if moved:
            moved = False
            largest = 0.0
            for bet in range(count):
                largest = max(largest, carried[count + bet])
            for bet in range(count):
                exponent = carried[count + bet]
                carried[2 * count + bet] = math.ldexp(bets[2 * count + bet], power_of_two(exponent - largest))
                carried[3 * count + bet] = math.ldexp(1.0, power_of_two(-exponent))
        x = values[index]
        mixture = 0.0
        for bet in range(count):
            each = (bets[count + bet] * x + bets[bet]) * carried[bet]
            mixture += each * carried[2 * count + bet]
            one = carried[3 * count + bet]
            joined = one + each if sums else max(one, each)
            if joined > _HIGHEST:
                joined = math.ldexp(joined, -POWER)
                carried[count + bet] += POWER
                moved = True
            elif joined < 1.0 and carried[count + bet] > 0.0:
                joined = math.ldexp(joined, POWER)
                carried[count + bet] -= POWER
                moved = True
            carried[bet] = joined
        mixtures[index] = mixture
        powers[index] = largest


def power_of_two(exponent: float) -> int:
    """`exponent`, which is not above 0, as an exponent of `ldexp`; beyond 2^-2000 all is 0."""
    return int(max(exponent, -2000.0))


def confidence_sequence(
    values: Doubles,
    found: Doubles,
    powers: Doubles,
    falls: bool,
    a: float,
    b: float,
    share: float,
    edge: float,
    period: int,
    n: int,
    total: float,
    value: float,
    error: float,
    power: float,
) -> tuple[int, float, float, float, float]:
    """e-values of the counts of verdicts in each period, `found` times 2 to the `powers` (`BernoulliMixture.log_e`).

    With I = e after k hits of n, c the `edge` and p the `share`, integrating d/dx [x^(a + k) (1 - x)^(b + n - k)] over
    what is above p gives the step: (k - n p) I + c, divided by n p + a, is added after a hit, and divided by
    n (1 - p) + b taken away after a miss; a / p = b / (1 - p). If `falls`, a 0 is a hit.

    What is taken away leaves few digits where the mean is on the good side. So a bound on the error, in roundings of I,
    is carried along (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.3), and where it is large I
    is computed anew.

    From an observation that is neither 0 nor 1 to the end of the period `value` is NaN, `found` has the sum and
    `powers` the count, negative.
    """
    rest = 1.0 - share
    hit = 0.0 if falls else 1.0
    scaled = math.ldexp(edge, power_of_two(-power))
    for index in range(len(values)):
        x = values[index]
        if n == period:
            n, total, value, error, power, scaled = 0, 0.0, 1.0, ROUNDINGS, 0.0, edge
        hits = n - total if falls else total
        misses = n - hits
        # k - n p from the smaller numbers, which is where 1 - p is exact too.
        drift = hits - n * share if share < 0.5 else n * rest - misses
        step = drift * value + scaled
        spread = drift * error
        if x == hit:
            whole = n * share + a
            value += step / whole
            error += (scaled + spread) / whole + value
            hits += 1.0
        elif x == 1.0 - hit:
            whole = n * rest + b
            error += (scaled - spread) / whole + value
            value -= step / whole
            misses += 1.0
        else:
            value = _NAN
        n += 1
        total += x
        if error > _MOST_ROUNDINGS * value and scaled > 0.0:
            short = (b + misses) * share - (a + hits) * rest
            # A standard deviation from p the fraction needs some hundred terms at most, whatever n. Nearer or on the
            # other side of it nothing is lost.
            if short > 0.0 and short * short > (n + a + b) * share * rest:
                value = scaled * upper_tail(a + hits, b + misses, share)
                error = ROUNDINGS * value
        if value > _HIGHEST or (value < 1.0 and power > 0.0):
            raised = POWER if value > 1.0 else -POWER
            power += raised
            value = math.ldexp(value, -raised)
            error = math.ldexp(error, -raised)
            scaled = math.ldexp(edge, power_of_two(-power))
        if 0.0 < value < _INFINITY:
            found[index] = value
            powers[index] = power
        else:
            value = _NAN
            found[index] = total
            powers[index] = -n
    return n, total, value, error, power


def upper_tail(a: float, b: float, share: float) -> float:
    """The integral of x^(a - 1) (1 - x)^(b - 1) over what is above p = `share`, divided by p^a (1 - p)^b.

    For p at a / (a + b) or above. Relative error 1e-13 at most for parameters up to 1e7.

    >>> round(upper_tail(1.0, 3.0, 0.5), 12)
    0.666666666667
    """
    terms = 4
    found = tail_fraction(a, b, share, terms)
    while True:
        terms *= 2
        before = found
        found = tail_fraction(a, b, share, terms)
        # Twice the terms have far more than the digits in which both agree.
        if not abs(found - before) > _AGREE * found:
            return found


def tail_fraction(a: float, b: float, share: float, terms: int) -> float:
    """The continued fraction for `upper_tail`, so many terms of it, from the last to the first.

    Source: DiDonato and Morris 1992, ACM TOMS 18, algorithm 708 (the even part of NIST DLMF 8.17.22) for
    1 - x and exchanged parameters.
    """
    rest = 1.0 - share
    size = a + b
    # a + b times p, less a, without the cancellation.
    short = b * share - a * rest
    beyond = 0.0
    for index in range(terms):
        j = 1.0 * (terms - index)
        over = rest / (b + 2.0 * j - 1.0)
        term = j + j * (a - j) * over + (b + j) / (b + 2.0 * j + 1.0) * (short + 1.0 + j * (1.0 + share))
        beyond = (b + j - 1.0) * (size + j - 1.0) * j * (a - j) * over * over / (term + beyond)
    return 1.0 / (b / (b + 1.0) * (short + 1.0) + beyond)
