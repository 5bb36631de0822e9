"""Stratified and post-stratified estimates against R's survey package, brute force and enumeration of all samples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.estimation import Reason, post_stratified, stratified_mean, stratified_total

# R's survey package, data set apistrat: schools by level.
SIZES = np.array([4421, 755, 1018])
LABELS = np.array([100, 50, 50])
MEANS = np.array([674.43, 625.82, 636.60])
VARIANCES = np.array([15687.419293, 11947.089388, 13824.857143])
YES = np.array([91, 26, 35])
SQUARES = (LABELS - 1) * VARIANCES + LABELS * MEANS**2


def test_the_mean_of_the_stratified_schools_is_that_of_the_r_survey_package() -> None:
    found = stratified_mean(SIZES, LABELS, total=LABELS * MEANS, squares=SQUARES)

    assert ("662.2874", "9.40894") == (f"{found.estimate:.4f}", f"{np.sqrt(found.variance):.5f}")
    assert "168.581" == f"{found.effective_n:.3f}"
    assert 0 == found.collapsed


def test_without_finite_population_correction_the_error_is_the_published_one() -> None:
    crowd = 1e9  # so many decisions that the sampled share of each stratum vanishes, in the same proportions
    found = stratified_mean(SIZES * crowd, LABELS, total=LABELS * MEANS, squares=SQUARES)

    assert "9.53613" == f"{np.sqrt(found.variance):.5f}"


def test_the_share_of_schools_is_the_published_one_from_plain_sums_and_from_weights() -> None:
    weight = SIZES / LABELS
    plain = stratified_mean(SIZES, LABELS, total=YES, squares=YES)
    weighted = post_stratified(
        SIZES,
        LABELS,
        weight_violating=weight * YES,
        weight_benign=weight * (LABELS - YES),
        square_violating=weight**2 * YES,
        square_benign=weight**2 * (LABELS - YES),
    )

    assert ("0.827948", "0.0243448") == (f"{plain.estimate:.6f}", f"{np.sqrt(plain.variance):.7f}")
    assert ("0.827948", "0.0243448") == (f"{weighted.estimate:.6f}", f"{np.sqrt(weighted.variance):.7f}")


def test_a_total_is_the_mean_times_the_decisions() -> None:
    mean = stratified_mean(SIZES, LABELS, total=YES, squares=YES)
    total = stratified_total(SIZES, LABELS, total=YES, squares=YES)

    assert float(total.estimate) == pytest.approx(6194 * float(mean.estimate))
    assert float(total.variance) == pytest.approx(6194**2 * float(mean.variance))


def test_over_all_possible_samples_mean_and_variance_are_unbiased() -> None:
    strata = ([1.0, 0.0, 1.0, 4.0], [2.0, 2.0, 5.0])
    drawn = list(itertools.product(itertools.combinations(strata[0], 2), itertools.combinations(strata[1], 2)))
    samples = np.array(drawn)
    found = stratified_mean([4, 3], [2, 2], total=samples.sum(axis=2), squares=(samples**2).sum(axis=2))

    assert np.mean(found.estimate) == pytest.approx(np.mean([*strata[0], *strata[1]]))
    assert np.var(found.estimate) == pytest.approx(np.mean(found.variance))


def test_a_bin_without_labels_takes_the_share_of_its_neighbour_and_is_counted() -> None:
    found = stratified_mean([100, 100, 200], [10, 0, 10], total=[1, 0, 5], squares=[1, 0, 5])

    assert (0.1 * 100 + 0.5 * 300) / 400 == pytest.approx(float(found.estimate))
    assert 1 == found.collapsed


def test_a_bin_with_one_label_keeps_its_mean_and_borrows_a_variance() -> None:
    found = stratified_mean([100, 100], [1, 10], total=[1, 2], squares=[1, 2])
    pooled = np.var([1, 1, 1] + [0] * 8, ddof=1)

    assert (1.0 + 0.2) / 2 == pytest.approx(float(found.estimate))
    assert (0.25 * 0.99 + 0.25 * 0.9 / 10) * pooled == pytest.approx(float(found.variance))
    assert 1 == found.collapsed


@settings(max_examples=40)
@given(data=st.data(), strata=st.integers(1, 6))
def test_no_label_and_no_decision_is_lost_whatever_is_collapsed(data: st.DataObject, strata: int) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, 4), min_size=strata, max_size=strata)))
    extra = np.array(data.draw(st.lists(st.integers(0, 50), min_size=strata, max_size=strata)))

    constant = stratified_mean(labels + extra, labels, total=3.0 * labels, squares=9.0 * labels)

    if labels.sum() >= 2:
        assert 3.0 == pytest.approx(float(constant.estimate))  # a dropped stratum would make it less
        assert 0.0 == pytest.approx(float(constant.variance), abs=1e-12)
        assert Reason.IDENTIFIED == constant.reason
        assert 0 <= constant.collapsed <= 2 * strata
    else:
        assert np.isnan([constant.estimate, constant.variance]).all()
        assert int(constant.reason) in {Reason.NO_LABELS, Reason.TOO_FEW_LABELS, Reason.EMPTY_POPULATION}


def test_each_reason_is_told_beside_a_series_that_is_identified() -> None:
    sizes = [[0, 0], [10, 10], [10, 10], [10, 10]]
    labels = [[0, 0], [0, 0], [1, 0], [2, 2]]

    found = stratified_mean(sizes, labels, total=np.zeros((4, 2)), squares=np.zeros((4, 2)))

    expected = [Reason.EMPTY_POPULATION, Reason.NO_LABELS, Reason.TOO_FEW_LABELS, Reason.IDENTIFIED]
    assert expected == found.reason.tolist()
    assert [True, True, True, False] == np.isnan(found.estimate).tolist() == np.isnan(found.variance).tolist()


def test_more_labels_than_decisions_and_impossible_squares_are_refused() -> None:
    with pytest.raises(ValueError, match="labels: found more than sizes"):
        stratified_mean([5], [6], total=[0], squares=[0])
    with pytest.raises(ValueError, match="squares: found a sum smaller"):
        stratified_mean([50], [6], total=[6], squares=[1])


def test_weights_within_bins_remove_the_bias_that_plain_bins_keep() -> None:
    rng = np.random.default_rng(5)
    # Two bins of two segments each: the worse segment is reviewed ten times as often.
    mass = np.array([[4000.0, 1000.0], [3000.0, 2000.0]])
    rate = np.array([[0.9, 0.5], [0.95, 0.7]])
    weight = np.array([[100.0, 10.0], [100.0, 10.0]])
    violating = rng.poisson(mass * rate / weight, (4000, 2, 2))
    benign = rng.poisson(mass * (1 - rate) / weight, (4000, 2, 2))
    sizes, labels = mass.sum(axis=1), (violating + benign).sum(axis=2)
    truth = (mass * rate).sum() / mass.sum()

    plain = stratified_mean(sizes, labels, total=violating.sum(axis=2), squares=violating.sum(axis=2))
    found = post_stratified(
        sizes,
        labels,
        weight_violating=(violating * weight).sum(axis=2),
        weight_benign=(benign * weight).sum(axis=2),
        square_violating=(violating * weight**2).sum(axis=2),
        square_benign=(benign * weight**2).sum(axis=2),
    )

    assert abs(plain.estimate.mean() - truth) > 0.09
    assert abs(found.estimate.mean() - truth) < 0.002
    assert found.estimate.var() == pytest.approx(found.variance.mean(), rel=0.1)


@pytest.mark.parametrize("violating", [0, 7, 20])
def test_with_one_bin_of_equal_weights_the_interval_sample_is_the_number_of_labels(violating: int) -> None:
    found = post_stratified(
        [1000],
        [20],
        weight_violating=[50.0 * violating],
        weight_benign=[50.0 * (20 - violating)],
        square_violating=[2500.0 * violating],
        square_benign=[2500.0 * (20 - violating)],
    )

    assert 20 == pytest.approx(float(found.interval_n))


@pytest.mark.parametrize(
    ("sizes", "share", "single"),
    [([1000, 1000], [0.5, 0.5], 0), ([1000, 1000], [0.9, 0.9], 0), ([200, 2000, 900], [0.7, 0.7, 0.7], 1)],
)
def test_where_a_bin_has_one_label_the_variance_is_the_true_one(
    sizes: list[int], share: list[float], single: int
) -> None:
    rng = np.random.default_rng(6)
    labels = np.full(len(sizes), 50)
    labels[single] = 1
    violating = rng.binomial(labels, share, (20_000, len(sizes)))
    size = np.array(sizes)
    weight = size / labels
    # Of shares of infinite bins beside the correction for finite ones, which the labels of a binomial do not have.
    truth = np.sum((size / size.sum()) ** 2 * np.array(share) * (1 - np.array(share)) / labels * (1 - labels / size))

    found = post_stratified(
        size,
        labels,
        weight_violating=weight * violating,
        weight_benign=weight * (labels - violating),
        square_violating=weight**2 * violating,
        square_benign=weight**2 * (labels - violating),
    )
    plain = stratified_mean(size, labels, total=violating, squares=violating)

    assert truth == pytest.approx(found.variance.mean(), rel=0.03)
    assert found.estimate.var() == pytest.approx(found.variance.mean(), rel=0.06)
    assert found.variance == pytest.approx(plain.variance)


@settings(max_examples=80)
@given(data=st.data(), strata=st.integers(1, 6))
def test_with_equal_weights_in_a_bin_it_is_the_stratified_share_however_few_labels(
    data: st.DataObject, strata: int
) -> None:
    numbers = st.lists(st.integers(0, 3), min_size=strata, max_size=strata)
    violating, benign, extra = (np.array(data.draw(numbers)) for _ in range(3))
    labels = violating + benign
    sizes = labels + 7 * extra
    weight = np.where(labels > 0, sizes / np.maximum(labels, 1), 0.0)

    found = post_stratified(
        sizes,
        labels,
        weight_violating=weight * violating,
        weight_benign=weight * benign,
        square_violating=weight**2 * violating,
        square_benign=weight**2 * benign,
    )
    plain = stratified_mean(sizes, labels, total=violating, squares=violating)

    assert found.estimate == pytest.approx(plain.estimate, nan_ok=True)
    assert found.variance == pytest.approx(plain.variance, nan_ok=True, abs=1e-12)
    assert plain.collapsed == found.collapsed


def test_a_single_label_of_any_weight_beside_unequal_weights_keeps_the_variance_near_the_true_one() -> None:
    rng = np.random.default_rng(7)
    # A bin of one label beside one of two segments, 20 labels of weight 10 and 20 of weight 40; the share is .6 in all.
    weight = np.array([10.0, 40.0])
    violating, alone = rng.binomial(20, 0.6, (20_000, 2)), rng.binomial(1, 0.6, 20_000)
    labels, sizes = np.array([1, 40]), np.array([1500.0, 1000.0])

    found = post_stratified(
        sizes,
        labels,
        weight_violating=np.stack([1500.0 * alone, violating @ weight], axis=1),
        weight_benign=np.stack([1500.0 * (1 - alone), (20 - violating) @ weight], axis=1),
        square_violating=np.stack([1500.0**2 * alone, violating @ weight**2], axis=1),
        square_benign=np.stack([1500.0**2 * (1 - alone), (20 - violating) @ weight**2], axis=1),
    )

    assert found.estimate.var() == pytest.approx(found.variance.mean(), rel=0.06)


@pytest.mark.parametrize("sizes", [1000, [1000], [[1000], [1000]]])
def test_one_size_for_all_strata_is_the_size_of_each(sizes: object) -> None:
    found = stratified_total(sizes, [50, 50], total=[1, 20], squares=[1, 20])  # type: ignore[arg-type]

    # 1000 decisions a stratum, of which 2 and 40 % are violating.
    assert np.full(np.shape(found.estimate), 420.0).tolist() == found.estimate.tolist()


def test_sums_that_no_labels_have_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"squares: found 7\.0 at position 1, allowed are sums of 0 where there are no"
    ):
        stratified_mean([5, 3], [2, 0], total=[1, 0], squares=[1, 7])
    with pytest.raises(ValueError, match=r"total: found 1\.0 at position 0"):
        stratified_mean([5, 3], [0, 2], total=[1, 0], squares=[1, 7])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 2]}, "weight_benign: found 10.0 at position 0, allowed are sums of 0"),
        ({"weight_violating": [0, 5], "weight_benign": [0, 5]}, "weight_benign: found 0.0 at position 0"),
        ({"square_violating": [25, 0]}, "square_violating: found 0.0 at position 1, allowed are sums > 0"),
        ({"square_benign": [0, 25]}, "square_benign: found 0.0 at position 0"),
    ],
)
def test_weights_that_no_labels_have_are_refused(change: dict[str, list[float]], message: str) -> None:
    usual = {"weight_violating": [5, 5], "weight_benign": [5, 5], "square_violating": [25, 25]}
    sums = {"sizes": [10, 10], "labels": [2, 2], **usual, "square_benign": [25, 25]} | change

    with pytest.raises(ValueError, match=message):
        post_stratified(**sums)
