"""e-SR and e-CUSUM against plain recursions, the run lengths they promise, and the exact trade-off of the guide."""

import math
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import ECusum, ESr, StateMismatch, resume, save
from detectors.sequential import alternatives, weighted_observations
from detectors.sequential.e_detector import EDetectorState

PLANNED = {"mean": 0.1, "smallest_change": 0.1, "largest_change": 0.1, "direction": "rise"}
kinds = pytest.mark.parametrize("kind", [ESr, ECusum])


def plain(kind: type[ESr] | type[ECusum], spec: ESr | ECusum, values: list[float]) -> list[float]:
    """The recursion of the paper with exact-size numbers, L in its lambda form."""
    grid = alternatives(
        spec.mean, smallest_change=spec.smallest_change, largest_change=spec.largest_change, direction=spec.direction
    )
    bets = (grid.means - spec.mean) / (1 - spec.mean)
    value = [0.0 if kind is ESr else 1.0] * len(bets)
    found = []
    for x in values:
        for index, bet in enumerate(bets):
            growth = 1 + bet * (x / spec.mean - 1)
            value[index] = growth * (1 + value[index] if kind is ESr else max(1.0, value[index]))
        found.append(math.log(sum(weight * each for weight, each in zip(grid.weights, value, strict=True))))
    return found


@kinds
@settings(max_examples=40)
@given(
    values=st.lists(st.floats(0, 1), min_size=1, max_size=120),
    mean=st.floats(0.1, 0.9),
    direction=st.sampled_from(["rise", "fall", "both"]),
)
def test_it_is_the_recursion_of_the_paper(
    kind: type[ESr] | type[ECusum], values: list[float], mean: float, direction: str
) -> None:
    spec = kind(mean=mean, smallest_change=0.03, direction=direction)  # type: ignore[arg-type]  # drawn from the words

    assert plain(kind, spec, values) == pytest.approx(
        spec.build().update_many(values).statistic.tolist(), rel=1e-9, abs=1e-9
    )


@kinds
def test_millions_of_ones_do_not_overflow(kind: type[ESr] | type[ECusum]) -> None:
    logic = kind(mean=0.01, smallest_change=0.05, direction="rise").build()
    found = logic.update_many(np.ones(200_000))

    # The bet on .81 gains ln 81 each time, and outweighs every other.
    assert 200_000 * math.log(0.81 / 0.01) == pytest.approx(found.statistic[-1], rel=0.06)
    assert np.isfinite(found.statistic).all()
    assert logic.update(0.0).alarm


@kinds
def test_far_beyond_the_range_of_a_float_and_back_it_is_the_recursion(kind: type[ESr] | type[ECusum]) -> None:
    # Up to e^1269 for the bet on the largest rise, then down, while those on a fall climb from 1.
    x = np.concatenate([np.ones(1500), np.zeros(2000), np.full(300, 0.4)])
    spec = kind(mean=0.3, smallest_change=0.1, direction="both")
    grid = alternatives(0.3, smallest_change=0.1, direction="both")
    factors = {
        value: [
            Decimal(q) / Decimal("0.3") * value + (1 - Decimal(q)) / Decimal("0.7") * (1 - value) for q in grid.means
        ]
        for value in (Decimal(1), Decimal(0), Decimal("0.4"))
    }
    stakes, carried, expected = [Decimal(weight) for weight in grid.weights], [Decimal(1)] * len(grid.means), []
    for value in x.tolist():
        each = [factor * before for factor, before in zip(factors[Decimal(str(value))], carried, strict=True)]
        carried = [1 + one if kind is ESr else max(Decimal(1), one) for one in each]
        mixture = sum((stake * one for stake, one in zip(stakes, each, strict=True)), start=Decimal(0))
        expected.append(float(mixture.ln()))
    one_by_one = spec.build()
    found = [one_by_one.update(value).statistic for value in x.tolist()]

    assert max(expected) > 1200
    assert expected == pytest.approx(found, rel=1e-10, abs=1e-9)
    for cut in ([1700], [3], range(0, 3800, 100)):
        batches = spec.build()
        parts = [batches.update_many(part).statistic for part in np.split(x, cut)]
        assert expected == pytest.approx(np.concatenate(parts), rel=1e-10, abs=1e-9)


@kinds
def test_a_batch_says_to_the_bit_what_single_observations_say(kind: type[ESr] | type[ECusum]) -> None:
    x = np.concatenate([np.random.default_rng(16).random(3000), np.ones(3000), np.zeros(3000)])
    spec = kind(mean=0.3, smallest_change=0.1, direction="both")
    single, batched = spec.build(), spec.build()

    assert [single.update(value).statistic for value in x.tolist()] == batched.update_many(x).statistic.tolist()
    assert single.snapshot() == batched.snapshot()


