"""Totals and means against published survey values, all possible Poisson samples, and simulation with known truth."""

import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import stats

from detectors.estimation import (
    Reason,
    horvitz_thompson_from_labels,
    horvitz_thompson_mean,
    horvitz_thompson_total,
    share_interval,
    stratified_total,
    total_interval,
)


def test_over_all_possible_poisson_samples_total_and_variance_are_unbiased() -> None:
    pi = np.array([0.5, 0.2, 1.0, 0.7])
    violating = np.array([1, 1, 1, 0])
    views = np.array([3.0, 1.0, 10.0, 5.0])
    mean, square, variance = 0.0, 0.0, 0.0
    for drawn in itertools.product([False, True], repeat=4):
        chance = math.prod(p if seen else 1 - p for p, seen in zip(pi, drawn, strict=True))
        if not chance:
            continue
        seen = np.array(drawn)
        found = horvitz_thompson_from_labels(violating[seen], pi[seen], exposure=views[seen])
        mean += chance * float(found.estimate)
        square += chance * float(found.estimate) ** 2
        variance += chance * float(found.variance)

    assert 14.0 == pytest.approx(mean)
    assert square - mean**2 == pytest.approx(variance)


def test_nothing_found_is_zero_and_nothing_reviewed_is_not_known() -> None:
    found = horvitz_thompson_total([0.0, 0.0], [0.0, 0.0], correction=0.0, labels=[30, 0])

    assert (0.0, 0.0) == (found.estimate[0], found.variance[0])
    assert np.isnan([found.estimate[1], found.variance[1]]).all()
    assert [Reason.IDENTIFIED, Reason.NO_LABELS] == found.reason.tolist()
    assert np.isnan(total_interval(found).upper).all()
    told = total_interval(found, typical=10.0)
    assert 0.0 == told.lower[0]
    assert 38.4146 == pytest.approx(float(told.upper[0]), abs=1e-4)  # z^2 times 10
    assert np.isnan(told.upper[1])


def test_the_mean_divides_by_the_known_population_and_says_where_there_is_none() -> None:
    sums = np.array([300.0, 300.0, 0.0])
    found = horvitz_thompson_mean(sums, 100 * sums, correction=sums, labels=[10, 10, 0], population=[1e4, 0, 1e4])

    assert 0.03 == found.estimate[0]
    assert 29_700 / 1e8 == pytest.approx(found.variance[0])
    assert [Reason.IDENTIFIED, Reason.EMPTY_POPULATION, Reason.NO_LABELS] == found.reason.tolist()
    assert [False, True, True] == np.isnan(found.variance).tolist()


@pytest.mark.parametrize(("expected", "untold"), [(5, 0.90), (20, 0.925), (300, 0.94)])
def test_limits_of_a_volume_cover_it_best_where_the_typical_weight_is_told(expected: float, untold: float) -> None:
    rng = np.random.default_rng(3)
    weight = np.array([5.0, 10.0, 20.0])
    share = np.array([0.5, 0.3, 0.2])
    found_violating = rng.poisson(expected * share, (20_000, 3))
    volume = float(expected * share @ weight)

    found = horvitz_thompson_total(
        found_violating @ weight, found_violating @ weight**2, correction=0.0, labels=1 + found_violating.sum(axis=1)
    )
    interval = total_interval(found, typical=(share @ weight**2) / (share @ weight))

    guessed = total_interval(found)

    assert 0.94 < np.mean((interval.lower <= volume) & (volume <= interval.upper)) < 0.97
    assert untold < np.mean((guessed.lower <= volume) & (volume <= guessed.upper)) < 0.96
    assert found.estimate.var() == pytest.approx(found.variance.mean(), rel=0.05)


def test_a_poisson_count_has_its_score_interval() -> None:
    interval = total_interval(horvitz_thompson_total(10.0, 10.0, correction=0.0, labels=10))

    for limit in (interval.lower, interval.upper):
        assert 1.959964 == pytest.approx(abs(10 - float(limit)) / math.sqrt(float(limit)), abs=1e-6)


def test_a_total_is_refused_where_a_share_is_wanted() -> None:
    with pytest.raises(ValueError, match="allowed are shares"):
        share_interval(horvitz_thompson_total(10.0, 10.0, correction=0.0, labels=10))


def test_an_impossible_sum_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="correction: found -1"):
        horvitz_thompson_total(10.0, 10.0, correction=-1.0, labels=10)


@pytest.mark.parametrize(
    ("total", "scale"), [(1.0, 1e9), (7.0, 1e9), (0.28, 8.5e11), (3e-9, 4e11), (50.0, 1.0), (1e12, 1e-9), (1e6, 0.0)]
)
def test_the_limits_of_a_total_are_those_of_exact_arithmetic_however_far_it_is_below_its_scale(
    total: float, scale: float
) -> None:
    found = total_interval(horvitz_thompson_total(total, total, correction=total, labels=9), typical=scale)

    with localcontext() as context:
        context.prec = 80
        exact, spread = Decimal(total), Decimal(float(stats.norm.ppf(0.975))) ** 2 * Decimal(scale)
        half = (exact * spread + spread**2 / 4).sqrt()
        limits = [exact + spread / 2 - half, exact + spread / 2 + half]
    assert [float(limit) for limit in limits] == pytest.approx([float(found.lower), float(found.upper)], rel=1e-12)
    assert found.lower > 0


def test_nothing_of_a_kind_that_weighs_nothing_is_nothing() -> None:
    found = total_interval(horvitz_thompson_total(0.0, 0.0, correction=0.0, labels=9), typical=0.0)

    assert (0.0, 0.0) == (float(found.lower), float(found.upper))


def test_sums_that_no_labels_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weighted: found 10\.0, allowed are sums of 0 where there are no labels"):
        horvitz_thompson_total(10.0, 100.0, correction=10.0, labels=0)
    with pytest.raises(ValueError, match=r"correction: found 10\.0, allowed are sums of 0"):
        horvitz_thompson_total(0.0, 0.0, correction=10.0, labels=0)
    with pytest.raises(ValueError, match=r"square: found 0\.0 at position 1, allowed are sums > 0"):
        horvitz_thompson_total([0.0, 10.0], 0.0, correction=0.0, labels=4)


def test_labels_that_agree_are_not_taken_for_certain_unless_all_were_reviewed() -> None:
    found = stratified_total(
        [[1000, 200], [10, 5]], [[2, 20], [10, 5]], total=[[2, 0], [10, 0]], squares=[[2, 0], [10, 0]]
    )
    interval = total_interval(found)

    assert [1000.0, 10.0] == found.estimate.tolist()
    assert [False, True] == found.complete.tolist()
    assert [True, False] == np.isnan(interval.lower).tolist() == np.isnan(interval.upper).tolist()
    assert (10.0, 10.0) == (interval.lower[1], interval.upper[1])
    told = total_interval(found, typical=30.0)
    assert told.lower[0] < 1000.0 < told.upper[0]
