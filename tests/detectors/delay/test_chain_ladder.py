"""The chain ladder against Mack's published table, and arrival curves against the chain ladder and brute force."""

import numpy as np
import pytest

from detectors.delay import arrival_curve, chain_ladder

# Taylor and Ashe 1983, J. Econometrics 23, as printed (increments) in Mack 1993, ASTIN Bulletin 23(2).
TAYLOR_ASHE = [
    [357848, 766940, 610542, 482940, 527326, 574398, 146342, 139950, 227229, 67948],
    [352118, 884021, 933894, 1183289, 445745, 320996, 527804, 266172, 425046],
    [290507, 1001799, 926219, 1016654, 750816, 146923, 495992, 280405],
    [310608, 1108250, 776189, 1562400, 272482, 352053, 206286],
    [443160, 693190, 991983, 769488, 504851, 470639],
    [396132, 937085, 847498, 805037, 705960],
    [440832, 847631, 1131398, 1063269],
    [359480, 1061648, 1443370],
    [376686, 986608],
    [344014],
]
TRIANGLE = np.array([row + [0] * (10 - len(row)) for row in TAYLOR_ASHE])
AGES = np.arange(10, 0, -1)


def test_the_factors_of_the_taylor_ashe_triangle_are_the_published_ones() -> None:
    expected = [3.4906, 1.7473, 1.4574, 1.1739, 1.1038, 1.0863, 1.0539, 1.0766, 1.0177]

    assert expected == chain_ladder(TRIANGLE, AGES).factors.round(4).tolist()


def test_outstanding_and_standard_errors_of_the_taylor_ashe_triangle_are_macks() -> None:
    outstanding = [0, 94634, 469511, 709638, 984889, 1419459, 2177641, 3920301, 4278972, 4625811]
    errors = [0, 75535, 121699, 133549, 261406, 411010, 558317, 875328, 971258, 1363155]

    found = chain_ladder(TRIANGLE, AGES)

    assert outstanding == found.outstanding.round().tolist()
    assert errors == found.standard_error.round().tolist()
    assert (18_680_856, 2_447_095) == (round(float(found.total_outstanding)), round(float(found.total_standard_error)))


def test_the_order_of_cohorts_and_other_series_change_nothing() -> None:
    rng = np.random.default_rng(2)
    order = rng.permutation(10)
    other = np.where(TRIANGLE > 0, rng.integers(1, 50, (10, 10)), 0)

    found = chain_ladder(np.stack([other, TRIANGLE])[:, order], AGES[order])

    assert 2_447_095 == round(float(found.total_standard_error[1]))
    np.testing.assert_allclose(chain_ladder(other, AGES).ultimate[order], found.ultimate[0], rtol=1e-12)


def test_the_standard_error_is_the_spread_of_the_prediction_error() -> None:
    rng = np.random.default_rng(4)
    runs, bins = 3000, 5
    full = rng.poisson(np.array([400, 300, 150, 100, 50]), (runs, 12, bins))
    ages = np.array([5] * 8 + [4, 3, 2, 1])
    seen = np.where(np.arange(bins) < ages[:, None], full, 0)

    found = chain_ladder(seen, ages)

    error = found.ultimate - full.sum(axis=-1)
    # Poisson counts vary less about the ladder than Mack's model, which lets C grow from C, and more in the first bin.
    np.testing.assert_allclose(error.std(axis=0)[8:], np.sqrt((found.standard_error**2).mean(axis=0))[8:], rtol=0.1)
    total = error[:, 8:].sum(axis=1)
    assert total.std() == pytest.approx(np.sqrt((found.total_standard_error**2).mean()), rel=0.1)


def test_what_no_older_cohort_tells_is_unknown() -> None:
    found = chain_ladder([[5, 3, 0], [4, 2, 0], [0, 0, 0]], [2, 2, 0])

    assert np.isnan(found.factors).tolist() == [False, True]
    assert np.isnan(found.ultimate).all()
    assert np.isnan(found.total_standard_error)


