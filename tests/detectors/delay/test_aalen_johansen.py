"""Competing labels and censoring weights against worked values, exact cases, each other and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.delay import aalen_johansen, exits_from_observations, ipcw, kaplan_meier

COUNTS = hnp.arrays(np.int64, (3, 6), elements=st.integers(0, 5))
"""Rows: two causes, censored."""


def test_three_overturned_and_upheld_of_six_have_the_worked_shares() -> None:
    exits = exits_from_observations([1, 2, 3, 4, 5, 6], [1, 2, 0, 1, 2, 0], causes=2)

    found = aalen_johansen(exits.events, exits.censored)

    assert [0.388889, 0.388889] == found.incidence[:, -1].round(6).tolist()
    assert 0.222222 == round(float(found.survival[-1]), 6)


def test_one_minus_kaplan_meier_of_one_kind_overstates_its_share() -> None:
    exits = exits_from_observations([1, 2, 3, 4, 5, 6], [1, 2, 0, 1, 2, 0], causes=2)

    alone = kaplan_meier(exits.events[0], exits.events[1] + exits.censored).matured[-1]

    assert alone > 0.44 > aalen_johansen(exits.events, exits.censored).incidence[0, -1]


@settings(max_examples=40)
@given(counts=COUNTS)
def test_with_one_cause_it_is_kaplan_meier_with_greenwoods_variance(counts: np.ndarray) -> None:
    expected = kaplan_meier(counts[0], counts[2])

    found = aalen_johansen(counts[:1], counts[2])

    np.testing.assert_allclose(expected.matured, found.incidence[0], atol=1e-12)
    known = ~np.isnan(expected.variance)
    np.testing.assert_allclose(expected.variance[known], found.variance[0][known], atol=1e-12)


@settings(max_examples=40)
@given(counts=COUNTS)
def test_without_censoring_shares_and_variances_are_those_of_a_multinomial(counts: np.ndarray) -> None:
    events = counts[:2] + np.array([[0, 0, 0, 0, 0, 1]] * 2)
    n = events.sum()

    found = aalen_johansen(events, np.zeros(6))

    share = np.cumsum(events, axis=1) / n
    np.testing.assert_allclose(share, found.incidence, atol=1e-12)
    np.testing.assert_allclose(share * (1 - share) / n, found.variance, atol=1e-12)


@settings(max_examples=40)
@given(counts=COUNTS)
def test_weighted_by_inverse_probability_of_censoring_the_labels_give_the_same_shares(counts: np.ndarray) -> None:
    n = max(int(counts.sum()), 1)

    weights = ipcw(counts[:2].sum(axis=0), counts[2])

    found = aalen_johansen(counts[:2], counts[2]).incidence
    weighted = np.cumsum(np.where(np.isnan(weights), 0.0, weights) * counts[:2], axis=1) / n
    known = ~np.isnan(found)
    np.testing.assert_allclose(weighted[known], found[known], atol=1e-12)


def test_the_weights_of_the_remissions_under_6mp_give_one_minus_the_published_survival() -> None:
    times = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    exits = exits_from_observations(times, [1] * 9 + [0] * 12)

    matured = np.cumsum(exits.events[0] * ipcw(exits.events[0], exits.censored)) / 21

    assert 0.4482 == round(1 - float(matured[-1]), 4)
    # G(T-): the censored of week 6 leave after the labels of week 6.
    assert 1.0 == ipcw(exits.events[0], exits.censored)[0]


def test_labels_weighted_by_sampling_and_by_arrival_in_their_stratum_give_the_share_of_all_decisions() -> None:
    rng = np.random.default_rng(9)
    runs, n, bins = 300, 4000, 8
    stratum = rng.integers(0, 2, (runs, n))
    violating = rng.random((runs, n)) < np.where(stratum == 1, 0.9, 0.5)
    reviewed = rng.random((runs, n)) < np.where(stratum == 1, 0.5, 0.2)
    # One queue answers soon and is watched for long, the other the opposite: the labels that came are mostly its.
    delay = np.minimum(rng.geometric(np.where(stratum == 1, 0.6, 0.3)) - 1, bins - 1)
    watched = rng.integers(np.where(stratum == 1, 4, 0), bins, (runs, n))
    bin_, came = np.minimum(delay, watched), delay <= watched
    weight = reviewed / np.where(stratum == 1, 0.5, 0.2)
    events, censored, of_violating = (
        np.stack(
            [
                np.stack([np.sum(weight * which * (bin_ == t) * (stratum == queue), 1) for t in range(bins)], -1)
                for queue in (0, 1)
            ],
            axis=1,
        )
        for which in (came, ~came, came & violating)
    )

    weights = ipcw(events, censored)

    shares = np.nansum(weights * of_violating, axis=(1, 2)) / np.nansum(weights * events, axis=(1, 2))
    assert 0.7 == pytest.approx(shares.mean(), abs=0.005)
    assert np.sum(of_violating) / np.sum(events) - 0.7 > 0.01
    assert violating[came & reviewed].mean() - 0.7 > 0.1


def test_variances_are_the_spread_of_the_estimates_under_censoring_and_with_weights() -> None:
    rng = np.random.default_rng(5)
    runs, n, bins = 3000, 200, 15
    cause = np.where(rng.random((runs, n)) < 0.3, 1, 2)
    delay = np.where(cause == 1, rng.integers(3, 13, (runs, n)), rng.integers(0, 9, (runs, n)))
    watched = rng.integers(1, 15, (runs, n))
    weight = np.where(rng.random((runs, n)) < 0.05 + 0.05 * delay, 5.0, 1.0)
    seen, kind = np.minimum(delay, watched), np.where(delay <= watched, cause, 0)
    sums = np.array(
        [
            [
                np.stack([np.sum(weight**power * ((kind == which) & (seen == t)), axis=1) for t in range(bins)], 1)
                for which in range(3)
            ]
            for power in (0, 1, 2)
        ]
    )
    plain = aalen_johansen(np.moveaxis(sums[0][1:], 0, 1), sums[0][0])
    weighted = aalen_johansen(
        np.moveaxis(sums[1][1:], 0, 1),
        sums[1][0],
        square_events=np.moveaxis(sums[2][1:], 0, 1),
        square_censored=sums[2][0],
    )

    for found in (plain, weighted):
        for bin_ in (4, 7, 9):
            spread = np.nanvar(found.incidence[..., bin_], axis=0)
            np.testing.assert_allclose(spread, np.nanmean(found.variance[..., bin_], axis=0), rtol=0.1)


def test_series_are_computed_as_if_alone_and_the_tail_is_unknown_where_nobody_is_left() -> None:
    rng = np.random.default_rng(1)
    events, censored = rng.integers(0, 4, (5, 2, 7)), rng.integers(0, 4, (5, 7))
    events[0, :, 3:] = censored[0, 4:] = 0
    censored[0, 3] = 1

    together = aalen_johansen(events, censored)

    for series in range(5):
        alone = aalen_johansen(events[series], censored[series])
        np.testing.assert_array_equal(alone.incidence, together.incidence[series])
        np.testing.assert_array_equal(alone.variance, together.variance[series])
    assert np.isnan(together.incidence[0, :, 4:]).all()
    assert not np.isnan(together.incidence[0, :, :4]).any()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="allowed are"):
        aalen_johansen([1, 2], [1, 2])
    with pytest.raises(ValueError, match="allowed are equal bins"):
        ipcw([1, 2], [1])
