"""Ratios in a stratified sample: against the variance over single labels, all possible samples, and the reasons."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.estimation import Reason, stratified_ratio
from detectors.estimation.stratified import StratifiedEstimate

LABEL = st.tuples(st.floats(-50, 50), st.floats(0.5, 50))
STRATUM = st.tuples(st.integers(0, 100), st.lists(LABEL, min_size=2, max_size=8))


def from_labels(sizes: list[int], strata: list[np.ndarray]) -> StratifiedEstimate:
    """`strata`: one array of (n, 2) labels (u, v) a stratum."""
    return stratified_ratio(
        sizes,
        [len(stratum) for stratum in strata],
        numerator=[stratum[:, 0].sum() for stratum in strata],
        denominator=[stratum[:, 1].sum() for stratum in strata],
        numerator_squares=[(stratum[:, 0] ** 2).sum() for stratum in strata],
        denominator_squares=[(stratum[:, 1] ** 2).sum() for stratum in strata],
        products=[(stratum[:, 0] * stratum[:, 1]).sum() for stratum in strata],
    )


@settings(max_examples=40)
@given(drawn=st.lists(STRATUM, min_size=1, max_size=4))
def test_sums_give_the_variance_of_the_residuals_over_single_labels(
    drawn: list[tuple[int, list[tuple[float, float]]]],
) -> None:
    strata = [np.array(labels) for _, labels in drawn]
    sizes = [len(labels) + unseen for unseen, labels in drawn]
    u = sum(size * stratum[:, 0].mean() for size, stratum in zip(sizes, strata, strict=True))
    v = sum(size * stratum[:, 1].mean() for size, stratum in zip(sizes, strata, strict=True))
    variance = sum(
        size * (size - len(stratum)) * np.var(stratum[:, 0] - u / v * stratum[:, 1], ddof=1) / len(stratum)
        for size, stratum in zip(sizes, strata, strict=True)
    )

    found = from_labels(sizes, strata)

    assert u / v == pytest.approx(float(found.estimate), abs=1e-9)
    assert variance / v**2 == pytest.approx(float(found.variance), rel=1e-6, abs=1e-7)


def test_over_all_possible_samples_the_variance_is_that_of_the_ratio() -> None:
    rng = np.random.default_rng(6)
    # Amounts that hardly differ, so that the curvature of the ratio, which linearisation leaves out, is small.
    populations = [np.column_stack([rng.normal(5, 0.5, 7), rng.normal(20, 0.5, 7)]) for _ in range(2)]
    picks = [np.array(list(itertools.combinations(range(7), 4))) for _ in range(2)]
    drawn = [from_labels([7, 7], [populations[0][a], populations[1][b]]) for a in picks[0] for b in picks[1]]
    truth = sum(p[:, 0].sum() for p in populations) / sum(p[:, 1].sum() for p in populations)

    assert truth == pytest.approx(np.mean([found.estimate for found in drawn]), rel=1e-3)
    assert np.var([found.estimate for found in drawn]) == pytest.approx(
        np.mean([found.variance for found in drawn]), rel=0.02
    )


def test_a_constant_ratio_has_no_variance_and_no_rounding_error_is_refused() -> None:
    v = np.random.default_rng(9).lognormal(0, 2, (2, 500))
    found = from_labels([4000, 900], [np.column_stack([0.1 * v[0], v[0]]), np.column_stack([0.1 * v[1], v[1]])])

    assert 0.1 == pytest.approx(float(found.estimate))
    assert 0.0 == pytest.approx(float(found.variance), abs=1e-15)


def test_a_stratum_without_labels_takes_the_amounts_of_its_neighbour_and_is_counted() -> None:
    found = stratified_ratio(
        [100, 100, 200],
        [10, 0, 10],
        numerator=[10, 0, 40],
        denominator=[20, 0, 50],
        numerator_squares=[10, 0, 160],
        denominator_squares=[40, 0, 250],
        products=[20, 0, 200],
    )

    assert (100 * 1 + 300 * 4) / (100 * 2 + 300 * 5) == pytest.approx(float(found.estimate))
    assert 1 == found.collapsed


def test_each_reason_is_told_beside_a_series_that_is_identified() -> None:
    labels = np.array([[0, 0], [0, 0], [1, 0], [2, 2], [2, 2]])
    v = np.array([[0, 0], [0, 0], [1, 0], [0, 0], [2, 2]])
    found = stratified_ratio(
        [[0, 0], [9, 9], [9, 9], [9, 9], [9, 9]],
        labels,
        numerator=v / 2,
        denominator=v,
        numerator_squares=v / 4,
        denominator_squares=v,
        products=v / 2,
    )

    expected = [
        Reason.EMPTY_POPULATION,
        Reason.NO_LABELS,
        Reason.TOO_FEW_LABELS,
        Reason.EMPTY_DENOMINATOR,
        Reason.IDENTIFIED,
    ]
    missing = [True, True, True, True, False]
    assert expected == found.reason.tolist()
    assert missing == np.isnan(found.estimate).tolist() == np.isnan(found.variance).tolist()
    assert 0.5 == found.estimate[4]


@pytest.mark.parametrize(("labels", "products"), [([3, 0], [1000.0, 0.0]), ([3, 0], [14.0, 7.0])])
def test_products_that_no_labels_have_are_refused(labels: list[int], products: list[float]) -> None:
    with pytest.raises(ValueError, match="products: found"):
        stratified_ratio(
            [10, 5],
            labels,
            numerator=[6.0, 0.0],
            denominator=[6.0, 0.0],
            numerator_squares=[14.0, 0.0],
            denominator_squares=[14.0, 0.0],
            products=products,
        )