@kinds
def test_a_state_far_beyond_the_range_of_a_float_goes_on_to_the_bit(kind: type[ESr] | type[ECusum]) -> None:
    spec = kind(mean=0.3, smallest_change=0.1, direction="both")
    logic = spec.build()
    assert logic.update_many(np.ones(3000)).statistic[-1] > 2500
    resumed = resume(spec, save(spec, logic))
    falling = [0.1 * (index % 5) for index in range(4000)]

    assert [logic.update(x) for x in falling] == [resumed.update(x) for x in falling]
    assert logic.snapshot() == resumed.snapshot()


@kinds
@pytest.mark.parametrize(
    "state",
    [
        {"carried": [0.0, 0.4]},
        {"value": [1.0], "exponent": [0]},
        {"value": [1.0, 0.0], "exponent": [0, 0]},
        {"value": [1.0, 1e300], "exponent": [0, 0]},
        {"value": [1.0, 1.0], "exponent": [0, 3]},
        {"value": [1.0, 1.0], "exponent": [0, -512]},
    ],
)
def test_a_state_of_logarithms_or_of_impossible_numbers_is_not_continued(
    kind: type[ESr] | type[ECusum], state: dict[str, list[float]]
) -> None:
    spec = kind(mean=0.5, smallest_change=0.1, largest_change=0.2)
    assert spec.build().snapshot() == EDetectorState(value=(1.0, 1.0), exponent=(0, 0))
    saved = msgspec.msgpack.encode([spec.fingerprint(), state])

    with pytest.raises(StateMismatch):
        resume(spec, saved)


@kinds
@pytest.mark.parametrize(("mean", "direction"), [(1e-100, "rise"), (1 - 2**-53, "fall"), (0.1 * 3, "fall")])
def test_factors_at_the_limits_of_the_range_keep_it_finite(
    kind: type[ESr] | type[ECusum], mean: float, direction: str
) -> None:
    spec = kind(mean=mean, smallest_change=0.15, direction=direction)  # type: ignore[arg-type]  # drawn from the words
    x = np.tile([0.0, 1.0, 0.5, 1.0, 1.0], 300)
    logic = spec.build()
    found = np.array([logic.update(value).statistic for value in x.tolist()])

    assert np.isfinite(found).all()
    assert spec.build().update_many(x).statistic == pytest.approx(found, rel=1e-10, abs=1e-9)


def run_lengths(spec: ESr | ECusum, share: float, *, series: int, longest: int, seed: int) -> np.ndarray:
    """Observations to the first alarm of independent verdicts, `longest` where there is none."""
    rng = np.random.default_rng(seed)
    alarms = np.array(
        [spec.build().update_many((rng.random(longest) < share).astype(float)).alarm for _ in range(series)]
    )
    return np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1, longest)


@pytest.mark.parametrize(
    ("kind", "level", "share", "expected", "margin"),
    [
        (ESr, 100, 0.1, 123.6, 2.2),
        (ESr, 1000, 0.2, 76.2, 0.9),
        (ESr, 100, 0.2, 35.2, 0.4),
        (ECusum, 1000, 0.2, 140.0, 1.7),
        (ECusum, 100, 0.2, 87.8, 1.2),
    ],
)
def test_the_trade_off_of_run_length_and_delay(
    kind: type[ESr] | type[ECusum], level: float, share: float, expected: float, margin: float
) -> None:
    spec = kind(average_run_length=level, **PLANNED)  # type: ignore[arg-type]  # a table of both types
    found = run_lengths(spec, share, series=400, longest=1500, seed=11)

    assert expected == pytest.approx(found.mean(), abs=3 * (found.std() / 20 + margin))


def test_the_mean_run_length_of_a_mixture_in_both_directions_is_at_least_what_it_states() -> None:
    spec = ESr(mean=0.3, smallest_change=0.05, direction="both", average_run_length=200)
    found = run_lengths(spec, 0.3, series=200, longest=4000, seed=12)

    assert found.max() < 4000
    assert found.mean() + 3 * found.std() / 200**0.5 > 200
    assert found.mean() - 3 * found.std() / 200**0.5 > 150


@kinds
def test_an_adversary_who_keeps_the_mean_at_its_limit_cannot_shorten_the_run_length(
    kind: type[ESr] | type[ECusum],
) -> None:
    rng = np.random.default_rng(13)
    spec = kind(mean=0.3, smallest_change=0.1, direction="rise", average_run_length=30)
    lengths = []
    for _ in range(100):
        logic = spec.build()
        reading, count = logic.update(0.0), 1
        while not reading.alarm and count < 1000:
            # Rare and large while M is low, frequent and small once it is high: always of mean .3.
            chance, size = (0.3, 1.0) if reading.statistic < 1.5 else (0.6, 0.5)
            reading = logic.update(size if rng.random() < chance else 0.0)
            count += 1
        lengths.append(count)

    assert np.mean(lengths) + 3 * np.std(lengths) / 100**0.5 > 30


