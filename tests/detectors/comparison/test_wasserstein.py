"""Wasserstein-1 against SciPy and the values of SciPy's documentation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.comparison import wasserstein, wasserstein_on_points


@pytest.mark.parametrize(
    ("x", "y", "x_weights", "y_weights", "published"),
    [
        ([0, 1, 3], [5, 6, 8], [1, 1, 1], [1, 1, 1], 5.0),
        ([0, 1], [0, 1], [3, 1], [2, 2], 0.25),
        ([3.4, 3.9, 7.5, 7.8], [4.5, 1.4], [1.4, 0.9, 3.1, 7.2], [3.2, 3.5], 4.078133143804785),
    ],
)
def test_the_values_of_scipys_documentation_are_reproduced(
    x: list[float], y: list[float], x_weights: list[float], y_weights: list[float], published: float
) -> None:
    points = np.unique(np.concatenate([x, y]))
    left, right = np.zeros(points.size), np.zeros(points.size)
    np.add.at(left, np.searchsorted(points, x), x_weights)
    np.add.at(right, np.searchsorted(points, y), y_weights)

    assert published == pytest.approx(float(wasserstein_on_points(left, right, points=points).statistic), rel=1e-14)


@given(data=st.data(), widths=st.lists(st.floats(0.01, 10), min_size=1, max_size=30))
def test_it_is_scipys_distance_of_the_middles_of_the_bins(data: st.DataObject, widths: list[float]) -> None:
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    counts = st.lists(st.integers(0, 1000), min_size=len(widths), max_size=len(widths)).filter(any)
    p, q = data.draw(counts), data.draw(counts)
    middles = (edges[:-1] + edges[1:]) / 2
    expected = stats.wasserstein_distance(middles, middles, p, q)

    assert expected == pytest.approx(float(wasserstein(p, q, edges=edges).statistic), rel=1e-9, abs=1e-9)


@settings(max_examples=50)
@given(
    x=st.lists(st.floats(0, 1), min_size=1, max_size=60),
    y=st.lists(st.floats(0, 1), min_size=1, max_size=60),
    bins=st.integers(1, 50),
)
def test_binning_errs_by_at_most_one_bin_width(x: list[float], y: list[float], bins: int) -> None:
    edges = np.linspace(0, 1, bins + 1)
    found = wasserstein(np.histogram(x, edges)[0], np.histogram(y, edges)[0], edges=edges).statistic

    assert abs(float(found) - stats.wasserstein_distance(x, y)) <= 1 / bins + 1e-9


def test_it_offers_neither_p_value_nor_threshold() -> None:
    found = wasserstein([1, 2], [2, 1], edges=[0, 1, 2])

    assert np.isnan([found.p_value, found.threshold]).all()


@pytest.mark.parametrize("points", [[0], [0, 1, 2], [1, 0], [0, float("nan")]])
def test_points_that_do_not_carry_the_weights_are_refused(points: list[float]) -> None:
    with pytest.raises(ValueError, match="points"):
        wasserstein_on_points([1, 2], [2, 1], points=points)


@pytest.mark.parametrize("edges", [[0, 1], [0, 2, 1], [0, 1, 1], [0, 1, np.inf], [[0, 1, 2]], []])
def test_edges_that_do_not_bound_the_bins_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="edges"):
        wasserstein([1, 2], [2, 1], edges=edges)
