"""The weighted confidence sequence by exact enumeration, by simulation with many looks, and by its invariances."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sequential import weighted_sequence

COUNTS = st.lists(st.integers(0, 400), min_size=2, max_size=2)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_at_most_alpha_of_all_short_streams_are_ever_excluded(share: float) -> None:
    probability = np.array([0.2, 1.0])
    decisions = 9
    # A decision is unsampled, or labelled in a stratum: half of the traffic each, verdicts tied to the stratum.
    of_violating = np.array([0.9, 2 * share - 0.9]) if share > 0.5 else np.array([2 * share - 0.1, 0.1])
    outcomes: list[tuple[tuple[int, bool] | None, float]] = [(None, 0.5 * (1 - probability[0]))]
    for stratum, violating in itertools.product((0, 1), (True, False)):
        rate = of_violating[stratum] if violating else 1 - of_violating[stratum]
        outcomes.append(((stratum, violating), 0.5 * probability[stratum] * rate))
    assert 1 == pytest.approx(sum(chance for _, chance in outcomes))
    tallies: dict[tuple[int, ...], float] = {(0, 0, 0, 0): 1.0}
    excluded = 0.0
    for _ in range(decisions):
        following: dict[tuple[int, ...], float] = {}
        for tally, chance in tallies.items():
            for label, step in outcomes:
                new = list(tally)
                if label is not None:
                    new[label[0] + (0 if label[1] else 2)] += 1
                following[tuple(new)] = following.get(tuple(new), 0.0) + chance * step
        keys = np.array(list(following))
        found = weighted_sequence(
            keys[:, :2], keys[:, 2:], inclusion_probability=probability, smallest_probability=0.2, confidence=0.5
        )
        out = (found.lower > share) | (share > found.upper)
        excluded += sum(chance for chance, gone in zip(following.values(), out, strict=True) if gone)
        tallies = {key: chance for (key, chance), gone in zip(following.items(), out, strict=True) if not gone}

    assert 0.0 < excluded <= 0.5


def test_it_holds_at_every_label_where_review_follows_the_score_and_the_naive_share_does_not() -> None:
    rng = np.random.default_rng(4)
    runs, labels, probability, of_violating = 200, 1500, np.array([0.05, 0.5]), np.array([0.98, 0.75])
    share = of_violating.mean()
    stratum = (rng.random((runs, labels)) < probability[1] / probability.sum()).astype(int)
    violating = rng.random((runs, labels)) < of_violating[stratum]
    counts = [
        np.stack([np.cumsum((stratum == s) & (violating == verdict), axis=1) for s in (0, 1)], axis=-1)[:, 24::25]
        for verdict in (True, False)
    ]

    found = weighted_sequence(*counts, inclusion_probability=probability, smallest_probability=0.05)

    ever_out = ((found.lower > share) | (found.upper < share)).any(axis=1)
    naive = counts[0].sum(axis=-1)[:, -1] / labels
    assert ever_out.mean() <= 0.05
    assert np.all(np.abs(naive - share) > 0.05)
    assert np.mean(found.upper[:, -1] - found.lower[:, -1]) < 0.25


@settings(max_examples=30)
@given(violating=COUNTS, benign=COUNTS)
def test_exchanging_verdicts_mirrors_it_and_strata_of_one_probability_are_one(
    violating: list[int], benign: list[int]
) -> None:
    def found(ones: list[int], zeros: list[int], pi: list[float]) -> tuple[float, float]:
        interval = weighted_sequence(ones, zeros, inclusion_probability=pi, smallest_probability=0.1)
        return float(interval.lower), float(interval.upper)

    lower, upper = found(violating, benign, [0.1, 0.5])
    assert (1 - upper, 1 - lower) == pytest.approx(found(benign, violating, [0.1, 0.5]), abs=1e-12)
    assert found(violating, benign, [0.5, 0.5]) == pytest.approx(
        found([sum(violating)], [sum(benign)], [0.5]), abs=1e-12
    )
    assert 0 <= lower <= upper <= 1


def test_without_labels_it_knows_nothing_and_agreeing_labels_leave_one_side_open() -> None:
    found = weighted_sequence(
        [[0, 0], [50, 0], [0, 0]], [[0, 0], [0, 0], [0, 50]], inclusion_probability=[0.5, 1.0], smallest_probability=0.5
    )

    assert [0.0, 0.0] == [found.lower[0], found.lower[2]]
    assert [1.0, 1.0] == [found.upper[0], found.upper[1]]
    assert 0.8 < found.lower[1] < 1
    assert 0 < found.upper[2] < 0.3


def test_a_broken_promise_of_the_design_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inclusion_probability: found 0\.05, allowed are numbers from smallest"):
        weighted_sequence([1], [1], inclusion_probability=[0.05], smallest_probability=0.1)
    with pytest.raises(ValueError, match="benign: found -1"):
        weighted_sequence([1], [-1], inclusion_probability=[0.5], smallest_probability=0.1)
