"""Kaplan-Meier against Gehan's table, SciPy, the binomial and simulation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.delay import (
    KaplanMeier,
    aalen_johansen,
    arrival_curve,
    chain_ladder,
    exits_from_cohorts,
    exits_from_observations,
    ipcw,
    kaplan_meier,
    nowcast,
    restricted_mean,
    same_age,
)

EVENTS = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CENSORED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
"""Weeks in remission under 6-MP: Freireich et al. 1963, Gehan 1965."""

TIMES = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=60)


def of(times: list[int], arrived: list[int], weight: float = 1.0) -> tuple[np.ndarray, KaplanMeier]:
    exits = exits_from_observations(times, arrived, weight=weight)
    found = kaplan_meier(
        exits.events[0], exits.censored, square_events=exits.square_events[0], square_censored=exits.square_censored
    )
    return exits.times, found


@pytest.mark.parametrize(
    ("week", "survival", "error"),
    [
        (6, 0.8571, 0.0764),
        (7, 0.8067, 0.0869),
        (10, 0.7529, 0.0963),
        (13, 0.6902, 0.1068),
        (16, 0.6275, 0.1141),
        (22, 0.5378, 0.1282),
        (23, 0.4482, 0.1346),
    ],
)
def test_the_remissions_under_6mp_have_the_published_survival_and_error(
    week: int, survival: float, error: float
) -> None:
    times, found = of(EVENTS + CENSORED, [1] * 9 + [0] * 12)

    at = list(times).index(week)
    assert survival == round(float(found.survival[at]), 4)
    assert error == round(float(np.sqrt(found.variance[at])), 4)


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")
@settings(max_examples=40)
@given(observations=TIMES)
def test_survival_and_log_log_limits_agree_with_scipy(observations: list[tuple[int, bool]]) -> None:
    times, arrived = [time for time, _ in observations], [int(flag) for _, flag in observations]
    uncensored = [time for time, flag in observations if flag]
    right = [time for time, flag in observations if not flag]
    expected = stats.ecdf(stats.CensoredData(uncensored=uncensored, right=right)).sf
    limits: Any = expected.confidence_interval(0.95, method="log-log")

    found = of(times, arrived)[1]

    np.testing.assert_allclose(expected.probabilities, found.survival, atol=1e-12)
    inner = (found.survival > 1e-12) & (found.survival < 1)
    np.testing.assert_allclose(limits.low.probabilities[inner], found.lower[inner], atol=1e-9)
    np.testing.assert_allclose(limits.high.probabilities[inner], found.upper[inner], atol=1e-9)


def test_arcsine_limits_agree_with_those_of_a_proportion_where_nothing_is_censored() -> None:
    found = kaplan_meier([30, 70], [0, 0], transform="arcsine")

    half = stats.norm.ppf(0.975) / np.sqrt(100) / 2
    assert np.sin(np.arcsin(np.sqrt(0.7)) - half) ** 2 == pytest.approx(found.lower[0])
    assert np.sin(np.arcsin(np.sqrt(0.7)) + half) ** 2 == pytest.approx(found.upper[0])


@pytest.mark.parametrize("transform", ["log-log", "arcsine"])
def test_limits_cover_the_truth_under_censoring(transform: str) -> None:
    rng = np.random.default_rng(11)
    delay, watched = rng.geometric(0.15, (3000, 100)), rng.integers(1, 21, (3000, 100))
    seen = np.minimum(delay, watched)
    # Labels of the bin in which watching ends have come before it ends.
    arrived = delay <= watched
    counts = [np.stack([np.sum((seen == t) & which, axis=1) for t in range(1, 21)], 1) for which in (arrived, ~arrived)]

    found = kaplan_meier(*counts, transform=transform)  # type: ignore[arg-type]

    for bin_ in (1, 4, 7):
        truth = 0.85 ** (bin_ + 1)
        assert 0.93 <= np.mean((found.lower[:, bin_] <= truth) & (truth <= found.upper[:, bin_])) <= 0.97
        assert found.survival[:, bin_].var() == pytest.approx(found.variance[:, bin_].mean(), rel=0.1)


def test_the_variance_with_weights_is_the_spread_of_the_estimate_where_weights_go_with_delays() -> None:
    rng = np.random.default_rng(3)
    delay, watched = rng.integers(1, 9, (4000, 200)), rng.integers(1, 11, (4000, 200))
    weight = np.where(rng.random(delay.shape) < delay / 10, 8.0, 1.0)
    seen, arrived = np.minimum(delay, watched), delay <= watched
    sums = [
        np.stack([np.sum(weight**power * which * (seen == t), axis=1) for t in range(1, 11)], 1)
        for power in (1, 2)
        for which in (arrived, ~arrived)
    ]

    found = kaplan_meier(sums[0], sums[1], square_events=sums[2], square_censored=sums[3])

    for bin_ in (1, 3, 5):
        assert found.survival[:, bin_].var() == pytest.approx(found.variance[:, bin_].mean(), rel=0.08)


def test_before_the_first_label_the_lower_limit_is_that_of_no_successes_so_far() -> None:
    found = kaplan_meier([0, 2], [0, 18])

    expected = stats.binomtest(20, 20).proportion_ci(0.95, method="wilson").low
    assert 1.0 == found.survival[0] == found.upper[0]
    assert expected == pytest.approx(found.lower[0])


def test_the_tail_is_unknown_where_nobody_is_left_and_zero_where_all_have_their_label() -> None:
    found = kaplan_meier([[2, 0, 0], [2, 1, 0]], [[0, 1, 0], [0, 0, 0]])

    assert np.isnan(found.survival[0]).tolist() == [False, False, True]
    assert 0.0 == found.survival[1, 1] == found.survival[1, 2]
    assert np.isnan([found.lower[1, 1], found.variance[1, 1], found.lower[0, 2]]).all()


@settings(max_examples=40)
@given(weight=st.floats(0.1, 50), observations=TIMES)
def test_equal_weights_of_any_size_change_nothing(weight: float, observations: list[tuple[int, bool]]) -> None:
    times, arrived = [time for time, _ in observations], [int(flag) for _, flag in observations]

    _, plain = of(times, arrived)
    _, weighted = of(times, arrived, weight)

    np.testing.assert_allclose(plain.survival, weighted.survival, atol=1e-12)
    np.testing.assert_allclose(plain.variance, weighted.variance, atol=1e-9)


def test_the_simulated_overturns_have_the_share_of_the_guide_and_the_naive_share_does_not() -> None:
    rng = np.random.default_rng(0)
    n, runs = 5000, 100
    delay = np.where(rng.random((runs, n)) < 0.3, rng.exponential(10.0, (runs, n)), np.inf)
    age = rng.uniform(0, 30, (runs, n))
    arrived = delay <= age
    found, weighted = [], []
    for run in range(runs):
        exits = exits_from_observations(np.minimum(delay, age)[run], arrived[run])
        found.append(np.nanmax(kaplan_meier(exits.events[0], exits.censored).matured))
        weighted.append(np.nansum(exits.events[0] * ipcw(exits.events[0], exits.censored)) / n)

    truth = 0.3 * (1 - np.exp(-3.0))
    assert 0.2851 == round(truth, 4)
    assert truth == pytest.approx(np.mean(found), abs=0.004)
    assert 0.0108 == pytest.approx(np.std(found), rel=0.3)
    np.testing.assert_allclose(found, weighted, atol=1e-12)
    assert 0.2047 == pytest.approx(arrived.mean(), abs=0.003)


def test_cohorts_and_single_observations_give_the_same_exits() -> None:
    cohort = exits_from_cohorts([[[3, 1, 0], [2, 2, 0]]], [6, 5], [3, 2])
    times = [0] * 5 + [1] * 3 + [2] * 2 + [1]
    single = exits_from_observations(times, [1] * 8 + [0] * 3)

    np.testing.assert_array_equal(single.events, cohort.events)
    np.testing.assert_array_equal(single.censored, cohort.censored)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"events": [[[1, 1]]], "age": [1]}, "events: found labels in a delay bin that has not passed"),
        ({"events": [[[3, 3]]]}, "events: found more labels than decisions"),
        ({"age": [3]}, r"age: found a number other than 0\.\.2"),
        ({"age": [0.5]}, r"age: found a number other than 0\.\.2"),
        ({"events": [[[float("nan"), 0]]]}, "events: found nan at position 0, 0, 0"),
        ({"square_events": [1.0], "square_entries": [4]}, "square_events: shape"),
        ({"square_events": [[[1, 1]]]}, "square_entries: missing beside square_events"),
        ({"square_entries": [4]}, "square_events: missing beside square_entries"),
        ({"square_events": [[[1, 0]]], "square_entries": [4]}, "square_events: found 0.0 at position 0, 0, 1"),
        # Two decisions are left and no square of theirs.
        ({"square_events": [[[1, 1]]], "square_entries": [2]}, "square_entries: found 0.0 at position 0"),
    ],
)
def test_impossible_cohorts_are_refused(change: dict[str, object], message: str) -> None:
    usual: dict[str, object] = {"events": [[[1, 1]]], "entries": [4], "age": [2]}

    with pytest.raises(ValueError, match=message):
        exits_from_cohorts(**(usual | change))  # type: ignore[arg-type]


@pytest.mark.parametrize("estimate", [kaplan_meier, aalen_johansen])
@pytest.mark.parametrize(
    ("squares", "message"),
    [
        (
            {"square_events": [[200, 100]]},
            "square_censored: missing beside square_events, allowed are the squares of all",
        ),
        ({"square_censored": [400, 300]}, "square_events: missing beside square_censored"),
        ({"square_events": [[0, 0]], "square_censored": [0, 0]}, "square_events: found 0.0 at position 0, 0"),
        ({"square_events": [[200, 100]], "square_censored": [400, 0]}, "square_censored: found 0.0 at position 1"),
    ],
)
def test_weights_whose_squares_are_missing_are_refused(
    estimate: Callable[..., Any], squares: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        estimate([[20, 10]], [40, 30], **squares)


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(0, 6), min_size=3, max_size=3), share=st.floats(0.01, 0.99))
def test_cohorts_whose_labels_have_all_come_leave_no_decision_behind_in_any_order_of_adding(
    sizes: list[int], share: float
) -> None:
    weights = [1 / share / (1 + place) for place in range(sum(sizes))]
    parts = np.split(np.array(weights), np.cumsum(sizes)[:-1])
    events, squares = ([[[float(sum(part**power)) for part in parts]]] for power in (1, 2))
    entries = sum(reversed(weights), 0.0)

    exits = exits_from_cohorts(
        events, [entries], [3], square_events=squares, square_entries=[float(sum(np.array(weights) ** 2))]
    )
    found = kaplan_meier(
        exits.events[0], exits.censored, square_events=exits.square_events[0], square_censored=exits.square_censored
    )

    if weights:
        expected = 1 - np.cumsum(events) / entries
        np.testing.assert_allclose(expected, found.survival, atol=1e-12)
        assert 0.0 == found.survival[-1]


@pytest.mark.parametrize(("delay", "cause"), [([-1], [1]), ([1], [2]), ([1], [0.5]), ([float("nan")], [1])])
def test_impossible_observations_are_refused(delay: list[float], cause: list[float]) -> None:
    with pytest.raises(ValueError, match=r"delay|cause"):
        exits_from_observations(delay, cause)


def test_bins_that_differ_and_unknown_transforms_are_refused() -> None:
    with pytest.raises(ValueError, match="allowed are equal bins"):
        kaplan_meier([1, 2], [1])
    with pytest.raises(ValueError, match="'log-log' and 'arcsine'"):
        kaplan_meier([1, 2], [1, 1], transform="logit")  # type: ignore[arg-type]


def test_columns_of_observations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"delay, cause, weight: found shapes \(2, 1\), \(2,\), \(\)"):
        exits_from_observations([[1], [2]], [1, 0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: kaplan_meier(3.0, 1.0),
        lambda: restricted_mean(3.0, 1.0),
        lambda: ipcw(3.0, 1.0),
        lambda: chain_ladder(3.0, 1),
        lambda: chain_ladder([3.0], 1),
        lambda: arrival_curve(3.0, 1),
        lambda: nowcast(3.0, 1.0, selected=5, age=1, window=True),
        lambda: same_age(3.0, 1.0, selected=5, age=1, window=True, reference=False),
        lambda: exits_from_cohorts(3.0, 5.0, 1),
        lambda: exits_from_cohorts([[[3.0]]], 5.0, 1),
    ],
)
def test_numbers_without_bins_are_refused_by_name(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r": got shape \(.*\), allowed is \(\.\.\., "):
        call()
