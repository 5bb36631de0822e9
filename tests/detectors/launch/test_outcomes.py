"""Counts of disagreements: by hand, in any order of the parts, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.launch import Outcomes, outcomes

DECISION = st.tuples(st.booleans(), st.booleans(), st.sampled_from([0.0, 1.0, float("nan")]), st.integers(0, 2))


@settings(max_examples=50)
@given(st.lists(DECISION, min_size=1, max_size=30), st.integers(0, 30))
def test_parts_in_any_order_add_up_to_a_count_by_hand(decisions: list[tuple[bool, bool, float, int]], cut: int) -> None:
    def count(part: list[tuple[bool, bool, float, int]]) -> Outcomes:
        champion, challenger, violating, stratum = zip(*part, strict=True) if part else ((), (), (), ())
        rows = np.array(stratum, dtype=np.int64)
        return outcomes(champion, challenger, violating=violating, stratum=rows, strata=3)

    by_hand = np.zeros((3, 6))
    for champion, challenger, violating, stratum in decisions:
        if champion != challenger:
            by_hand[stratum, 3 * champion + {1.0: 0, 0.0: 1}.get(violating, 2)] += 1

    found = count(decisions[cut:]) + count(decisions[:cut])

    assert by_hand.tolist() == found.discordant.tolist()
    assert sum(a and b for a, b, _, _ in decisions) == found.both
    assert sum(a or b for a, b, _, _ in decisions) == found.decisions
    assert sum(a != b and v == v for a, b, v, _ in decisions) == found.labels


@pytest.mark.parametrize(
    ("discordant", "both", "message"),
    [
        (np.zeros(6), np.array(0.0), "shape"),
        (np.zeros((2, 1, 6)), np.array(0.0), "shape"),
        (np.full((1, 6), 0.5), np.array(0.0), "whole"),
        (np.zeros((1, 6)), np.array(np.nan), "both: found nan"),
    ],
)
def test_counts_that_are_none_are_refused(discordant: np.ndarray, both: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outcomes(discordant, both)


@pytest.mark.parametrize(
    ("violating", "stratum", "message"), [([0.5], 0, "violating"), ([1.0], 1, "stratum"), ([1.0], 0.5, "stratum")]
)
def test_decisions_that_cannot_be_counted_are_refused(violating: list[float], stratum: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        outcomes([1], [0], violating=violating, stratum=stratum)


def test_outcomes_of_other_strata_do_not_add() -> None:
    with pytest.raises(ValueError, match="strata: got 1 and 2"):
        outcomes([1], [0], violating=[1]) + outcomes([1], [0], violating=[1], strata=2)


def test_narrow_integers_name_their_stratum_all_the_same() -> None:
    found = outcomes(np.ones(60), np.zeros(60), violating=np.ones(60), stratum=np.arange(60, dtype=np.uint8), strata=60)
    assert [1.0] * 60 == found.discordant.sum(axis=1).tolist()


def test_no_decisions_are_no_outcomes_with_strata_as_without() -> None:
    for found in (outcomes([], [], violating=[], stratum=[]), outcomes([], [], violating=[])):
        assert 0.0 == found.discordant.sum() == found.both
