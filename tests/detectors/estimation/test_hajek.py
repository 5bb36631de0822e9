"""Hajek estimates against published survey values, brute force over labels, and simulation with known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.estimation import hajek, hajek_from_labels
from detectors.intervals import wilson

PROBABILITIES = st.floats(0.01, 1.0)


def test_the_stratified_schools_of_the_r_survey_package_give_the_published_share_and_effective_size() -> None:
    strata = ((4421, 100, 91), (755, 50, 26), (1018, 50, 35))
    weights = np.concatenate([np.full(sampled, size / sampled) for size, sampled, _ in strata])
    yes = np.concatenate([np.arange(sampled) < count for _, sampled, count in strata])

    found = hajek_from_labels(yes, 1 / weights)

    assert 0.827948 == round(float(found.estimate), 6)
    assert 168.581 == round(float(found.effective_n), 3)


@settings(deadline=None)
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
    assert np.isnan(wilson(found.estimate * found.effective_n, found.effective_n).lower[0])


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


@settings(deadline=None)
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


DESIGNS = {
    "high scores": lambda score: 0.03 + 0.4 * score**2,
    "low scores": lambda score: 0.05 + 0.25 * (1 - score),
    "unsure scores": lambda score: 0.02 + 1.2 * score * (1 - score),
}


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(("decisions", "precision", "seed"), [(2000, 0.5, 1), (4000, 0.8, 2), (4000, 0.95, 3)])
def test_intervals_cover_the_truth_where_review_depends_on_the_score(
    decisions: int, precision: float, seed: int, design: str
) -> None:
    rng = np.random.default_rng(seed)
    windows = 1000
    score = rng.beta(4 * precision, 4 * (1 - precision), (windows, decisions))
    violating = rng.random(score.shape) < score
    pi = DESIGNS[design](score)
    reviewed = rng.random(score.shape) < pi
    weight = reviewed / pi

    found = hajek(
        np.sum(weight * violating, axis=1),
        np.sum(weight * ~violating, axis=1),
        square_violating=np.sum(weight**2 * violating, axis=1),
        square_benign=np.sum(weight**2 * ~violating, axis=1),
    )
    interval = wilson(found.estimate * found.interval_n, found.interval_n)
    naive_k, naive_n = np.sum(reviewed & violating, axis=1), np.sum(reviewed, axis=1)
    error = found.estimate - violating.mean(axis=1)

    # Few benign labels of small weight (the last case) leave the shrunk sample size cautious: 98.6 %.
    most = 0.99 if (design, precision) == ("unsure scores", 0.95) else 0.98
    assert 0.93 <= np.mean((interval.lower <= precision) & (precision <= interval.upper)) <= most
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(windows)
    assert error.var() == pytest.approx(found.variance.mean(), rel=0.15)
    if (design, precision) != ("unsure scores", 0.5):  # the one case in which review favours no verdict
        naive = wilson(naive_k, naive_n)
        assert np.mean((naive.lower <= precision) & (precision <= naive.upper)) < 0.5


def test_kishs_sample_size_covers_too_rarely_where_reviewers_see_mostly_high_scores() -> None:
    rng = np.random.default_rng(3)
    score = rng.beta(3.8, 0.2, (1000, 4000))
    violating = rng.random(score.shape) < score
    pi = 0.03 + 0.4 * score**2
    weight = (rng.random(score.shape) < pi) / pi
    found = hajek(
        np.sum(weight * violating, axis=1),
        np.sum(weight * ~violating, axis=1),
        square_violating=np.sum(weight**2 * violating, axis=1),
        square_benign=np.sum(weight**2 * ~violating, axis=1),
    )

    covered = {}
    for name, size in (("kish", found.effective_n), ("interval", found.interval_n)):
        interval = wilson(found.estimate * size, size)
        covered[name] = np.mean((interval.lower <= 0.95) & (interval.upper >= 0.95))

    assert covered["kish"] < 0.92 < covered["interval"]
