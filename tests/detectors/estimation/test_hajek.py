"""Hajek estimates against published survey values, brute force over labels, and simulation with known truth."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.estimation import (
    Reason,
    confusion_from_labels,
    hajek,
    hajek_from_labels,
    horvitz_thompson_from_labels,
    ratio_from_labels,
    share_interval,
)

PROBABILITIES = st.floats(0.01, 1.0)


def test_the_stratified_schools_of_the_r_survey_package_give_the_published_share_and_effective_size() -> None:
    strata = ((4421, 100, 91), (755, 50, 26), (1018, 50, 35))
    weights = np.concatenate([np.full(sampled, size / sampled) for size, sampled, _ in strata])
    yes = np.concatenate([np.arange(sampled) < count for _, sampled, count in strata])

    found = hajek_from_labels(yes, 1 / weights)

    assert 0.827948 == round(float(found.estimate), 6)
    assert 168.581 == round(float(found.effective_n), 3)


@given(data=st.data(), n=st.integers(1, 60))
def test_sums_give_what_the_formula_over_single_labels_gives(data: st.DataObject, n: int) -> None:
    y = data.draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 1.0])))
    pi = data.draw(hnp.arrays(np.float64, n, elements=PROBABILITIES))
    w = 1 / pi
    theta = np.average(y, weights=w)

    found = hajek_from_labels(y, pi)

    assert found.estimate == pytest.approx(theta, rel=1e-12)
    assert found.variance == pytest.approx(
        np.sum((1 - pi) * (w * (y - theta)) ** 2) / w.sum() ** 2, rel=1e-6, abs=1e-12
    )
    assert found.effective_n == pytest.approx(w.sum() ** 2 / np.sum(w**2), rel=1e-12)
    assert found.effective_n <= n * (1 + 1e-12)


def test_equal_probabilities_give_the_plain_mean_and_the_plain_count() -> None:
    found = hajek_from_labels([1, 1, 1, 0], 0.2)

    assert 0.75 == found.estimate
    assert 4.0 == pytest.approx(float(found.effective_n))


def test_a_complete_review_has_no_sampling_variance() -> None:
    assert 0.0 == hajek_from_labels([1, 0, 0, 1, 1], 1.0).variance


def test_series_without_labels_are_undefined_and_leave_their_neighbours_alone() -> None:
    found = hajek([0.0, 30.0], [0.0, 10.0], square_violating=[0.0, 300.0], square_benign=[0.0, 100.0])

    assert np.isnan(found.estimate[0])
    assert np.isnan(found.variance[0])
    assert 0.0 == found.effective_n[0] == found.interval_n[0]
    assert (0.75, 4.0) == (found.estimate[1], found.effective_n[1])
    assert [Reason.NO_LABELS, Reason.IDENTIFIED] == found.reason.tolist()
    assert np.isnan(share_interval(found).lower[0])


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_an_impossible_sum_is_refused_by_name(bad: float) -> None:
    with pytest.raises(ValueError, match=f"square_benign: found {bad} at position 0, allowed are finite numbers >= 0"):
        hajek([1.0], [1.0], square_violating=[1.0], square_benign=[bad])


@pytest.mark.parametrize("bad", [0.0, -0.5, 1.5, float("nan")])
def test_an_impossible_inclusion_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="inclusion_probability"):
        hajek_from_labels([1, 0], [0.5, bad])


def test_a_verdict_other_than_zero_and_one_is_refused() -> None:
    with pytest.raises(ValueError, match="violating"):
        hajek_from_labels([1, 2], 0.5)


@given(labels=st.integers(1, 50), pi=PROBABILITIES, violating=st.booleans())
def test_where_all_labels_agree_or_weigh_the_same_both_sample_sizes_are_the_count(
    labels: int, pi: float, violating: bool
) -> None:
    agreeing = hajek_from_labels([violating] * labels, pi)
    mixed = hajek_from_labels([violating] * labels + [not violating], pi)

    assert labels == pytest.approx(float(agreeing.interval_n)) == pytest.approx(float(agreeing.effective_n))
    assert labels + 1 == pytest.approx(float(mixed.interval_n)) == pytest.approx(float(mixed.effective_n))


def test_the_interval_sample_tends_to_the_one_that_the_variance_implies() -> None:
    rng = np.random.default_rng(7)
    score = rng.beta(8, 2, 400_000)
    pi = 0.002 + 0.02 * score**2
    seen = rng.random(score.size) < pi

    found = hajek_from_labels((rng.random(score.size) < score)[seen], pi[seen])

    implied = found.estimate * (1 - found.estimate) / found.variance
    assert float(implied) == pytest.approx(float(found.interval_n), rel=0.03)
    assert abs(float(implied) / float(found.effective_n) - 1) > 0.1


def test_weights_without_squares_are_no_estimate_and_leave_their_neighbours_alone() -> None:
    found = hajek(
        [10.0, 10.0, 0.0, 10.0], [10.0, 10.0, 10.0, 0.0], square_violating=[0, 0, 0, 99], square_benign=[0, 99, 0, 0]
    )

    assert [Reason.IMPOSSIBLE_SUMS] * 3 + [Reason.IDENTIFIED] == found.reason.tolist()
    for values in (found.estimate, found.variance):
        assert [True, True, True, False] == np.isnan(values).tolist()
    assert [0.0, 0.0, 0.0] == found.interval_n[:3].tolist() == found.effective_n[:3].tolist()


def test_what_rounding_leaves_of_a_verdict_is_no_damage() -> None:
    found = hajek(30.0, 4e-15, square_violating=300.0, square_benign=0.0)

    assert Reason.IDENTIFIED == found.reason
    assert 1.0 == pytest.approx(float(found.estimate))


@pytest.mark.parametrize(
    "from_labels",
    [
        lambda row, column: hajek_from_labels(row, column),
        lambda row, column: horvitz_thompson_from_labels(row, column),
        lambda row, column: horvitz_thompson_from_labels(row, 0.5, exposure=column),
        lambda row, column: ratio_from_labels(row, column, 0.5),
        lambda row, column: confusion_from_labels(row, column, 0.5),
        lambda row, column: confusion_from_labels(row, row, 0.5, exposure=column),
    ],
)
def test_columns_and_tables_of_labels_are_refused(from_labels: Callable[[object, object], object]) -> None:
    from_labels([1, 1, 0], [1, 1, 1])
    with pytest.raises(ValueError, match=r"found shapes .*\(3,\).*\(3, 1\).*, allowed are \(n,\) and single numbers"):
        from_labels([1, 1, 0], [[1], [1], [1]])
