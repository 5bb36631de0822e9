"""What all distances of two histograms have in common."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.comparison import Distance, jensen_shannon, ks, psi, wasserstein

Method = Callable[..., Distance]
METHODS = [psi, ks, jensen_shannon, partial(wasserstein, edges=np.linspace(0, 1, 6))]
every_method = pytest.mark.parametrize("method", METHODS, ids=["psi", "ks", "jensen_shannon", "wasserstein"])
COUNTS = hnp.arrays(np.int64, (7, 5), elements=st.integers(0, 300))


@every_method
@settings(deadline=None, max_examples=40)
@given(reference=COUNTS, current=COUNTS)
def test_many_series_at_once_equal_one_by_one(method: Method, reference: np.ndarray, current: np.ndarray) -> None:
    together = method(reference, current)

    for row in range(7):
        alone = method(reference[row], current[row])
        np.testing.assert_allclose(together.statistic[row], alone.statistic, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(together.p_value[row], alone.p_value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(together.threshold[row], alone.threshold, rtol=1e-9, atol=1e-12)


@every_method
@settings(deadline=None, max_examples=40)
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
    assert (4,) == shared.statistic.shape == shared.p_value.shape == shared.threshold.shape


@every_method
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("reference", "current"), [([0] * 5, [1] * 5), ([1] * 5, [0] * 5), ([0] * 5, [0] * 5)])
def test_an_empty_side_is_undefined_without_a_warning(method: Method, reference: list[int], current: list[int]) -> None:
    found = method(reference, current)

    assert np.isnan([found.statistic, found.p_value, found.threshold]).all()


@every_method
@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_impossible_counts_are_refused(method: Method, bad: float) -> None:
    with pytest.raises(ValueError, match="current counts: found a negative, NaN or infinite count"):
        method([1, 1, 1, 1, 1], [1, 1, bad, 1, 1])


@every_method
def test_histograms_over_different_bins_are_refused(method: Method) -> None:
    with pytest.raises(ValueError, match="reference has 5 bins and current 4"):
        method([1, 1, 1, 1, 1], [1, 1, 1, 1])


@every_method
def test_counts_without_bins_are_refused(method: Method) -> None:
    with pytest.raises(ValueError, match=r"reference counts: shape \(\)"):
        method(3, [1, 1, 1, 1, 1])


@pytest.mark.parametrize("method", [psi, ks, jensen_shannon])
@pytest.mark.parametrize("alpha", [0, 1, 5, float("nan")])
def test_an_impossible_alpha_is_refused(method: Method, alpha: float) -> None:
    with pytest.raises(ValueError, match="0 < alpha < 1"):
        method([1, 2], [2, 1], alpha=alpha)
