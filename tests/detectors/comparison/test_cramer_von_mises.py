"""Cramer-von Mises against Conover's example, SciPy, critical values and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.comparison import cramer_von_mises, permutation_test
from detectors.comparison.cramer_von_mises import critical_value, limit_tail

X = (7.6, 8.4, 8.6, 8.7, 9.3, 9.9, 10.1, 10.6, 11.2)
Y = (5.2, 5.7, 5.9, 6.5, 6.8, 8.2, 9.1, 9.8, 10.8, 11.3, 11.5, 12.3, 12.5, 13.4, 14.6)


def separated(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts over bins that hold one value each."""
    values = np.unique(np.concatenate([x, y]))
    left, right = np.zeros(values.size), np.zeros(values.size)
    np.add.at(left, np.searchsorted(values, x), 1)
    np.add.at(right, np.searchsorted(values, y), 1)
    return left, right


def test_the_example_of_conover_is_reproduced() -> None:
    found = cramer_von_mises(*separated(np.array(X), np.array(Y)))

    assert 0.262 == round(float(found.statistic), 3)
    assert 0.2615741 == round(float(found.statistic), 7)
    assert 0.18 == round(float(found.p_value), 2)


def test_a_permutation_test_finds_the_exact_p_value_of_the_example() -> None:
    counts = separated(np.array(X), np.array(Y))
    found = permutation_test(cramer_von_mises, *counts, generator=np.random.default_rng(16), draws=20_000)

    assert 0.1867543 == pytest.approx(float(found.p_value), abs=3 * np.sqrt(0.1867 * 0.8133 / 20_000))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), n=st.integers(3, 60), m=st.integers(3, 60))
def test_without_ties_it_is_scipys_asymptotic_test(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(0.5, size=m)
    expected = stats.cramervonmises_2samp(x, y, method="asymptotic")

    found = cramer_von_mises(*separated(x, y))

    assert expected.statistic == pytest.approx(float(found.statistic), rel=1e-9)
    assert expected.pvalue == pytest.approx(float(found.p_value), abs=1e-8)


@pytest.mark.parametrize(("alpha", "critical"), [(0.1, 0.34730), (0.05, 0.46136), (0.01, 0.74346), (0.001, 1.16786)])
def test_the_critical_values_of_the_limiting_law_are_reproduced(alpha: float, critical: float) -> None:
    assert critical == round(critical_value(alpha), 5)
    assert alpha == pytest.approx(float(limit_tail(critical)), rel=1e-4)


def test_the_tail_falls_smoothly_where_its_formula_changes() -> None:
    tail = limit_tail([2.98, 2.99, 3.0, 3.01, 3.02])
    steps = tail[1:] / tail[:-1]

    assert steps == pytest.approx(np.full(4, steps[0]), abs=0.02)
    assert np.all(limit_tail([0.0, -1.0]) == 1.0)
    assert 0.0 < limit_tail(20.0) < 1e-40


@settings(max_examples=40)
@given(
    p=st.lists(st.integers(0, 50), min_size=6, max_size=6).filter(any),
    q=st.lists(st.integers(0, 50), min_size=6, max_size=6).filter(any),
)
def test_turning_the_order_of_the_bins_changes_nothing(p: list[int], q: list[int]) -> None:
    there, turned = cramer_von_mises(p, q), cramer_von_mises(p[::-1], q[::-1])

    assert float(there.statistic) == pytest.approx(float(turned.statistic), abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(15, 15), (50, 200), (10_000, 200), (3000, 3000)])
@pytest.mark.parametrize("bins", [5, 64])
def test_without_a_shift_it_rejects_as_often_as_stated_however_it_is_binned(n: int, m: int, bins: int) -> None:
    rng = np.random.default_rng(17)
    shares = np.full(bins, 1 / bins)

    found = cramer_von_mises(rng.multinomial(n, shares, 10_000), rng.multinomial(m, shares, 10_000))

    assert 0.042 <= np.mean(found.p_value < 0.05) <= 0.062
