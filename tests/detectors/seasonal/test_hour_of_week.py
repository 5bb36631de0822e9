"""The baseline against the calendar and plain means, and a planted season: charts on residuals keep their promise."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.arrays import Floats
from detectors.seasonal import BINS, Season, expectation, forget, hour_of_week, merge, season_sums

HOUR, WEEK = 3600, 604_800
MONDAY = 345_600


def hours(weeks: int) -> Floats:
    return MONDAY + HOUR * np.arange(weeks * BINS, dtype=np.float64)


def season_of(seconds: Floats) -> Floats:
    """A day's rhythm and a lower weekend."""
    hour = hour_of_week(seconds)
    rhythm: Floats = 0.9 + 0.05 * np.sin(2 * np.pi * hour / 24) - 0.03 * (hour >= 120)
    return rhythm


def cusum_alarms(z: Floats, *, slack: float = 0.5, threshold: float = 6.0) -> list[int]:
    """A plain two-sided CUSUM that starts again after each alarm."""
    up = down = 0.0
    alarms = []
    for index, value in enumerate(z):
        up, down = max(0.0, up + value - slack), max(0.0, down - value - slack)
        if max(up, down) > threshold:
            alarms.append(index)
            up = down = 0.0
    return alarms


@given(st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 - Hypothesis wants them naive
def test_the_hour_of_the_week_is_the_calendars(moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC)
    seconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)

    assert at.weekday() * 24 + at.hour == hour_of_week(seconds)


def test_sums_of_parts_are_the_sums_of_all_and_series_stay_apart() -> None:
    rng = np.random.default_rng(51)
    x, n, at = rng.random((3, 400)), rng.integers(0, 50, (3, 400)), rng.uniform(0, 5 * WEEK, 400)
    whole = season_sums(x, at, size=n)
    parts = merge(
        season_sums(x[:, :150], at[:150], size=n[:, :150]), season_sums(x[:, 150:], at[150:], size=n[:, 150:])
    )
    single = season_sums(x[1], at, size=n[1])
    for name in ("count", "size", "total", "square"):
        assert getattr(whole, name) == pytest.approx(getattr(parts, name))
        assert getattr(whole, name)[1] == pytest.approx(getattr(single, name))
    assert (n > 0).sum() == whole.count.sum()


def test_much_data_gives_the_plain_mean_and_sd_of_each_hour() -> None:
    rng = np.random.default_rng(52)
    at = hours(400)
    x = rng.normal(season_of(at), 0.02 + 0.02 * (hour_of_week(at) % 24 < 12))
    found = expectation(season_sums(x, at), hours(1))
    by_hour = x.reshape(400, BINS)

    assert by_hour.mean(axis=0) == pytest.approx(found.mean, abs=1e-3)
    assert by_hour.std(axis=0, ddof=1) == pytest.approx(found.sd, rel=0.03)


def test_an_hour_never_seen_is_expected_as_its_hour_of_the_day() -> None:
    at = hours(200)
    weekdays = at[hour_of_week(at) < 120]
    x = 0.5 + 0.1 * (hour_of_week(weekdays) % 24 == 3)
    found = expectation(season_sums(x, weekdays), [MONDAY + (150 - 150 % 24 + 3) * HOUR, MONDAY + 121 * HOUR])

    assert [0.6, 0.5] == pytest.approx(found.mean.tolist(), abs=1e-3)


def test_forgetting_halves_the_say_of_old_weeks_and_changes_no_mean() -> None:
    old, new = season_sums([0.0], [0]), season_sums([1.0], [WEEK])
    halved = merge(forget(old, factor=0.5), new)

    assert 1 / 1.5 == pytest.approx(halved.total[72] / halved.size[72])
    with pytest.raises(ValueError, match="factor: got 0"):
        forget(old, factor=0.0)


def test_residuals_of_a_season_are_standardised_and_the_raw_series_is_not() -> None:
    rng = np.random.default_rng(53)
    learnt = hours(12)
    watched = hours(40) + 12 * WEEK
    season = season_sums(rng.normal(season_of(learnt), 0.02, (50, len(learnt))), learnt)
    z = expectation(season, watched).residual(rng.normal(season_of(watched), 0.02, (50, len(watched))))

    assert 0.0 == pytest.approx(z.mean(), abs=0.05)
    assert 1.0 == pytest.approx(z.std(), abs=0.05)


