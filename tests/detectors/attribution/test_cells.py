"""What cells refuse, by name and place."""

import numpy as np
import pytest

from detectors.attribution import Dimension, Role, cells, collapse, window_sums

LANGUAGE = Dimension("language", ("en", "pt"))
BOTH = window_sums([9.0, 4.0], [1.0, 1.0])


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_an_impossible_sum_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=f"negative: found {bad} at position 1, allowed are finite numbers >= 0"):
        window_sums([1.0, 1.0], [1.0, bad])


def test_sums_of_another_number_of_cells_are_refused() -> None:
    with pytest.raises(ValueError, match=r"decisions: shape \(1,\), allowed is \(cells,\)"):
        window_sums([1.0, 1.0], [1.0, 1.0], decisions=[5.0])


def test_labels_that_arrived_and_are_not_among_the_mature_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="mature_negative: found 0 at position 0"):
        window_sums([1.0], [1.0], mature_negative=[0.0])


def test_labels_without_squares_are_refused() -> None:
    with pytest.raises(ValueError, match="square_positive: found 0 at position 0"):
        window_sums([1.0], [1.0], square_positive=[0.0])


def test_labels_without_decisions_in_their_segment_and_version_are_refused() -> None:
    without = window_sums([9.0, 4.0], [1.0, 1.0], decisions=[10.0, 0.0])

    with pytest.raises(ValueError, match="current: labels without decisions"):
        cells([LANGUAGE], [[0], [1]], reference=BOTH, current=without)


def test_decisions_count_for_all_reviewers_of_their_segment() -> None:
    by_rules = window_sums([9.0, 4.0], [1.0, 1.0], decisions=[10.0, 0.0])
    axes = [Dimension("rules", ("old", "new"), Role.REVIEWER)]

    assert 10.0 == cells(axes, [[0], [1]], reference=by_rules, current=by_rules).reference.decisions.sum()


@pytest.mark.parametrize(
    ("axes", "codes", "message"),
    [
        ([LANGUAGE], [[0], [2]], r"codes of language: found a code outside 0\.\.1"),
        ([LANGUAGE], [[0], [-1]], r"codes of language: found a code outside 0\.\.1"),
        ([LANGUAGE], [[0, 0], [1, 0]], r"codes: shape \(2, 2\), allowed is \(rows, 1\)"),
        ([LANGUAGE], [[0], [0.9]], "codes: got float64, allowed are integers"),
        ([LANGUAGE, LANGUAGE], [[0, 0], [1, 0]], "allowed are distinct names"),
        ([LANGUAGE], [[0], [1], [1]], "reference: 2 rows, allowed are as many as codes, 3"),
    ],
)
def test_codes_that_do_not_fit_are_refused(axes: list[Dimension], codes: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cells(axes, codes, reference=BOTH, current=BOTH)


def test_collapsing_to_an_unknown_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match=r"names: got \['region'\], allowed are \['language'\]"):
        collapse(cells([LANGUAGE], [[0], [1]], reference=BOTH, current=BOTH), "region")


def test_a_window_without_labels_has_no_rate() -> None:
    assert np.isnan(window_sums([0.0], [0.0], decisions=[5.0]).rate)


@pytest.mark.parametrize(
    ("name", "sums"),
    [
        ("mature_positive", {"mature_positive": [10.0, 5.0]}),
        ("square_positive", {"square_positive": [10.0, 5.0]}),
        ("mature_negative", {"mature_negative": [1.0, 0.5]}),
    ],
)
def test_sums_of_labels_that_did_not_arrive_are_refused(name: str, sums: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match=f"{name}: found"):
        window_sums([10.0, 0.0], [1.0, 1.0], **sums)