@kinds
@pytest.mark.parametrize(("direction", "safe"), [("rise", 0.1), ("fall", 0.9)])
def test_a_level_far_on_the_safe_side_never_alarms_and_leaves_no_debt(
    kind: type[ESr] | type[ECusum], direction: str, safe: float
) -> None:
    spec = kind(mean=0.5, smallest_change=0.1, direction=direction, average_run_length=1000)  # type: ignore[arg-type]
    rng = np.random.default_rng(14)
    logic = spec.build()
    quiet = logic.update_many((rng.random(5000) < safe).astype(float))
    loud = logic.update_many((rng.random(100) < 1 - safe).astype(float))

    assert not quiet.alarm.any()
    assert loud.alarm.argmax() < 40
    assert loud.alarm.any()


def test_for_fractions_the_bet_is_at_least_the_bernoulli_ratio() -> None:
    x = np.linspace(0, 1, 21)
    for other in (0.05, 0.5, 0.9):
        bet = x * other / 0.3 + (1 - x) * (1 - other) / 0.7
        ratio = (other / 0.3) ** x * ((1 - other) / 0.7) ** (1 - x)

        assert (bet >= ratio * (1 - 1e-12)).all()
        assert (bet[0], bet[-1]) == pytest.approx((ratio[0], ratio[-1]))


def test_no_change_between_two_bets_costs_more_than_an_eighth_of_the_speed() -> None:
    means = alternatives(0.5, smallest_change=0.01, largest_change=0.16, direction="rise").means
    changes = np.linspace(0.01, 0.16, 300)

    def growth(bet: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return mean * np.log(bet / 0.5) + (1 - mean) * np.log((1 - bet) / 0.5)

    each = growth(means[:, np.newaxis], 0.5 + changes)

    assert (each.max(axis=0) / growth(0.5 + changes, 0.5 + changes)).min() > 0.87


@pytest.mark.parametrize("direction", ["rise", "fall", "both"])
@given(mean=st.floats(0.05, 0.95), smallest=st.floats(0.001, 0.04))
def test_stakes_add_up_to_one_and_alternatives_stay_inside_the_range(
    direction: str, mean: float, smallest: float
) -> None:
    found = alternatives(mean, smallest_change=smallest, direction=direction)  # type: ignore[arg-type]

    assert 1.0 == pytest.approx(found.weights.sum())
    assert ((found.means > 0) & (found.means < 1)).all()


@kinds
def test_a_plan_that_does_not_fit_is_refused_by_name(kind: type[ESr] | type[ECusum]) -> None:
    with pytest.raises(ValueError, match=rf"{kind.__name__}\.smallest_change: .* room above the mean, 0\.1"):
        kind(mean=0.9, smallest_change=0.2, direction="rise")
    with pytest.raises(ValueError, match=rf"{kind.__name__}\.largest_change"):
        kind(mean=0.9, smallest_change=0.05, largest_change=0.01)


def test_weighted_labels_have_the_null_mean_exactly_when_the_traffic_has() -> None:
    # Two strata: half of the traffic at share .8, reviewed at 1/2; half at share .4, reviewed at 1/20. Mean .6.
    strata = [(0.5, 0.8, 0.5), (0.5, 0.4, 0.05)]
    for mean, sign in [(0.6, 0.0), (0.55, 1.0), (0.65, -1.0)]:
        total = sampled = 0.0
        for share_of_traffic, share, probability in strata:
            v = weighted_observations([1, 0], probability, mean=mean, smallest_probability=0.05)
            sampled += share_of_traffic * probability
            total += share_of_traffic * probability * (share * v[0] + (1 - share) * v[1])

        assert sign == np.sign(round(total / sampled - mean, 12))


def test_weighted_labels_keep_the_run_length_where_plain_ones_alarm_at_once() -> None:
    rng = np.random.default_rng(15)
    spec = ESr(mean=0.6, smallest_change=0.05, direction="rise", average_run_length=5000)
    plain_alarms = weighted_alarms = 0
    for _ in range(40):
        risky = rng.random(4000) < 0.5 * 0.5 / (0.5 * 0.5 + 0.5 * 0.05)
        y = (rng.random(4000) < np.where(risky, 0.8, 0.4)).astype(float)
        v = weighted_observations(y, np.where(risky, 0.5, 0.05), mean=0.6, smallest_probability=0.05)
        plain_alarms += bool(spec.build().update_many(y).alarm.any())
        weighted_alarms += bool(spec.build().update_many(v).alarm[:1000].any())

    assert 40 == plain_alarms
    assert weighted_alarms <= 40 * 0.2 + 3 * (40 * 0.2 * 0.8) ** 0.5


def test_a_label_less_likely_than_promised_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inclusion_probability: found 0\.01"):
        weighted_observations([1, 0], [0.5, 0.01], mean=0.9, smallest_probability=0.05)
    assert [0.0, 1.0] == weighted_observations([0, 1], 1.0, mean=0.4, smallest_probability=1.0).tolist()