def test_a_cusum_keeps_its_run_length_on_residuals_where_the_raw_chart_alarms_on_most_days() -> None:
    rng = np.random.default_rng(54)
    learnt, watched = hours(26), hours(60) + 26 * WEEK
    x = rng.normal(season_of(learnt), 0.02)
    new = rng.normal(season_of(watched), 0.02)
    residual = expectation(season_sums(x, learnt), watched).residual(new)
    raw = (new - x.mean()) / x.std()

    # Two-sided, slack .5, threshold 6: an average run length of 1290 by Siegmund's formula, so 8 alarms are expected.
    assert len(cusum_alarms(residual)) <= 8 + 3 * 8**0.5
    assert len(cusum_alarms(raw)) > 60 * 7 / 2


def test_a_real_drop_is_seen_within_a_few_hours_at_any_time_of_the_week() -> None:
    rng = np.random.default_rng(55)
    learnt = hours(12)
    season = season_sums(rng.normal(season_of(learnt), 0.02), learnt)
    delays = []
    for start in range(0, BINS, 7):
        at = 12 * WEEK + MONDAY + HOUR * np.arange(start, start + 48, dtype=np.float64)
        z = expectation(season, at).residual(rng.normal(season_of(at) - 0.04, 0.02))
        delays.append(cusum_alarms(z)[0] + 1)

    # A shift of 2 sd: about 6 / 1.5 hours and a half.
    assert np.mean(delays) < 6.5
    assert max(delays) <= 12


def test_shares_have_binomial_spread_that_follows_their_size() -> None:
    rng = np.random.default_rng(56)
    learnt, watched = hours(10), hours(10) + 10 * WEEK
    n = rng.integers(20, 400, (30, len(learnt)))
    season = season_sums(rng.binomial(n, season_of(learnt)) / n, learnt, size=n)
    m = rng.integers(20, 400, (30, len(watched)))
    z = expectation(season, watched, size=m, share=True).residual(rng.binomial(m, season_of(watched)) / m)

    assert 1.0 == pytest.approx(z.std(), abs=0.05)
    assert 1.0 == pytest.approx(z[m < 100].std(), abs=0.06)
    assert 1.0 == pytest.approx(z[m > 300].std(), abs=0.06)


def test_overdispersed_shares_get_a_wider_spread() -> None:
    rng = np.random.default_rng(57)
    at = hours(20)
    n = np.full(len(at), 100)
    p = season_of(at)
    # Beta-binomial with correlation .03: variance 1 + 99 * .03 = 3.97 times binomial.
    scale = (1 - 0.03) / 0.03
    k = rng.binomial(n, rng.beta(p * scale, (1 - p) * scale))
    binomial = (p[:BINS] * (1 - p[:BINS]) / 100) ** 0.5
    found = expectation(season_sums(k / n, at, size=n), hours(1), size=100, share=True)

    assert 3.97**0.5 == pytest.approx(float(np.mean(found.sd / binomial)), rel=0.06)


def test_nothing_known_is_nan_and_not_zero() -> None:
    empty = Season(*(np.zeros(BINS) for _ in range(5)))
    once = season_sums([0.5], [0])

    assert np.isnan(expectation(empty, [0]).mean).all()
    assert [0.5] == expectation(once, [WEEK]).mean.tolist()
    assert np.isnan(expectation(once, [WEEK]).sd).all()
    assert np.isnan(expectation(once, [WEEK]).residual([0.7])).all()


def test_impossible_arguments_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="x: found nan"):
        season_sums([np.nan], [0])
    with pytest.raises(ValueError, match="seconds: got shape"):
        season_sums([0.1, 0.2], [0])
    with pytest.raises(ValueError, match="size: found -1"):
        season_sums([0.1], [0], size=-1)
    with pytest.raises(ValueError, match="prior: got 0"):
        expectation(season_sums([0.1], [0]), [0], prior=0)


