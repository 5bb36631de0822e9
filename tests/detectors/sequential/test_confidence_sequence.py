"""The detector alarms exactly when the interval of its period excludes the target, and in at most alpha of periods."""

import numpy as np
import pytest

from detectors import ConfidenceSequence, StateMismatch
from detectors.contract import Sides
from detectors.sequential import bernoulli_sequence
from detectors.sequential.confidence_sequence import ConfidenceSequenceState


def test_an_alarm_is_a_target_outside_the_interval_of_the_period() -> None:
    rng = np.random.default_rng(41)
    verdicts = (rng.random(900) < 0.8).astype(float)
    found = ConfidenceSequence(target=0.9, optimal_n=100.0, period=300, direction="both").build().update_many(verdicts)
    n = np.tile(np.arange(1, 301), 3)
    interval = bernoulli_sequence(np.cumsum(verdicts.reshape(3, 300), axis=1).ravel(), n, alpha=0.05, optimal_n=100)
    outside = (interval.lower > 0.9) | (interval.upper < 0.9)

    assert outside.any()
    assert outside.tolist() == found.alarm.tolist()


def test_at_most_alpha_of_the_periods_have_an_alarm_at_the_target() -> None:
    rng = np.random.default_rng(42)
    spec = ConfidenceSequence(target=0.9, alpha=0.1, optimal_n=100.0, period=500)
    found = spec.build().update_many((rng.random(500_000) < 0.9).astype(float))
    share = found.alarm.reshape(1000, 500).any(axis=1).mean()

    assert 0.02 < share < 0.1 + 3 * (0.1 * 0.9 / 1000) ** 0.5


def test_one_direction_is_blind_to_the_other() -> None:
    good = np.ones(1000)
    for direction, sees in [("fall", False), ("rise", True), ("both", True)]:
        spec = ConfidenceSequence(target=0.9, direction=direction)  # type: ignore[arg-type]
        assert sees == spec.build().update_many(good).alarm.any()


def test_a_state_that_cannot_be_is_a_mismatch() -> None:
    for state in (ConfidenceSequenceState(n=2, total=3.0), ConfidenceSequenceState(n=6000, total=1.0)):
        with pytest.raises(StateMismatch):
            ConfidenceSequence().build(state)


@pytest.mark.parametrize("alpha", [0.3, 0.4999, 0.5, 0.6, 0.99])
def test_a_lenient_level_sees_what_a_strict_one_sees(alpha: float) -> None:
    found = ConfidenceSequence(target=0.9, alpha=alpha, direction="fall").build().update_many(np.zeros(300))
    assert found.alarm[-1]
    assert found.statistic[-1] > 40.0


@pytest.mark.parametrize("direction", ["fall", "rise", "both"])
@pytest.mark.parametrize("whole", [True, False], ids=["verdicts", "shares"])
def test_a_batch_says_to_the_bit_what_single_observations_say(direction: Sides, *, whole: bool) -> None:
    x = np.random.default_rng(43).random(700)
    spec = ConfidenceSequence(target=0.4, optimal_n=100.0, period=300, direction=direction)
    single, batched = spec.build(), spec.build()
    values = np.round(x) if whole else x
    parts = [batched.update_many(part).statistic for part in np.split(values, [3, 250, 580])]

    assert [single.update(value).statistic for value in values.tolist()] == np.concatenate(parts).tolist()
    assert single.snapshot() == batched.snapshot()
