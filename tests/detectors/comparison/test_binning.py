"""Counts over fixed bins against NumPy and a loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.comparison import bin_counts

VALUES = st.lists(st.floats(-2, 2) | st.sampled_from([0.0, 0.5, 1.0]), max_size=50)
CUTS = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]), unique=True, max_size=5).map(sorted)


@given(values=VALUES, cuts=CUTS)
def test_no_value_is_lost_and_each_lies_from_its_cut_up_to_the_next(values: list[float], cuts: list[float]) -> None:
    expected = [0] * (len(cuts) + 1)
    for value in values:
        expected[sum(cut <= value for cut in cuts)] += 1

    assert expected == bin_counts(values, cuts).tolist()


@given(values=VALUES, cuts=CUTS, cut=st.integers(0, 50))
def test_counts_of_parts_add_up_to_the_counts_of_all(values: list[float], cuts: list[float], cut: int) -> None:
    parts = bin_counts(values[:cut], cuts) + bin_counts(values[cut:], cuts)

    np.testing.assert_array_equal(bin_counts(values, cuts), parts)


@given(values=VALUES, cuts=CUTS, data=st.data())
def test_many_series_at_once_equal_one_by_one(values: list[float], cuts: list[float], data: st.DataObject) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values))), dtype=np.int64)
    found = bin_counts(values, cuts, series=rows, series_count=4)

    for row in range(4):
        np.testing.assert_array_equal(bin_counts(np.array(values)[rows == row], cuts), found[row])


@pytest.mark.parametrize(
    ("values", "cuts", "series", "message"),
    [
        ([float("nan")], [0.5], None, "values: found nan"),
        ([0.1], [0.5, 0.5], None, "cuts"),
        ([0.1], [float("inf")], None, "cuts: found inf"),
        ([[0.1]], [0.5], None, r"values: shape \(1, 1\)"),
        ([0.1], [0.5], [2], "series: found 2 to 2, allowed is 0 to 1"),
        ([0.1], [0.5], [0.0], "series: float64"),
    ],
)
def test_what_cannot_be_counted_is_refused(
    values: list[float], cuts: list[float], series: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bin_counts(values, cuts, series=series, series_count=2)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int64])
def test_narrow_integers_name_their_series_all_the_same(kind: type[np.integer]) -> None:
    found = bin_counts(np.full(100, 0.5), np.linspace(0, 1, 9), series=np.arange(100, dtype=kind), series_count=100)
    assert [1] * 100 == found.sum(axis=1).tolist()


@pytest.mark.parametrize("series", [[], np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.object_)])
def test_no_values_are_in_no_bin_of_any_series(series: object) -> None:
    found = bin_counts([], [0.5], series=series, series_count=2)  # type: ignore[arg-type]

    assert [[0, 0], [0, 0]] == found.tolist()
    assert np.int64 == found.dtype