def test_a_minute_without_data_is_no_sum_and_merges() -> None:
    some = season_sums([0.5], [0])
    none = season_sums(np.empty(0), np.empty(0))
    assert (BINS,) == none.count.shape
    assert merge(some, none).total.tolist() == some.total.tolist()
    assert (2, BINS) == season_sums(np.empty((2, 0)), np.empty(0)).count.shape


@pytest.mark.parametrize("value", [0.1, 0.5, 1 / 3, 1e7 + 0.1])
@pytest.mark.parametrize("step", [60, HOUR])
def test_a_constant_series_expects_nothing_else_and_judges_nothing(value: float, step: int) -> None:
    at = MONDAY + step * np.arange(8 * WEEK // step, dtype=np.float64)
    season = season_sums(np.full(at.size, value), at)
    left = merge(forget(season, factor=0.9), season)

    for found in (expectation(season, hours(1)), expectation(left, hours(1))):
        assert np.isnan(found.sd).all()
        assert np.isnan(found.residual(np.full(BINS, value * (1 + 1e-9)))).all()


def test_what_is_always_nothing_has_no_spread() -> None:
    found = expectation(season_sums(np.zeros(8 * BINS), hours(8)), hours(1))

    assert [0.0] == np.unique(found.sd).tolist()
    assert np.isnan(found.residual(np.ones(BINS))).all()


@pytest.mark.parametrize("level", [1.0, 1e3, 1e5, 1e7, 1e8, 1e10])
def test_a_spread_is_that_of_the_values_less_their_level_or_unknown(level: float) -> None:
    x = np.random.default_rng(61).normal(0.0, 0.58, 8 * BINS)
    expected = expectation(season_sums(x, hours(8)), hours(1)).sd

    found = expectation(season_sums(x + level, hours(8)), hours(1)).sd

    assert np.isnan(found).all() if level >= 1e7 else found.tolist() == pytest.approx(expected.tolist(), rel=1e-3)


def test_a_single_hour_of_great_values_is_unknown_beside_known_ones() -> None:
    x = np.random.default_rng(62).normal(0.0, 0.58, (8, BINS))
    x[:, 5] += 1e8

    found = expectation(season_sums(x.ravel(), hours(8)), hours(1)).sd

    assert np.isnan(found[5])


@pytest.mark.parametrize("seconds", [1e30, 1e20, -1e25, 1e100, -1e100, 2.0**70, -0.5, -1e-20])
def test_the_hour_of_a_time_of_any_size_is_that_of_whole_numbers(seconds: float) -> None:
    assert [(math.floor(Fraction(seconds)) // HOUR + 72) % BINS] == hour_of_week([seconds]).tolist()


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0])
def test_after_forgetting_variances_are_those_of_weighted_observations(factor: float) -> None:
    rng = np.random.default_rng(58)
    weeks = 10
    size = rng.integers(1, 30, (weeks, 300, BINS)).astype(np.float64)
    x = rng.normal(5.0, 2.0 / np.sqrt(size))
    season = season_sums(x[0], hours(1), size=size[0])
    for new, n in zip(x[1:], size[1:], strict=True):
        season = merge(forget(season, factor=factor), season_sums(new, hours(1), size=n))

    # A new observation of size 1 about the mean of its hour, whose variance is 4 sum (f n)^2 / n / (sum f n)^2.
    weight = factor ** np.arange(weeks - 1, -1, -1.0)[:, None, None] * size
    expected = 4.0 * (1.0 + (weight**2 / size).sum(axis=0) / weight.sum(axis=0) ** 2)
    found = expectation(season, hours(1), prior=1e-6).sd ** 2
    assert 1.0 == pytest.approx(float(np.mean(found / expected)), abs=0.02)


def test_an_hour_seen_once_has_no_spread_of_its_own_however_much_was_forgotten() -> None:
    once = season_sums([0.3], [0])
    for _ in range(5):
        once = forget(once, factor=0.7)

    assert np.isnan(expectation(once, [WEEK]).sd).all()
