"""Prediction intervals against a textbook's table and normal draws."""

import numpy as np
import pytest
import scipy.stats

from detectors.intervals import prediction_interval

# Student's t for 95 % two-sided, as tables print it, by degrees of freedom.
TABLE = {1: 12.706, 4: 2.776, 9: 2.262, 29: 2.045}


@pytest.mark.parametrize(("freedom", "t"), TABLE.items())
def test_the_half_width_is_that_of_the_table(freedom: int, t: float) -> None:
    values = np.random.default_rng(freedom).normal(5.0, 2.0, freedom + 1)
    interval = prediction_interval(values, confidence=0.95)

    assert t == pytest.approx(
        (interval.upper - values.mean()) / (values.std(ddof=1) * (1 + 1 / (freedom + 1)) ** 0.5), abs=5e-4
    )
    assert values.mean() == pytest.approx((interval.lower + interval.upper) / 2)


@pytest.mark.parametrize("m", [2, 10, 40])
def test_one_more_value_is_inside_as_often_as_stated(m: int) -> None:
    drawn = np.random.default_rng(m).normal(3.0, 0.2, (40_000, m + 1))
    interval = prediction_interval(drawn[:, :m], confidence=0.9)
    inside = (interval.lower < drawn[:, m]) & (drawn[:, m] < interval.upper)

    assert 0.9 == pytest.approx(inside.mean(), abs=4 * (0.09 / 40_000) ** 0.5)


def test_three_standard_deviations_of_ten_chunks_are_a_false_alarm_in_forty_two() -> None:
    values = np.random.default_rng(5).normal(size=10)
    outside = 2 * scipy.stats.t.sf(3 * (9 / 11) ** 0.5, 9)
    interval = prediction_interval(values, confidence=1 - outside)

    assert 42 == round(1 / outside)
    assert values.mean() + 3 * values.std() == pytest.approx(interval.upper)


def test_a_single_value_says_nothing_of_the_next() -> None:
    interval = prediction_interval(np.ones((3, 1)))

    assert np.isnan(interval.lower).tolist() == np.isnan(interval.upper).tolist() == [True] * 3
    with pytest.raises(ValueError, match="single number"):
        prediction_interval(1.0)
