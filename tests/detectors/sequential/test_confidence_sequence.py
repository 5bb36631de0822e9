"""The detector alarms exactly when the interval of its period excludes the target, and in at most alpha of periods."""

from decimal import Decimal, localcontext

import msgspec
import numpy as np
import pytest

from detectors import ConfidenceSequence, StateMismatch, resume, save
from detectors.arrays import Floats
from detectors.contract import Sides
from detectors.sequential import bernoulli_sequence
from detectors.sequential.bernoulli import BernoulliMixture
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
    nan, inf = float("nan"), float("inf")
    for state in (
        ConfidenceSequenceState(n=2, total=3.0),
        ConfidenceSequenceState(n=6000, total=1.0),
        ConfidenceSequenceState(n=2, total=1.5, value=1.0, error=8.0),
        *(ConfidenceSequenceState(n=2, total=1.0, value=value, error=8.0) for value in (0.0, -1.0, nan, inf)),
        *(ConfidenceSequenceState(n=2, total=1.0, value=1.0, error=error) for error in (0.0, -1.0, nan, inf)),
        ConfidenceSequenceState(n=2, total=1.0, value=1.0, error=8.0, power=1),
    ):
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


def above(a: Decimal, b: Decimal, p: Decimal) -> Decimal:
    """The integral of x^(a - 1) (1 - x)^(b - 1) over x > p, divided by p^a (1 - p)^b, as a sum of positive terms."""
    factor, divisor, step = (a + b) * (1 - p), b + 1, 1 - p
    term = found = Decimal(1)
    while factor >= divisor or term * divisor > found * (divisor - factor) * Decimal("1e-20"):
        term *= factor / divisor
        found += term
        factor += step
        divisor += 1
    return found / b


def exact(spec: ConfidenceSequence, *, successes: int, n: int) -> float:
    """The logarithm of the e-value by its definition as a ratio of integrals, in decimal numbers of 40 digits."""
    mixture = BernoulliMixture.tuned(
        spec.target, alpha=spec.alpha, optimal_n=spec.optimal_n, evidence=spec.direction
    ).mixture
    with localcontext(prec=40):
        a, b, p = (Decimal(float(part)) for part in (mixture.a, mixture.b, mixture.share))
        hits = n - successes if spec.direction == "fall" else successes
        return float((above(a + hits, b + (n - hits), p) / above(a, b, p)).ln())


def assert_exact(spec: ConfidenceSequence, verdicts: Floats, moments: list[int]) -> None:
    found = spec.build().update_many(verdicts).statistic
    successes = np.cumsum(verdicts).astype(int)
    expected = [exact(spec, successes=int(successes[n - 1]), n=n) for n in moments]

    assert expected == pytest.approx([found[n - 1] for n in moments], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("optimal_n", [10.0, 1e5])
@pytest.mark.parametrize("direction", ["fall", "rise"])
@pytest.mark.parametrize("target", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_the_statistic_is_the_ratio_of_integrals_at_every_mean(
    target: float, direction: Sides, optimal_n: float
) -> None:
    spec = ConfidenceSequence(target=target, direction=direction, optimal_n=optimal_n)
    uniform = np.random.default_rng(44).random(1000)
    for mean in (0.0, 0.5 * target, 0.97 * target, target, 0.97 * target + 0.03, 0.5 * target + 0.5, 1.0):
        assert_exact(spec, (uniform < mean).astype(float), [1, 5, 50, 1000])


def test_the_statistic_stays_exact_while_a_mean_goes_to_and_fro() -> None:
    uniform = np.random.default_rng(45).random(5000)
    level = np.repeat([0.97, 0.6, 1.0, 0.9, 0.0], 1000)
    for direction in ("fall", "rise"):
        spec = ConfidenceSequence(target=0.9, direction=direction)
        assert_exact(spec, (uniform < level).astype(float), list(range(250, 5001, 250)))


@pytest.mark.parametrize("mean", [0.5, 0.49, 0.51])
def test_the_statistic_of_a_million_verdicts_is_as_exact(mean: float) -> None:
    spec = ConfidenceSequence(target=0.5, period=1_000_000)
    verdicts = (np.random.default_rng(46).random(1_000_000) < mean).astype(float)

    assert_exact(spec, verdicts, [300_000, 1_000_000])


STREAMS = {
    "at the target": [(700, 0.9)],
    "above": [(700, 0.97)],
    "all right, then all wrong": [(400, 1.0), (900, 0.0), (300, 1.0)],
    "all wrong, then all right": [(600, 0.0), (1000, 1.0)],
}


@pytest.mark.parametrize("direction", ["fall", "rise", "both"])
@pytest.mark.parametrize("levels", STREAMS.values(), ids=STREAMS)
def test_verdicts_give_the_same_bits_however_they_are_cut_and_saved(
    levels: list[tuple[int, float]], direction: Sides
) -> None:
    rng = np.random.default_rng(47)
    values = np.concatenate([(rng.random(n) < mean).astype(float) for n, mean in levels])
    values[-40] = 0.3
    spec = ConfidenceSequence(target=0.9, direction=direction, period=len(values) - 30)
    expected = spec.build().update_many(values).statistic
    single, batched, saved = spec.build(), spec.build(), spec.build()
    parts, resumed = [], []
    for part in np.split(values, np.sort(rng.integers(0, len(values), size=40))):
        parts.append(batched.update_many(part).statistic)
        saved = resume(spec, save(spec, saved))  # type: ignore[assignment]
        resumed.append(saved.update_many(part).statistic)

    assert expected.tolist() == [single.update(value).statistic for value in values.tolist()]
    assert expected.tolist() == np.concatenate(parts).tolist() == np.concatenate(resumed).tolist()
    assert single.snapshot() == batched.snapshot() == saved.snapshot()


def test_a_state_of_count_and_sum_goes_on_by_these_to_the_end_of_its_period() -> None:
    spec = ConfidenceSequence(target=0.5, period=100)
    verdicts = (np.random.default_rng(48).random(150) < 0.6).astype(float)
    expected = spec.build().update_many(verdicts).statistic
    state = msgspec.msgpack.decode(
        msgspec.msgpack.encode({"n": 30, "total": float(verdicts[:30].sum())}), type=ConfidenceSequenceState
    )
    logic = spec.build(state)
    found = logic.update_many(verdicts[30:]).statistic

    assert expected[30:] == pytest.approx(found, abs=1e-10)
    assert expected[100:].tolist() == found[70:].tolist()
    assert spec.build(ConfidenceSequenceState(n=30, total=15.5)).snapshot().value is None


def test_targets_next_to_0_and_1_are_judged_too() -> None:
    with np.errstate(all="raise"):
        for target, direction in ((1e-300, "rise"), (1e-120, "rise"), (1e-12, "rise"), (1e-12, "fall")):
            spec = ConfidenceSequence(target=target, direction=direction)  # type: ignore[arg-type]
            found = spec.build().update_many([0.0, 1.0, 1.0, 1.0, 0.0])
            assert np.isfinite(found.statistic).all()
            assert (direction == "rise") == found.alarm[-1]
