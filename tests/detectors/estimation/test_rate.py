"""Rates from weighted cells against single labels, each other's definitions, and simulation with known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.estimation import (
    ConfusionSums,
    Rate,
    Reason,
    confusion_from_labels,
    false_positive_rate,
    hajek_from_labels,
    horvitz_thompson_mean,
    rate,
    rate_interval,
    ratio_from_labels,
    recall,
)
from detectors.intervals import weighted_score

BITS = st.sampled_from([0.0, 1.0])


@settings(max_examples=40)
@given(data=st.data(), n=st.integers(1, 30), which=st.sampled_from(list(Rate)))
def test_a_rate_is_the_linearised_ratio_of_its_two_counts(data: st.DataObject, n: int, which: Rate) -> None:
    a, y = (data.draw(hnp.arrays(np.float64, n, elements=BITS)) for _ in range(2))
    pi = data.draw(hnp.arrays(np.float64, n, elements=st.floats(0.01, 1)))
    views = data.draw(hnp.arrays(np.float64, n, elements=st.floats(0.1, 20)))
    domain = {
        Rate.PRECISION: (a * y, a),
        Rate.RECALL: (a * y, y),
        Rate.FALSE_POSITIVE_RATE: (a * (1 - y), 1 - y),
        Rate.PREVALENCE: (y, np.ones(n)),
    }[which]

    found = rate(confusion_from_labels(a, y, pi, exposure=views), which)
    expected = ratio_from_labels(views * domain[0], views * domain[1], pi)

    if found.reason == Reason.IDENTIFIED:
        assert float(found.estimate) == pytest.approx(float(expected.estimate), rel=1e-9)
        assert float(found.variance) == pytest.approx(float(expected.variance), rel=1e-6, abs=1e-9)
    else:
        assert np.isnan([found.estimate, found.variance]).all()


def test_precision_is_the_hajek_share_of_actioned_labels() -> None:
    a, y, pi = np.array([1, 1, 1, 0, 0]), np.array([1, 0, 1, 1, 0]), np.array([0.5, 0.2, 0.9, 0.1, 0.1])

    found = rate(confusion_from_labels(a, y, pi), Rate.PRECISION)
    expected = hajek_from_labels(y[a == 1], pi[a == 1])

    assert expected.estimate == pytest.approx(found.estimate)
    assert expected.variance == pytest.approx(found.variance)
    assert expected.interval_n == pytest.approx(found.interval_n)


def test_sums_of_workers_add_to_the_sums_of_all_labels() -> None:
    rng = np.random.default_rng(2)
    a, y, pi = rng.integers(0, 2, 50), rng.integers(0, 2, 50), rng.uniform(0.1, 1, 50)

    whole = confusion_from_labels(a, y, pi)
    parts = confusion_from_labels(a[:20], y[:20], pi[:20]) + confusion_from_labels(a[20:], y[20:], pi[20:])

    assert whole.weight == pytest.approx(parts.weight)
    assert whole.square == pytest.approx(parts.square)
    assert whole.correction == pytest.approx(parts.correction)


def test_without_labels_of_what_was_not_actioned_only_precision_is_identified() -> None:
    sums = confusion_from_labels([1, 1, 1], [1, 1, 0], 0.5)

    assert Reason.IDENTIFIED == rate(sums, Rate.PRECISION, not_actioned=900).reason
    for which in (Rate.RECALL, Rate.FALSE_POSITIVE_RATE, Rate.PREVALENCE):
        found = rate(sums, which, not_actioned=900)
        interval = rate_interval(sums, which, not_actioned=900)
        assert Reason.UNSAMPLED_SIDE == found.reason
        assert np.isnan([found.estimate, found.variance, interval.lower, interval.upper]).all()


def test_where_actioned_decisions_were_never_reviewed_nothing_is_known_and_where_none_was_actioned_recall_is_zero() -> (
    None
):
    sums = confusion_from_labels([0, 0, 0], [1, 1, 0], 0.5)

    assert [Reason.UNSAMPLED_SIDE] * 4 == [rate(sums, which).reason for which in Rate]
    assert 0.0 == recall(sums, actioned=0).estimate == false_positive_rate(sums, actioned=0).estimate
    assert 2 / 3 == pytest.approx(float(rate(sums, Rate.PREVALENCE, actioned=0).estimate))
    assert Reason.EMPTY_DENOMINATOR == rate(sums, Rate.PRECISION, actioned=0).reason


def test_a_verdict_that_was_never_labelled_counts_as_heavy_as_other_labels_with_its_action() -> None:
    sums = confusion_from_labels([1, 0, 0, 0], [1, 0, 0, 1], [0.05, 0.5, 0.5, 0.5])
    month = confusion_from_labels([1, 1, 0, 0, 0], [1, 1, 0, 0, 1], [0.04, 0.04, 0.5, 0.5, 0.5])

    expected = weighted_score(
        0.0, 4.0, square_violating=0.0, square_benign=8.0, typical_violating=25.0, typical_benign=2.0
    )
    found = rate_interval(sums, Rate.FALSE_POSITIVE_RATE, typical=month)

    assert (float(expected.lower), float(expected.upper)) == pytest.approx((float(found.lower), float(found.upper)))


def test_where_everything_was_actioned_nothing_is_unsampled() -> None:
    sums = confusion_from_labels([1, 1, 1], [1, 1, 0], 0.5)

    assert 1.0 == recall(sums, not_actioned=0).estimate
    assert 1.0 == false_positive_rate(sums, not_actioned=0).estimate


def test_labels_without_a_violating_one_have_no_recall_and_no_labels_have_nothing() -> None:
    benign, nothing = confusion_from_labels([1, 0], [0, 0], 0.5), confusion_from_labels([], [], [])

    assert Reason.EMPTY_DENOMINATOR == recall(benign).reason
    assert 0.5 == false_positive_rate(benign).estimate
    assert [Reason.NO_LABELS] * 4 == [rate(nothing, which).reason for which in Rate]


def test_a_sum_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight: got shape \(4,\), allowed is \(..., 2, 2\)"):
        ConfusionSums(np.zeros(4), np.zeros((2, 2)), np.zeros((2, 2)))


@pytest.mark.parametrize("which", Rate)
def test_intervals_cover_every_rate_in_simulated_traffic(which: Rate) -> None:
    rng = np.random.default_rng(4)
    # Cells: score by segment; review follows both, and what is not actioned is reviewed least.
    score = np.linspace(0.05, 0.95, 10)
    mass = np.outer([0.7, 0.3], 20 ** (1 - score))
    mass /= mass.sum()
    violating_rate = np.outer([0.7, 1.0], score) ** 2
    actioned = np.broadcast_to(score > 0.7, mass.shape)
    pi = np.outer([1.0, 3.0], 0.05 + score**2) * 0.02
    cells = np.zeros((3000, 2, 2, *mass.shape))
    means = mass * pi * 1500 / (mass * pi).sum()
    for acted in (0, 1):
        cells[:, acted, 1] = rng.poisson(means * violating_rate * (actioned == acted), (3000, *mass.shape))
        cells[:, acted, 0] = rng.poisson(means * (1 - violating_rate) * (actioned == acted), (3000, *mass.shape))
    weight, square = (np.sum(cells * pi**-power, axis=(-1, -2)) for power in (1.0, 2.0))
    bad = mass * violating_rate
    truth = {
        Rate.PRECISION: bad[actioned].sum() / mass[actioned].sum(),
        Rate.RECALL: bad[actioned].sum() / bad.sum(),
        Rate.FALSE_POSITIVE_RATE: (mass - bad)[actioned].sum() / (mass - bad).sum(),
        Rate.PREVALENCE: bad.sum(),
    }[which]
    sums = ConfusionSums(weight, square, weight)
    longer = ConfusionSums(
        *(part.reshape(300, 10, 2, 2).sum(axis=1).repeat(10, axis=0) for part in (weight, square, weight))
    )

    found = rate(sums, which)
    interval = rate_interval(sums, which, typical=longer)

    assert 0.93 < np.mean((interval.lower <= truth) & (truth <= interval.upper)) < 0.97
    assert found.estimate.mean() == pytest.approx(truth, rel=0.02)


def test_the_share_of_violating_views_is_covered_where_review_follows_views_and_nothing_was_actioned() -> None:
    rng = np.random.default_rng(9)
    views = rng.lognormal(3.0, 1.0, 20_000)
    violating = rng.random(20_000) < 0.02 + 0.03 * (views > 40)
    pi = np.minimum(1.0, 400 * views / views.sum())
    truth = views[violating].sum() / views.sum()
    shares, means, covered = [], [], []
    for _ in range(500):
        seen = rng.random(20_000) < pi
        sums = confusion_from_labels(np.zeros(seen.sum()), violating[seen], pi[seen], exposure=views[seen])
        share = rate(sums, Rate.PREVALENCE, actioned=0)
        total = horvitz_thompson_mean(
            sums.weight[0, 1],
            sums.square[0, 1],
            correction=sums.correction[0, 1],
            labels=seen.sum(),
            population=views.sum(),
        )
        limits = rate_interval(sums, Rate.PREVALENCE, actioned=0)
        shares.append(float(share.estimate))
        means.append((float(total.estimate), float(total.variance)))
        covered.append(bool(limits.lower <= truth <= limits.upper))

    assert np.mean(shares) == pytest.approx(truth, rel=0.03)
    assert np.mean(means, axis=0)[0] == pytest.approx(truth, rel=0.03)
    assert np.mean(means, axis=0)[1] == pytest.approx(np.var(means, axis=0)[0], rel=0.15)
    assert 0.93 < np.mean(covered) < 0.975


def test_weights_without_squares_are_refused() -> None:
    with pytest.raises(ValueError, match=r"square: found 0\.0 at position 0, 1, allowed are sums > 0"):
        ConfusionSums(np.ones((2, 2)), np.array([[1.0, 0.0], [1.0, 1.0]]), np.ones((2, 2)))
