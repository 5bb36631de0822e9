"""Hotelling's test against its F law, the t-test, and invariance."""

import numpy as np
import pytest
import scipy
from scipy import stats

from detectors.comparison.minimum_sample import POWER
from detectors.embedding import hotelling, moments
from detectors.embedding.hotelling import _needed


def test_in_one_dimension_it_is_the_t_test() -> None:
    rng = np.random.default_rng(44)
    x, y = rng.normal(size=30), rng.normal(0.6, 1.0, 20)
    expected = stats.ttest_ind(x, y)

    found = hotelling(moments(x[:, None]), moments(y[:, None]))

    assert expected.statistic**2 == pytest.approx(float(found.statistic))
    assert expected.pvalue == pytest.approx(float(found.p_value))
    assert stats.t.isf(0.025, 48) ** 2 == pytest.approx(float(found.threshold))


@pytest.mark.parametrize(("n", "m", "d"), [(30, 30, 5), (100, 20, 8), (15, 15, 20)])
def test_without_a_shift_the_p_value_is_even(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(45)
    mixing = rng.normal(size=(d, d))
    found = [
        float(hotelling(moments(rng.normal(size=(n, d)) @ mixing), moments(rng.normal(size=(m, d)) @ mixing)).p_value)
        for _ in range(1000)
    ]

    assert stats.kstest(found, "uniform").pvalue > 0.001


def test_no_linear_map_of_the_vectors_changes_it() -> None:
    rng = np.random.default_rng(46)
    x, y = rng.normal(size=(50, 4)), rng.normal(0.3, 1.0, (40, 4))
    mixing, offset = rng.normal(size=(4, 4)) * [1e-4, 1.0, 100.0, 1e6], rng.normal(size=4)

    plain = hotelling(moments(x), moments(y))
    mapped = hotelling(moments(x @ mixing + offset), moments(y @ mixing + offset))

    assert float(plain.statistic) == pytest.approx(float(mapped.statistic), rel=1e-6)


def test_an_effect_is_found_at_the_minimum_sample_with_four_fifths_probability() -> None:
    rng = np.random.default_rng(47)
    n, d, effect = 400, 10, 0.6
    m = int(hotelling(moments(rng.normal(size=(n, d))), moments(np.eye(d)), smallest_effect=effect).minimum_sample)
    shift = np.r_[effect, np.zeros(d - 1)]
    found = [
        float(hotelling(moments(rng.normal(size=(n, d))), moments(rng.normal(size=(m, d)) + shift)).p_value) < 0.05
        for _ in range(1500)
    ]

    assert 0.77 <= np.mean(found) <= 0.83


@pytest.mark.parametrize("case", ["too few vectors", "a constant dimension", "a copied dimension"])
def test_what_has_no_inverse_is_undefined(case: str) -> None:
    rng = np.random.default_rng(48)
    vectors = rng.normal(size=(6 if case == "too few vectors" else 60, 12))
    if case == "a constant dimension":
        vectors[:, 3] = 2.0
    if case == "a copied dimension":
        vectors[:, 3] = vectors[:, 5]

    found = hotelling(moments(vectors), moments(vectors[::-1] + 1.0))

    assert np.isnan([found.statistic, found.p_value, found.threshold, found.effect_size]).all()


def test_a_reference_too_small_for_the_effect_says_so() -> None:
    few = moments(np.random.default_rng(49).normal(size=(20, 10)))

    assert np.inf == hotelling(few, few, smallest_effect=0.1).minimum_sample


@pytest.mark.parametrize(("n", "d", "effect"), [(10_000, 4, 1.0), (100_000, 4, 0.2), (10_000, 256, 0.5)])
def test_the_minimum_sample_is_the_first_whose_mixture_of_betas_has_the_power(n: int, d: int, effect: float) -> None:
    def power(m: int) -> float:
        spare = n + m - d - 1
        critical = scipy.special.fdtri(d, spare, 0.95)
        half = 0.5 * effect**2 * n * m / (n + m)
        terms = np.arange(int(half + 40 * np.sqrt(half) + 200))
        chances = np.exp(terms * np.log(half) - half - scipy.special.gammaln(terms + 1.0))
        x = d * critical / (d * critical + spare)
        return float(1.0 - (chances * scipy.special.betainc(0.5 * d + terms, 0.5 * spare, x)).sum())

    needed = int(_needed(n, d, alpha=0.05, effect=effect))
    assert power(needed) >= POWER > power(needed - 1)


def test_a_constant_dimension_is_no_shift_whatever_its_value() -> None:
    rng = np.random.default_rng(14)
    for value in (0.1, 0.5, 1 / 3, 0.7):
        sides = [np.column_stack([rng.normal(size=(size, 2)), np.full(size, value)]) for size in (1000, 700)]

        assert np.isnan(hotelling(moments(sides[0]), moments(sides[1])).p_value)
