"""Hour-of-week baseline: mean and spread of a series in each of 168 hours, from sums that add up.

Hours are of UTC. Where people live by a clock with daylight saving, the whole profile is an hour off for some weeks
after each change; give local seconds (UTC plus the offset in force) if that matters. Public holidays look like a fault
on a weekday: neither learn from them nor judge them. What has been learnt is the accepted baseline: keep a known
incident out of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Ints, finite, fractions, nonnegative

BINS: Final = 168
_HOURS: Final = 24
# 1970-01-01 was a Thursday: 72 hours after the beginning of its week.
_EPOCH: Final = 72


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """Sums by hour of the week, (..., 168), a series each: number of observations, their sizes n, n x and n x^2.

    `forget` makes each observation count f, its share that is left: these four are then sums of f, f n, f n x and
    f n x^2, and `remembered` is that of f^2 n, from which follows how much the means and variances still rest on.
    """

    count: Floats
    size: Floats
    total: Floats
    square: Floats
    remembered: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What a baseline expects: `mean`, and `sd` of a new observation about it; NaN where too little is known."""

    mean: Floats
    sd: Floats

    def residual(self, x: npt.ArrayLike) -> Floats:
        """(x - mean) / sd: in control about mean 0 and sd 1, for any chart of standardised observations.

        NaN where nothing is expected, and where sd is 0 or not known. Charts refuse NaN: leave these observations out.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = (np.asarray(x, dtype=np.float64) - self.mean) / self.sd
        return np.where(self.sd > 0.0, found, np.nan)


def hour_of_week(seconds: npt.ArrayLike) -> Ints:
    """Hours since Monday 00:00 UTC, 0 to 167, of seconds since the epoch (before 1970 too).

    >>> hour_of_week([0, 345_600, 345_599]).tolist()  # Thursday 1 January 1970 00:00, Monday the 5th 00:00, and before
    [72, 0, 167]
    """
    # The rest of a week first: exact at any size, where a number of hours may be beyond 64 bits.
    within = np.fmod(finite("seconds", seconds), 3600.0 * BINS)
    found: Ints = (np.floor_divide(within, 3600.0).astype(np.int64) + _EPOCH) % BINS
    return found


def season_sums(x: npt.ArrayLike, seconds: npt.ArrayLike, *, size: npt.ArrayLike = 1.0) -> Season:
    """Sums of observations x (..., n) at `seconds` (n,). `size`: of the sample behind each x, broadcast to x.

    For a share x = k / n_i give size = n_i, so that busy hours count for more; sizes of 0 are left out. Sums of parts
    of the data `merge` to the sums of all. Raises ValueError for values that are not finite and for negative sizes.

    >>> season_sums([0.5, 0.7], [0, 604_800]).total[72].round(2).item()
    1.2
    """
    values, n = np.broadcast_arrays(finite("x", x), nonnegative("size", size))
    bins = hour_of_week(seconds)
    if bins.shape != values.shape[-1:]:
        raise ValueError(f"seconds: got shape {bins.shape}, allowed is that of the last axis of x, {values.shape[-1:]}")

    series = math.prod(values.shape[:-1])
    cells = (np.arange(series)[:, np.newaxis] * BINS + bins).ravel()

    def summed(each: Floats) -> Floats:
        sums = np.bincount(cells, weights=each.ravel(), minlength=series * BINS)
        return sums.astype(np.float64).reshape(*values.shape[:-1], BINS)

    return Season(
        count=summed(np.where(n > 0, 1.0, 0.0)),
        size=summed(n),
        total=summed(n * values),
        square=summed(n * values**2),
        remembered=summed(n),
    )


def merge(one: Season, other: Season) -> Season:
    """The sums of both.

    >>> both = merge(season_sums([0.5], [0]), season_sums([0.7], [0]))
    >>> both.count[72].item()
    2.0
    """
    return Season(
        count=one.count + other.count,
        size=one.size + other.size,
        total=one.total + other.total,
        square=one.square + other.square,
        remembered=one.remembered + other.remembered,
    )


def forget(season: Season, *, factor: float) -> Season:
    """All observations count `factor` of (0, 1] of what they did: once a week, before the new week is merged.

    .9 remembers about 10 weeks. An explicit step, so that a week without data does not forget, and workers that merge
    later forget alike.

    >>> forget(season_sums([0.5], [0]), factor=0.9).count[72].item()
    0.9
    """
    if not 0.0 < factor <= 1.0:
        raise ValueError(f"factor: got {factor!r}, allowed is 0 < factor <= 1")
    return Season(
        count=season.count * factor,
        size=season.size * factor,
        total=season.total * factor,
        square=season.square * factor,
        remembered=season.remembered * factor**2,
    )


def expectation(
    season: Season,
    seconds: npt.ArrayLike,
    *,
    size: npt.ArrayLike = 1.0,
    prior: float = 2.0,
    share: bool = False,
) -> Expectation:
    """Mean and sd to expect of observations of `size` at `seconds` (n,); arrays (..., n), series first.

    An hour of the week with C observations of mean size s is shrunk by `prior` observations of the same size towards
    the mean of its hour of the day over all days, and that one likewise towards the mean of everything: (T + prior s m)
    / (N + prior s). So a new hour starts as the day before did, and after 8 weeks 80 % of a mean is its own.

    Spread: the variance of one unit of size within hours of the week, pooled over all of them; that of an hour, on its
    C - 1 degrees of freedom, is shrunk towards it by 4 * `prior`. `share`: the variance of a unit is m (1 - m) times a
    dispersion, pooled over all hours and at least 1 (binomial), which is far steadier with few weeks. The sd of a new
    observation is sqrt(variance (1 / size + 1 / (N + prior s))): it holds the doubt about the mean too, so that young
    baselines give small residuals, not alarms. That doubt is the same each time the hour comes again: with fewer than
    about 4 weeks a chart that adds up over weeks still has a shorter run length than stated. After `forget` C, N and T
    are sums of f, f n and f n x; with R = sum f^2 n the degrees of freedom are C - R / N and the doubt is
    (R + prior s) / (N + prior s)^2.

    Assumes that weeks differ by chance only: a trend needs `forget`, a shift that all hours share is what a chart is
    for. NaN where a series has no observations, sd also where no hour has been seen twice and where what varies is not
    told from rounding: sums of squares of a mean of 1e7 lose a standard deviation of 1, so take off a usual level
    first. A sd of 0 is that of zeros.
    Source: the shrinkage is the posterior mean of a normal hierarchy with known variance ratio (Gelman et al., Bayesian
    Data Analysis, 5.4).

    >>> week = 604_800
    >>> season = season_sums([0.50, 0.52, 0.48, 0.50], [0, week, 2 * week, 3 * week])
    >>> found = expectation(season, [4 * week])
    >>> found.mean.round(3).tolist(), found.sd.round(3).tolist()
    ([0.5], [0.018])
    """
    if not (np.isfinite(prior) and prior > 0.0):
        raise ValueError(f"prior: got {prior!r}, allowed is a finite number above 0")
    n = nonnegative("size", size)
    bins = hour_of_week(seconds)
    by_day = (*season.count.shape[:-1], BINS // _HOURS, _HOURS)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = season.size.sum(axis=-1, keepdims=True) / season.count.sum(axis=-1, keepdims=True)
        weight = prior * unit
        overall = season.total.sum(axis=-1, keepdims=True) / season.size.sum(axis=-1, keepdims=True)
        hour_total, hour_size = (part.reshape(by_day).sum(axis=-2) for part in (season.total, season.size))
        hourly = np.tile((hour_total + weight * overall) / (hour_size + weight), BINS // _HOURS)
        mean = (season.total + weight * hourly) / (season.size + weight)
        own = np.where(season.size > 0.0, season.total**2 / season.size, 0.0)
        # What the summation of equal observations may leave is no variance.
        rounding = 4.0 * np.finfo(np.float64).eps * (season.count + 8.0) * season.square
        within = np.where(season.square - own > rounding, season.square - own, 0.0)
        freedom = season.count - np.where(season.size > 0.0, season.remembered / season.size, 0.0)
        freedom = np.where(freedom > 1e-9 * season.count, freedom, 0.0)

        def shrunk(squares: Floats) -> Floats:
            """What sums of squares of hours are as variances, shrunk towards that of all hours."""
            known = np.where(freedom > 0.0, squares, 0.0)
            pooled = known.sum(axis=-1, keepdims=True) / freedom.sum(axis=-1, keepdims=True)
            found: Floats = (known + 4.0 * prior * pooled) / (freedom + 4.0 * prior)
            return found

        if share:
            fractions("season", np.where(np.isnan(mean), 0.0, mean))
            binomial = mean * (1.0 - mean)
            seen = (freedom > 0.0) & (binomial > 0.0)
            scaled = np.where(seen, within / binomial, 0.0).sum(axis=-1, keepdims=True)
            degrees = np.where(seen, freedom, 0.0).sum(axis=-1, keepdims=True)
            variance = np.maximum(scaled / degrees, 1.0) * binomial
        else:
            variance = shrunk(within)
            # The sums of squares are known to this only: a smaller variance is not known to be one.
            doubtful = shrunk(rounding)
            variance = np.where((variance > doubtful) | (doubtful == 0.0), variance, np.nan)
        doubt = variance * (season.remembered + weight) / (season.size + weight) ** 2
        sd = np.sqrt(variance[..., bins] / n + doubt[..., bins])
    return Expectation(mean=mean[..., bins], sd=np.where(n > 0.0, sd, np.nan))
