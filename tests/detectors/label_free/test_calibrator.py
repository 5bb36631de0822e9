"""Isotonic calibration against exhaustive optimisation and by its properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.label_free import isotonic, isotonic_from_labels


def test_no_non_decreasing_map_on_a_grid_fits_better() -> None:
    positive, total = np.array([1, 4, 3]), np.array([10, 10, 5])
    fitted = isotonic([0.1, 0.5, 0.9], positive, benign=total - positive).probability

    grid = np.linspace(0, 1, 31)
    maps = np.array([(a, b, c) for a in grid for b in grid[grid >= a] for c in grid[grid >= b]])
    loss = (total * (maps - positive / total) ** 2).sum(axis=1)
    own = (total * (fitted - positive / total) ** 2).sum()

    assert own <= loss.min() + 1e-12
    assert fitted.tolist() == pytest.approx([0.1, 0.4, 0.6])


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
def test_labels_in_any_order_give_the_fit_of_their_counts(labels: list[tuple[int, bool]]) -> None:
    score, y = np.array([s / 10 for s, _ in labels]), np.array([v for _, v in labels])

    one = isotonic_from_labels(score, y)
    other = isotonic_from_labels(score[::-1], y[::-1])

    assert one.probability.tolist() == other.probability.tolist()
    assert np.all(np.diff(one.probability) >= 0)
    assert one(score).mean() == pytest.approx(y.mean())


def test_outside_the_scores_seen_the_end_values_are_repeated() -> None:
    fitted = isotonic([0.2, 0.8], [1, 3], benign=[3, 1])

    assert [0.25, 0.5, 0.75] == fitted([-5.0, 0.5, 1.0]).tolist()


def test_empty_bins_are_interpolated_over() -> None:
    assert 0.5 == isotonic([0.2, 0.5, 0.8], [1, 0, 3], benign=[3, 0, 1])(0.5)


@pytest.mark.parametrize(
    ("score", "violating", "benign", "says"),
    [
        ([0.2, 0.1], [1, 1], [1, 1], "strictly increasing"),
        ([0.1], [0], [0], "no labels"),
        ([0.1], [1, 2], [1], "shapes"),
        ([float("nan")], [1], [1], "score: found nan"),
        ([0.1], [-1], [1], "violating: found -1"),
    ],
)
def test_impossible_counts_are_refused(score: list[float], violating: list[int], benign: list[int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        isotonic(score, violating, benign=benign)


def test_columns_of_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"score, violating, weight: found shapes \(2,\), \(2, 1\), \(\)"):
        isotonic_from_labels([0.2, 0.8], [[1], [0]])
