"""Binned Kolmogorov-Smirnov distance against SciPy on the raw values and published critical values."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.comparison import ks

VALUES = st.lists(st.floats(0, 1), min_size=2, max_size=80)


def binned(values: npt.ArrayLike, edges: npt.ArrayLike) -> np.ndarray:
    return np.histogram(np.asarray(values), bins=np.asarray(edges))[0]


@pytest.mark.parametrize(
    ("alpha", "factor"), [(0.10, 1.22385), (0.05, 1.35810), (0.025, 1.48021), (0.01, 1.62762), (0.001, 1.94947)]
)
def test_the_threshold_is_the_published_factor_times_root_of_n_plus_m_over_nm(alpha: float, factor: float) -> None:
    n, m = 300, 700

    found = ks([n / 2, n / 2], [m / 2, m / 2], alpha=alpha)

    assert factor == pytest.approx(float(found.threshold) / np.sqrt((n + m) / (n * m)), abs=6e-5)


@pytest.mark.parametrize(
    ("x", "y", "distance"),
    [
        ((1.01, 2.01), (1, 2, 3), 1 / 3),
        ((0.99, 1.99), (1, 2, 3), 2 / 3),
        (
            (7.6, 8.4, 8.6, 8.7, 9.3, 9.9, 10.1, 10.6, 11.2),
            (5.2, 5.7, 5.9, 6.5, 6.8, 8.2, 9.1, 9.8, 10.8, 11.3, 11.5, 12.3, 12.5, 13.4, 14.6),
            0.4,
        ),
    ],
)
def test_bins_that_separate_all_values_give_the_published_distance(
    x: tuple[float, ...], y: tuple[float, ...], distance: float
) -> None:
    values = np.unique(np.concatenate([x, y]))
    edges = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])

    assert distance == pytest.approx(float(ks(binned(x, edges), binned(y, edges)).statistic))


@settings(max_examples=60)
@given(x=VALUES, y=VALUES, bins=st.integers(1, 40))
def test_binning_never_adds_distance_and_hides_at_most_the_largest_share_of_a_bin(
    x: list[float], y: list[float], bins: int
) -> None:
    edges = np.linspace(0, 1, bins + 1)
    left, right = binned(x, edges), binned(y, edges)
    raw = stats.ks_2samp(x, y, method="asymp").statistic

    found = float(ks(left, right).statistic)

    assert found <= raw + 1e-12
    assert raw - found <= max(left.max() / len(x), right.max() / len(y)) + 1e-12


def test_the_p_value_agrees_with_scipy_on_fine_bins() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.beta(2, 5, 20_000), rng.beta(2.03, 5, 30_000)
    edges = np.linspace(0, 1, 4097)

    found = ks(binned(x, edges), binned(y, edges))

    assert stats.ks_2samp(x, y, method="asymp").pvalue == pytest.approx(float(found.p_value), rel=0.05)


def test_without_a_shift_it_rejects_at_most_as_often_as_stated() -> None:
    rng = np.random.default_rng(9)
    shares = np.full(64, 1 / 64)

    found = ks(rng.multinomial(2000, shares, 10_000), rng.multinomial(2000, shares, 10_000))

    assert 0.03 <= np.mean(found.p_value < 0.05) <= 0.05
    assert np.mean(found.p_value < 0.05) == np.mean(found.statistic > found.threshold)
