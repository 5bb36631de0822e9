"""Evaluations made by hand, the published figures of an always-firing detector, and properties of any alarms."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.evaluation import Score, evaluate


def scored(
    alarms: list[int], changes: list[int], *, length: int = 1000, tolerance: int = 50, merge_within: int = 1
) -> Score:
    return evaluate([alarms], [changes], lengths=[length], tolerance=tolerance, merge_within=merge_within).score


def test_counts_of_a_stream_by_hand() -> None:
    found = scored([20, 110, 111, 112, 140, 300, 560], [100, 500, 800])

    assert (3, 1, 2) == (found.changes, found.detected, found.missed)
    # 20, 300 and 560 tell of nothing; 140 tells again of the change at 100.
    assert (5, 1, 3) == (found.episodes, found.repeats, found.false_alarms)
    assert pytest.approx(0.4) == found.precision
    assert 1 / 3 == found.recall
    assert 2 * 0.4 / 3 / (0.4 + 1 / 3) == pytest.approx(found.f1)
    assert 1000 - 3 * 51 == found.quiet
    assert 847 / 3 == pytest.approx(found.false_alarm_rate.mean_between)
    np.testing.assert_array_equal([10, nan, nan], found.delay)
    assert 10.0 == found.mean_delay
    assert (10 + 50 + 50) / 3 == pytest.approx(found.restricted_delay)


@pytest.mark.parametrize(
    ("alarm", "detected"),
    [(99, 0), (100, 1), (150, 1), (151, 0)],
)
def test_the_window_of_a_change_holds_both_of_its_ends(alarm: int, detected: int) -> None:
    assert detected == scored([alarm], [100]).detected


def test_an_alarm_after_the_next_change_is_about_that_one() -> None:
    found = scored([130], [100, 120])

    np.testing.assert_array_equal([nan, 10], found.delay)


def test_a_delay_that_the_next_change_cuts_short_counts_for_as_long_as_it_was_seen() -> None:
    """Four changes followed for 51, one found at 10; one followed for 20 only: S is 1 to 9, then 4/5 to the end."""
    found = scored([1010], [1000, 2000, 3000, 4000, 4020], length=5000)

    at_risk = [5] * 20 + [4] * 30
    survival = np.cumprod([1.0 - (t == 10) / at_risk[t] for t in range(50)])
    assert survival.sum() == pytest.approx(found.restricted_delay)
    assert 10 + 40 * 0.8 == pytest.approx(found.restricted_delay)


def test_a_delay_is_not_known_beyond_the_time_that_any_change_was_followed() -> None:
    assert isnan(scored([], [990]).restricted_delay)
    assert 5.0 == scored([995], [990]).restricted_delay


@pytest.mark.parametrize("tolerance", [1000, 500_000_000, 2**62])
def test_a_tolerance_beyond_all_streams_asks_for_what_was_seen_and_nothing_more(tolerance: int) -> None:
    found, missed = (scored(alarms, [100, 500], tolerance=tolerance) for alarms in ([110, 900], [110]))

    assert [(10 + 400) / 2] * 2 == [found.restricted_delay, found.conditional_delay]
    assert isnan(missed.restricted_delay)
    # The first change was missed for as long as it was followed, and all that were followed for longer were found.
    assert 780.0 == scored([880], [0, 100], tolerance=tolerance).restricted_delay


def test_an_alarm_that_is_always_on_finds_nothing() -> None:
    found = scored(list(range(1000)), [100, 500])

    assert (1, 0, 1, 0.0) == (found.episodes, found.detected, found.false_alarms, found.f1)


def test_an_alarm_that_was_on_before_a_change_says_nothing_new() -> None:
    assert (0, 1) == (scored(list(range(90, 130)), [100]).detected, scored(list(range(90, 130)), [100]).missed)


def test_alarms_within_the_time_of_merging_are_one() -> None:
    found = scored([300, 340, 380, 420], [], merge_within=40)

    assert (1, 1) == (found.episodes, found.false_alarms)


def test_conditional_delay_leaves_out_changes_that_a_false_alarm_preceded() -> None:
    found = scored([40, 120, 530, 880], [100, 500, 850], length=1000)

    # 40 precedes the change at 100; 120 was about it, so the change at 500 is clean, and so is the one at 850.
    assert (30 + 30) / 2 == found.conditional_delay
    assert (20 + 30 + 30) / 3 == pytest.approx(found.restricted_delay)


def test_conditional_delay_counts_a_change_at_the_first_observation() -> None:
    assert 3.0 == scored([3], [0]).conditional_delay


def test_conditional_delay_does_not_look_into_the_stream_before() -> None:
    found = evaluate([[900], [110]], [[], [100]], lengths=[1000, 1000], tolerance=50).score

    assert 10.0 == found.conditional_delay


def test_streams_count_together() -> None:
    one = scored([110, 700], [100])
    other = scored([560], [500, 800])

    both = evaluate([[110, 700], [560]], [[100], [500, 800]], lengths=[1000, 1000], tolerance=50).score

    for name in ("changes", "detected", "episodes", "repeats", "false_alarms", "quiet"):
        assert getattr(one, name) + getattr(other, name) == getattr(both, name)
    np.testing.assert_array_equal(np.append(one.delay, other.delay), both.delay)


def test_episodes_do_not_reach_into_the_next_stream() -> None:
    found = evaluate([[998, 999], [0, 1]], [[], []], lengths=[1000, 1000], tolerance=50, merge_within=5).score

    assert 2 == found.episodes


@pytest.mark.parametrize(("drifts", "published"), [(5, 0.049), (50, 0.413)])
def test_published_figures_of_an_alarm_every_100_steps(drifts: int, published: float) -> None:
    """River PR 1963, comment of 2026-09-21: 20,000 samples, F1 .049 at 5 drifts and .413 at 50.

    The comment does not print spacing and tolerance. With changes at every 20,000 // (drifts + 1) samples and a
    tolerance of 100 both figures come out.
    """
    changes = [20_000 // (drifts + 1) * (number + 1) for number in range(drifts)]

    found = evaluate([[]], [changes], lengths=[20_000], tolerance=100, every=100).always_fire

    assert published == round(found.f1, 3)


def test_examples_of_river_that_print_a_value() -> None:
    """The docstrings of river.drift.evaluate at 08ef02c, which River 0.26.1 does not have."""
    assert 0.5 == scored([110, 900], [100]).precision
    assert 0.5 == scored([110, 130], [100, 500]).recall
    assert 1 == scored([110], [100, 500]).missed
    assert 0.5 == scored([110, 900], [100, 500]).f1
    assert 20.0 == scored([110, 530], [100, 500, 900]).mean_delay


def test_a_detector_that_never_fires_misses_all() -> None:
    found = evaluate([[110]], [[100, 500]], lengths=[1000], tolerance=50).never_fire

    assert (0, 2, 0.0, 0.0, 50.0) == (found.detected, found.missed, found.recall, found.f1, found.restricted_delay)
    assert isnan(found.precision)
    assert isnan(found.mean_delay)
    assert isnan(found.false_alarm_rate.mean_between)
    assert 898 / 2.996 == pytest.approx(found.false_alarm_rate.mean_between_lower, rel=1e-3)


def test_without_changes_every_alarm_is_false_and_recall_is_not_known() -> None:
    found = scored([10, 500], [])

    assert (2, 0.0, 1000) == (found.false_alarms, found.precision, found.quiet)
    assert isnan(found.recall)
    assert isnan(found.f1)
    assert isnan(found.restricted_delay)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 199), max_size=40), st.lists(st.integers(0, 199), max_size=8), st.integers(0, 30))
def test_the_sparsest_always_firing_detector_misses_no_change_that_is_followed(
    alarms: list[int], changes: list[int], tolerance: int
) -> None:
    found = evaluate([alarms], [changes], lengths=[200], tolerance=max(1, tolerance))
    apart = np.diff([*sorted(set(changes)), 200])

    assert not np.isnan(found.always_fire.delay[apart >= found.every]).any()


@settings(max_examples=60)
@given(st.lists(st.integers(0, 199), max_size=40), st.lists(st.integers(0, 199), max_size=8), st.integers(0, 30))
def test_each_alarm_is_looked_at_by_hand(alarms: list[int], changes: list[int], tolerance: int) -> None:
    alarms, changes = sorted({alarm - alarm % 2 for alarm in alarms}), sorted(set(changes))
    found = scored(alarms, changes, length=200, tolerance=tolerance)
    told: dict[int, list[int]] = {}
    for alarm in alarms:
        before = [change for change in changes if change <= alarm]
        if before and alarm - before[-1] <= tolerance:
            told.setdefault(before[-1], []).append(alarm)

    assert len(told) == found.detected
    assert len(alarms) - sum(map(len, told.values())) == found.false_alarms
    np.testing.assert_array_equal(
        [told[change][0] - change if change in told else nan for change in changes], found.delay
    )
    assert found.episodes == found.detected + found.repeats + found.false_alarms


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alarms": [[1000]]}, r"alarms\[0\]: found 1000 at position 0, allowed are whole numbers within \[0, 1000\)"),
        ({"changes": [[-1]]}, r"changes\[0\]: found -1 at position 0"),
        ({"changes": [[0.5]]}, r"changes\[0\]: found float64 values"),
        ({"alarms": [[], []]}, "alarms: got 2 streams, allowed are as many as lengths, 1"),
        ({"changes": []}, "changes: got 0 streams, allowed are as many as lengths, 1"),
        ({"lengths": [0]}, "lengths: found 0 at position 0"),
        ({"tolerance": -1}, "tolerance: got -1"),
        ({"tolerance": 2.5}, "tolerance: got 2.5, allowed are whole numbers >= 0"),
        ({"tolerance": nan}, "tolerance: got nan"),
        ({"merge_within": 0}, "merge_within: got 0"),
        ({"every": 1}, "every: got 1, allowed are whole numbers above merge_within, 1"),
        ({"confidence": 1.0}, "confidence: got 1.0"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_its_place(changed: dict[str, object], message: str) -> None:
    told: dict[str, object] = {"alarms": [[5]], "changes": [[3]], "lengths": [1000], "tolerance": 50}

    with pytest.raises(ValueError, match=message):
        evaluate(**(told | changed))  # type: ignore[arg-type]
