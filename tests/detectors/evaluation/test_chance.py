"""Chance against every placement of the episodes, and against simulation."""

from itertools import combinations
from math import isnan

import numpy as np
import pytest

from detectors.evaluation import Chance, Streams, chance
from detectors.evaluation.score import score

LENGTH, TOLERANCE, CHANGES = 13, 3, [2, 4, 9]


@pytest.mark.parametrize("count", [1, 2, 3, 6, 12, 13])
def test_expectations_are_means_over_every_placement(count: int) -> None:
    """The stream has windows of 2, 4 and 4: the second change cuts the first one's short."""
    windows = [range(2, 4), range(4, 8), range(9, 13)]
    precision, recall, f1, delay = [], [], [], []
    for placed in combinations(range(LENGTH), count):
        hits = [[place for place in placed if place in window] for window in windows]
        found = sum(map(bool, hits))
        p, r = sum(map(len, hits)) / count, found / 3
        precision.append(p)
        recall.append(r)
        f1.append(2 * p * r / (p + r) if found else 0.0)
        delay.append(min(TOLERANCE, *(place - 9 for place in hits[2])) if len(hits[2]) else TOLERANCE)

    actual = chance(Streams.of([CHANGES], lengths=[LENGTH], tolerance=TOLERANCE), count=count, tolerance=TOLERANCE)

    expected = [np.mean(values) for values in (precision, recall, f1, delay)]
    np.testing.assert_allclose(
        [actual.precision, actual.recall, actual.f1, actual.restricted_delay], expected, rtol=1e-10, atol=1e-12
    )


def test_many_alarms_at_random_score_what_is_expected() -> None:
    rng = np.random.default_rng(3)
    count, tolerance = 150, 60
    streams = Streams.of([[1000, 1030, 4000], [2500]], lengths=[6000, 4000], tolerance=tolerance)
    scores = [
        score(streams, np.sort(rng.choice(10_000, size=count, replace=False)), tolerance=tolerance, confidence=0.95)
        for _ in range(500)
    ]
    expected = chance(streams, count=count, tolerance=tolerance)

    for name in ("precision", "recall", "f1"):
        values = np.array([getattr(found, name) for found in scores])
        assert abs(values.mean() - getattr(expected, name)) < 4 * values.std() / np.sqrt(len(values))


def test_expectations_of_many_episodes_stay_probabilities() -> None:
    streams = Streams.of([list(range(400, 20_000, 400))], lengths=[20_000], tolerance=100)

    found = chance(streams, count=2000, tolerance=100)

    # With each window certain to be hit, F1 is that of precision .25 and recall 1, but for the spread of the precision.
    assert found.recall == pytest.approx(1.0, abs=1e-3)
    assert found.f1 == pytest.approx(2 * found.precision / (found.precision + 1), abs=1e-3)


def test_without_episodes_nothing_is_found_and_precision_is_not_known() -> None:
    found = chance(Streams.of([[10]], lengths=[100], tolerance=5), count=0, tolerance=5)

    assert isnan(found.precision)
    assert (0.0, 0.0, 5.0) == (found.recall, found.f1, found.restricted_delay)


def test_without_changes_recall_and_f1_are_not_known() -> None:
    found = chance(Streams.of([[]], lengths=[100], tolerance=5), count=4, tolerance=5)

    assert isinstance(found, Chance)
    assert 0.0 == found.precision
    assert isnan(found.recall)
    assert isnan(found.f1)
    assert isnan(found.restricted_delay)


def test_more_episodes_than_observations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"count: got 101, allowed are whole numbers within \[0, 100\]"):
        chance(Streams.of([[]], lengths=[100], tolerance=5), count=101, tolerance=5)
