"""Episodes against a walk through the alarms one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.evaluation import episodes


@settings(max_examples=60)
@given(st.lists(st.integers(0, 60), max_size=30), st.integers(1, 6))
def test_episodes_are_those_of_a_walk_through_the_alarms(alarms: list[int], merge_within: int) -> None:
    expected: list[list[int]] = []
    for alarm in sorted(set(alarms)):
        if expected and alarm - expected[-1][-1] <= merge_within:
            expected[-1].append(alarm)
        else:
            expected.append([alarm])

    found = episodes(alarms, merge_within=merge_within)

    assert [run[0] for run in expected] == found.first.tolist()
    assert [run[-1] for run in expected] == found.last.tolist()
    assert [len(run) for run in expected] == found.alarms.tolist()


def test_an_unbroken_alarm_is_one_episode() -> None:
    assert [1000] == episodes(range(1000)).alarms.tolist()


@pytest.mark.parametrize(
    ("alarms", "message"),
    [
        ([3, -1], "alarms: found -1 at position 1, allowed are whole numbers >= 0"),
        ([0.5], "alarms: found float64 values, allowed are whole numbers >= 0"),
        ([[1]], r"alarms: got an array of shape \(1, 1\), allowed is \(n,\)"),
    ],
)
def test_positions_are_whole_numbers_in_one_dimension(alarms: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        episodes(alarms)


def test_alarms_are_merged_within_at_least_one_observation() -> None:
    with pytest.raises(ValueError, match="merge_within: got 0"):
        episodes([1], merge_within=0)