def test_growth_from_nothing_is_unknown() -> None:
    found = chain_ladder([[0, 5, 1], [3, 0, 0]], [3, 1])

    np.testing.assert_array_equal([np.nan, 6 / 5], found.factors)
    np.testing.assert_array_equal([6.0, np.nan], found.ultimate)
    np.testing.assert_array_equal([0.0, np.nan], found.outstanding)
    assert np.isnan([found.total_outstanding, found.total_standard_error]).all()


def test_totals_of_cohorts_that_have_not_begun_are_unknown_and_those_of_grown_ones_are_nothing() -> None:
    found = chain_ladder([[[0, 0, 0], [0, 0, 0]], [[4, 2, 1], [0, 0, 0]]], [[0, 0], [3, 0]])

    np.testing.assert_array_equal([np.nan, 0.0], found.total_outstanding)
    np.testing.assert_array_equal([np.nan, 0.0], found.total_standard_error)


def test_one_over_the_arrival_curve_is_the_ladders_factor_to_ultimate() -> None:
    found = arrival_curve(TRIANGLE, AGES)

    ladder = chain_ladder(TRIANGLE, AGES).factors
    expected = np.append(np.cumprod(ladder[::-1])[::-1], 1.0)
    np.testing.assert_allclose(expected, 1 / found.arrived, rtol=1e-12)


def test_the_variance_of_a_curve_of_mature_cohorts_is_greenwoods_in_reverse_and_that_of_a_proportion() -> None:
    labels = np.array([[30, 12, 0, 8], [25, 15, 6, 4]])
    per_bin = labels.sum(axis=0)
    until = np.cumsum(per_bin)

    found = arrival_curve(labels, [4, 4])

    share = until / 100
    reverse = per_bin / (until * np.where(until > per_bin, until - per_bin, np.inf))
    np.testing.assert_allclose(np.cumsum(reverse[::-1])[::-1][1:], found.variance[:-1], atol=1e-12)
    np.testing.assert_allclose((1 - share) / (100 * share), found.variance, atol=1e-12)


def test_the_variance_of_a_curve_is_the_spread_of_its_logarithm_for_cohorts_of_many_ages_and_weights() -> None:
    rng = np.random.default_rng(6)
    runs, bins, ages = 3000, 6, np.array([6, 6, 5, 4, 3, 2])
    chance = np.array([[0.3, 0.25, 0.2, 0.1, 0.1, 0.05], [0.05, 0.1, 0.1, 0.2, 0.25, 0.3]])
    light, heavy = (rng.poisson(120 * part, (runs, 6, bins)) * (np.arange(bins) < ages[:, None]) for part in chance)

    found = arrival_curve(light + 4.0 * heavy, ages, squares=light + 16.0 * heavy)

    np.testing.assert_allclose(np.log(found.arrived).var(axis=0)[:-1], found.variance.mean(axis=0)[:-1], rtol=0.1)
    truth = np.cumsum(chance.T @ [1, 4]) / 5
    np.testing.assert_allclose(truth, found.arrived.mean(axis=0), rtol=0.01)


def test_a_curve_is_right_where_the_number_of_labels_changes_from_day_to_day() -> None:
    labels = np.array([[500, 300, 200], [50, 30, 0], [9000, 0, 0]])

    np.testing.assert_allclose([0.5, 0.8, 1.0], arrival_curve(labels, [3, 2, 1]).arrived, rtol=1e-12)


def test_a_curve_is_unknown_where_no_cohort_reached_the_last_bin() -> None:
    assert np.isnan(arrival_curve([[5, 3, 0], [4, 0, 0]], [2, 1]).arrived).all()


def test_a_curve_has_no_variance_beyond_a_bin_before_which_no_label_came() -> None:
    found = arrival_curve([[0, 5, 5], [0, 0, 0]], [3, 2])

    np.testing.assert_allclose([0.0, 0.5, 1.0], found.arrived)
    np.testing.assert_allclose([np.nan, 0.5 * 0.5 / 10 / 0.5**2, 0.0], found.variance)


def test_labels_in_bins_that_have_not_passed_are_refused() -> None:
    with pytest.raises(ValueError, match="increments: found labels in a delay bin that has not passed"):
        chain_ladder([[1, 2]], [1])
    with pytest.raises(ValueError, match="labels: found labels in a delay bin that has not passed"):
        arrival_curve([[1, 2]], [1])
