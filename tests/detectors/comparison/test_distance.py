"""What all distances of two histograms have in common."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from detectors.comparison import (
    Distance,
    chi_square,
    cramer_von_mises,
    hellinger,
    jensen_shannon,
    ks,
    psi,
    total_variation,
    wasserstein,
)

Method = Callable[..., Distance]
TESTS = [psi, ks, jensen_shannon, hellinger, chi_square, cramer_von_mises, total_variation]
METHODS = [*TESTS, partial(wasserstein, edges=np.linspace(0, 1, 6))]
every_method = pytest.mark.parametrize("method", METHODS, ids=[*(test.__name__ for test in TESTS), "wasserstein"])
every_test = pytest.mark.parametrize("method", TESTS, ids=[test.__name__ for test in TESTS])
FIELDS = ("statistic", "p_value", "threshold", "effect_size", "minimum_sample")
COUNTS = hnp.arrays(np.int64, (7, 5), elements=st.integers(0, 300))


@every_method
@settings(max_examples=40)
@given(reference=COUNTS, current=COUNTS)
def test_many_series_at_once_equal_one_by_one(method: Method, reference: np.ndarray, current: np.ndarray) -> None:
    together = method(reference, current)

    for row in range(7):
        alone = method(reference[row], current[row])
        for field in FIELDS:
            np.testing.assert_allclose(
                getattr(together, field)[row], getattr(alone, field), rtol=1e-9, atol=1e-12, err_msg=field
            )


@every_method
@settings(max_examples=40)
@given(reference=COUNTS, current=COUNTS)
def test_distances_are_symmetric_and_never_negative(method: Method, reference: np.ndarray, current: np.ndarray) -> None:
    there, back = method(reference, current), method(current, reference)

    np.testing.assert_allclose(there.statistic, back.statistic, rtol=1e-9, atol=1e-12)
    assert not np.any(there.statistic < 0)


@every_method
def test_equal_histograms_are_at_distance_zero(method: Method) -> None:
    assert 0.0 == pytest.approx(float(method([5, 1, 0, 3, 9], [5, 1, 0, 3, 9]).statistic), abs=1e-12)


@every_method
def test_one_reference_serves_many_series(method: Method) -> None:
    current = np.arange(20).reshape(4, 5)

    shared = method([3, 1, 4, 1, 5], current)

    np.testing.assert_array_equal(shared.statistic, method(np.tile([3, 1, 4, 1, 5], (4, 1)), current).statistic)
    assert {(4,)} == {getattr(shared, field).shape for field in FIELDS}


@every_method
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("reference", "current"), [([0] * 5, [1] * 5), ([1] * 5, [0] * 5), ([0] * 5, [0] * 5)])
def test_an_empty_side_is_undefined_without_a_warning(method: Method, reference: list[int], current: list[int]) -> None:
    found = method(reference, current)

    assert np.isnan([found.statistic, found.p_value, found.threshold, found.effect_size]).all()
    assert np.isnan(found.minimum_sample) == (not any(reference))


@every_method
@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_impossible_counts_are_refused(method: Method, bad: float) -> None:
    with pytest.raises(ValueError, match=r"current counts: found .*, allowed are finite numbers >= 0"):
        method([1, 1, 1, 1, 1], [1, 1, bad, 1, 1])


@every_method
def test_histograms_over_different_bins_are_refused(method: Method) -> None:
    with pytest.raises(ValueError, match="reference has 5 bins and current 4"):
        method([1, 1, 1, 1, 1], [1, 1, 1, 1])


@every_method
def test_counts_without_bins_are_refused(method: Method) -> None:
    with pytest.raises(ValueError, match=r"reference counts: shape \(\)"):
        method(3, [1, 1, 1, 1, 1])


@every_test
@pytest.mark.parametrize("alpha", [0, 1, 5, float("nan")])
def test_an_impossible_alpha_is_refused(method: Method, alpha: float) -> None:
    with pytest.raises(ValueError, match="0 < alpha < 1"):
        method([1, 2], [2, 1], alpha=alpha)


@every_method
@pytest.mark.parametrize("effect", [0, -1, float("nan"), float("inf")])
def test_an_impossible_effect_is_refused(method: Method, effect: float) -> None:
    with pytest.raises(ValueError, match="smallest_effect"):
        method([1, 2, 3, 4, 5], [2, 1, 3, 4, 5], smallest_effect=effect)


@every_method
def test_the_effect_size_does_not_grow_with_the_samples(method: Method) -> None:
    small, large = (
        method(np.array([30, 40, 10, 15, 5]) * size, np.array([25, 35, 20, 14, 6]) * size).effect_size
        for size in (10**4, 10**8)
    )

    assert float(large) == pytest.approx(float(small), rel=1e-2)


@every_test
def test_a_statistic_is_above_its_threshold_where_its_p_value_is_below_alpha(method: Method) -> None:
    rng = np.random.default_rng(11)
    reference = rng.multinomial(600, np.full(5, 0.2), 2000)
    current = rng.multinomial(300, rng.dirichlet(np.full(5, 30.0), 2000))

    found = method(reference, current, alpha=0.1)

    assert 20 < np.sum(found.p_value < 0.1)
    np.testing.assert_array_equal(found.statistic > found.threshold, found.p_value < 0.1)


SHIFTED = np.diff(stats.norm.cdf(np.r_[-np.inf, stats.norm.ppf(np.arange(1, 10) / 10), np.inf] - 0.25))
"""Shares of the ten bins that a standard normal fills equally, when its mean moves by a quarter."""


@every_test
@pytest.mark.parametrize("n", [2_000, 10**6])
def test_an_effect_is_found_at_the_minimum_sample_with_four_fifths_probability(method: Method, n: int) -> None:
    rng = np.random.default_rng(12)
    true = float(method(np.full(10, 1e8), 1e9 * SHIFTED).effect_size)
    needed = float(method(np.full(10, n / 10), np.full(10, 1), smallest_effect=true).minimum_sample)
    reference = rng.multinomial(n, np.full(10, 0.1), 4000)
    power = np.mean(method(reference, rng.multinomial(int(needed), SHIFTED, 4000)).p_value < 0.05)

    at_least_only = method in (ks, total_variation)
    assert 0.77 <= power <= (1.0 if at_least_only else 0.84)


@every_method
def test_no_current_sample_makes_up_for_a_reference_that_is_too_small(method: Method) -> None:
    found = method([2, 2, 2, 2, 2], np.full(5, 10**6), smallest_effect=0.01)

    assert np.inf == found.minimum_sample


@pytest.mark.parametrize(("method", "highest"), [(chi_square, 0.058), (psi, 0.055), (jensen_shannon, 0.06)])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (400, 100), (10_000, 300)])
def test_without_a_shift_tests_keep_their_size_at_unequal_samples(
    method: Method, highest: float, n: int, m: int
) -> None:
    rng = np.random.default_rng(13)
    found = method(rng.multinomial(n, np.full(8, 0.125), 20_000), rng.multinomial(m, np.full(8, 0.125), 20_000))

    assert 0.04 <= np.mean(found.p_value < 0.05) <= highest
