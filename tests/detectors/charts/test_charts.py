"""The streaming charts: steps, thresholds, one arithmetic for single values and arrays, and what is refused."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import AnyDetector, BernoulliCusum, Cusum, Ewma, PoissonCusum, Spec, resume, save
from detectors.charts import bernoulli_steps, poisson_steps
from detectors.charts.lattice_cusum import CEILING, reflected
from detectors.step_loops import LOWEST

CHARTS: list[Spec] = [
    Cusum(slack=0.25, threshold=4.0, head_start=0.5),
    Cusum(slack=30.0, threshold=4.0, direction="rise"),
    Cusum(slack=0.5, threshold=4.0, direction="fall"),
    Ewma(threshold=3.0),
    Ewma(threshold=3.0, smoothing=0.3, limits="transient"),
    BernoulliCusum(p0=0.3, p1=0.5, threshold=30, head_start=0.5, direction="both"),
    BernoulliCusum(p0=0.3, p1=0.1, threshold=30, direction="fall"),
    PoissonCusum(mean0=3.0, mean1=4.0, threshold=30, direction="both"),
    PoissonCusum(mean0=3.0, mean1=2.0, threshold=30, direction="fall"),
]


def values(spec: Spec, count: int, *, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    drawn = {"real": rng.normal(0.2, 1.5, count), "binary": rng.random(count) < 0.4, "count": rng.poisson(3.3, count)}
    return [float(value) for value in drawn[spec.domain]]


@pytest.mark.parametrize("spec", CHARTS, ids=repr)
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 3000), max_size=4), seed=st.integers(0, 1000))
def test_arrays_give_the_bits_of_single_values_however_they_are_cut(spec: Spec, cuts: list[int], seed: int) -> None:
    stream = values(spec, 3000, seed=seed)
    single, batched = spec.build(), spec.build()
    edges = [0, *sorted(cuts), 3000]

    expected = [reading for value in stream if (reading := single.update(value)) is not None]
    found = [batched.update_many(stream[a:b]) for a, b in pairwise(edges)]

    assert [r.statistic for r in expected] == np.concatenate([part.statistic for part in found]).tolist()
    assert [r.alarm for r in expected] == np.concatenate([part.alarm for part in found]).tolist()
    assert single.snapshot() == batched.snapshot()


def held(increments: list[float], start: float) -> list[float]:
    """The textbook recursion."""
    found, at = [], start
    for increment in increments:
        at = max(0.0, at + increment)
        found.append(at)
    return found


def test_cusum_is_the_textbook_recursion() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(10.0, 2.0, 50_000)
    z = (x - 10.0) / 2.0
    found = Cusum(target=10.0, sigma=2.0, slack=0.5, threshold=4.0, head_start=0.5).build().update_many(x).statistic

    expected = np.maximum(held((z - 0.5).tolist(), 2.0), held((-z - 0.5).tolist(), 2.0))
    assert found == pytest.approx(expected, abs=1e-9)


def test_rounding_of_a_cusum_does_not_grow_with_the_stream() -> None:
    logic = Cusum(slack=0.5, threshold=4.0).build()
    rng = np.random.default_rng(2)
    for _ in range(20):
        logic.update_many(rng.normal(size=100_000))
    x = rng.normal(size=1000)
    quiet = int(np.flatnonzero(logic.update_many(np.append(np.zeros(40), x)).statistic == 0.0)[0])

    assert 0 <= quiet < 40
    state = logic.snapshot()
    assert min(state.rise, state.fall, state.lowest_rise, state.lowest_fall) > -5000.0
    statistic = Cusum(slack=0.5, threshold=4.0).build(state).update_many(np.append(np.full(30, 0.0), x)).statistic[30:]
    fresh = np.maximum(held((x - 0.5).tolist(), 0.0), held((-x - 0.5).tolist(), 0.0))
    assert statistic == pytest.approx(fresh, abs=1e-11)


FAR_BELOW = {
    "every value": np.full(20_000, -5000.0),
    "every other value": np.tile([-5000.0, 3.0], 10_000),
    "every 41 values": np.full(20_000, -99.7),
    "ever later": np.where(np.isin(np.arange(20_000), 2 ** np.arange(15)), -1e5, 0.1),
    "after a long time": np.append(np.full(19_900, 0.7), np.full(100, -5000.0)),
    "now and then": np.random.default_rng(6).normal(size=20_000),
}


@pytest.mark.parametrize("place", FAR_BELOW)
def test_sums_far_below_begin_again_and_lose_nothing(place: str) -> None:
    x = FAR_BELOW[place]
    logic = Cusum(threshold=5.0, direction="rise").build()

    assert logic.update_many(x).statistic == pytest.approx(held((x - 0.5).tolist(), 0.0), rel=1e-12, abs=1e-9)
    assert LOWEST <= logic.snapshot().lowest_rise <= 0.0


def test_a_head_start_that_is_further_up_than_a_sum_may_go_down_gives_the_same_bits() -> None:
    spec = Cusum(threshold=9000.0, head_start=0.5, slack=0.3)
    single, batched = spec.build(), spec.build()
    x = np.random.default_rng(8).normal(size=600)

    assert [single.update(value).statistic for value in x.tolist()] == batched.update_many(x).statistic.tolist()
    assert single.snapshot() == batched.snapshot()


def test_a_sum_of_whole_steps_stops_at_its_ceiling_in_arrays_as_one_by_one() -> None:
    spec = PoissonCusum(mean0=1e-4, mean1=2e-4, threshold=100, direction="both")
    single, batched = spec.build(), spec.build()
    x = np.append(np.full(3000, 1e9), [0.0, 0.0, 1.0, 1e9, 0.0])
    steps, rise, expected = spec.steps, 0, []
    for count in x.tolist():
        rise = min(2**53, max(0, rise + steps.one * int(count) - steps.rise))
        expected.append(rise)

    found = batched.update_many(x)

    assert 2**53 == max(expected)
    assert expected == found.statistic.tolist() == [single.update(count).statistic for count in x.tolist()]
    assert found.alarm.all()
    assert single.snapshot() == batched.snapshot() == resume(spec, save(spec, batched)).snapshot()


def test_three_million_greatest_counts_do_not_wrap_a_sum() -> None:
    spec = PoissonCusum(mean0=1e-4, mean1=2e-4, threshold=100)
    logic = spec.build()

    found = logic.update_many(np.full(3_000_000, 1e9))

    assert found.alarm.all()
    assert 2**53 == logic.snapshot().rise


@given(
    st.lists(st.integers(-(10**15), 10**15) | st.integers(-9, 9), max_size=40),
    st.sampled_from([0, 7, 2**53 - 10, 2**53, 2**60]),
)
def test_reflected_sums_are_those_of_whole_numbers_without_end(increments: list[int], start: int) -> None:
    at, expected = start, []
    for increment in increments:
        at = min(CEILING, max(0, at + increment))
        expected.append(at)

    assert expected == reflected(np.array(increments, dtype=np.int64), start).tolist()


@pytest.mark.parametrize("p0", [1e-12, 1e-300])
def test_shares_whose_steps_do_not_fit_into_sums_are_refused(p0: float) -> None:
    with pytest.raises(ValueError, match="too close to each other, or to 0 or 1"):
        BernoulliCusum(p0=p0, p1=2.0 * p0)


def test_one_enormous_value_does_not_blind_the_other_side() -> None:
    logic = Cusum(threshold=5.0).build()
    logic.update(1e50)

    found = [logic.update(-2.0) for _ in range(10)]

    assert 15.0 == logic.snapshot().fall - logic.snapshot().lowest_fall
    assert all(reading.alarm for reading in found)


def test_ewma_is_its_definition() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0.4, 1.0, 300)
    spec = Ewma(smoothing=0.2, threshold=2.962, limits="transient")
    found = spec.build().update_many(x).statistic

    weights = 0.2 * 0.8 ** np.arange(300)[::-1]
    levels = np.array([(weights[-t:] * x[:t]).sum() for t in range(1, 301)])
    deviation = np.sqrt([(weights[-t:] ** 2).sum() for t in range(1, 301)])
    assert found == pytest.approx(np.abs(levels) / deviation, rel=1e-9)


def test_transient_limits_are_the_printed_ones() -> None:
    logic = Ewma(smoothing=0.2, threshold=2.962, limits="transient").build()
    limits = []
    for _ in range(60):
        reading = logic.update(1.0)
        limits.append(2.962 * logic.snapshot().level / reading.statistic)

    assert [0.5924, 0.75864, 0.93282, 0.98733] == [round(limits[t - 1], 5) for t in (1, 2, 5, 60)]


@pytest.mark.parametrize(("p0", "m", "p1"), [(0.1, 7, 0.194358), (0.05, 14, 0.097744), (0.01, 65, 0.022390)])
def test_steps_of_a_rise_are_those_of_reynolds_and_stoumbos(p0: float, m: int, p1: float) -> None:
    assert (m, 1, 0) == bernoulli_steps(p0, p1)


@settings(max_examples=200)
@given(p0=st.floats(0.005, 0.9), odds=st.floats(1.2, 5.0))
def test_steps_drift_down_in_control_and_up_at_what_they_look_for(p0: float, odds: float) -> None:
    above, below = p0 * odds / (1 - p0 + p0 * odds), p0 / (p0 + odds * (1 - p0))
    both = bernoulli_steps(p0, above, direction="both")
    rise, fall = bernoulli_steps(p0, above), bernoulli_steps(p0, below, direction="fall")

    for steps in (both, rise):
        assert steps.one * p0 < steps.rise < steps.one * above
    for steps in (both, fall):
        assert steps.one * below < steps.fall < steps.one * p0


def test_steps_of_counts_are_between_both_means() -> None:
    for mean0, mean1 in ((0.16, 0.375), (4.0, 6.0), (100.0, 120.0)):
        steps = poisson_steps(mean0, mean1, direction="both")

        assert mean0**2 / mean1 < steps.fall / steps.one < mean0 < steps.rise / steps.one < mean1


def test_falls_are_rises_of_the_other_verdict() -> None:
    fall = BernoulliCusum(p0=0.9, p1=0.8, direction="fall", threshold=50)
    rise = BernoulliCusum(p0=0.1, p1=0.2, threshold=50)
    x = np.random.default_rng(4).random(500) < 0.85

    assert fall.build().update_many(x).statistic.tolist() == rise.build().update_many(~x).statistic.tolist()
    assert fall.run_length(0.8).mean == pytest.approx(rise.run_length(0.2).mean)


@pytest.mark.parametrize("direction", ["rise", "fall", "both"])
@pytest.mark.parametrize("head_start", [0.0, 0.5])
def test_the_threshold_for_a_wanted_average_is_the_least_with_it(direction: Any, head_start: float) -> None:
    for kind, first, second in (
        (BernoulliCusum, "p0", {"p0": 0.2, "p1": 0.1 if direction == "fall" else 0.3}),
        (PoissonCusum, "mean0", {"mean0": 3.0, "mean1": 2.0 if direction == "fall" else 4.0}),
    ):
        wanted: Any = kind(**second, average_run_length=800.0, direction=direction, head_start=head_start)  # type: ignore[arg-type]
        threshold = wanted.decision_interval()
        means = [
            kind(**second, threshold=h, direction=direction, head_start=head_start).run_length(second[first]).mean
            for h in (threshold - 1, threshold)
        ]

        assert means[0] < 800.0 <= means[1]


def test_a_baseline_estimate_widens_the_range_the_less_it_is_based_on() -> None:
    for chart in (
        BernoulliCusum(p0=0.1, p1=0.2, threshold=50),
        PoissonCusum(mean0=3.0, mean1=4.0, threshold=40),
        Cusum(threshold=4.0),
        Ewma(threshold=2.8),
    ):
        quiet = {BernoulliCusum: 0.1, PoissonCusum: 3.0, Cusum: 0.0, Ewma: 0.0}[type(chart)]
        ranges = [chart.average_run_length_range(n) for n in (10_000, 1000, 200)]

        lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
        assert lows[0] > lows[1] > lows[2]
        assert highs[0] < highs[1] < highs[2]
        assert lows[0] < chart.run_length(quiet).mean < highs[0]


def test_the_range_for_a_baseline_holds_the_true_averages_of_charts_made_from_such_baselines() -> None:
    rng = np.random.default_rng(10)
    inside = 0
    for ones in rng.binomial(1000, 0.1, 100).tolist():
        chart = BernoulliCusum(p0=ones / 1000, p1=2 * ones / 1000, threshold=50)
        low, high = chart.average_run_length_range(1000)
        inside += low <= chart.run_length(0.1).mean <= high

    assert 89 <= inside <= 99


def test_one_side_may_begin_anywhere_below_its_threshold() -> None:
    for kind, near in ((Cusum, {}), (BernoulliCusum, {"p0": 0.2, "p1": 0.1}), (PoissonCusum, {"mean1": 2.0})):
        chart: Any = kind(threshold=8, head_start=0.9, direction="fall", **near)
        assert chart.run_length(0.2).mean > 1.0


@pytest.mark.parametrize("kind", [BernoulliCusum, Cusum, Ewma, PoissonCusum])
def test_a_threshold_and_a_wanted_average_exclude_each_other(kind: type[Spec]) -> None:
    with pytest.raises(ValueError, match="one of the two"):
        kind(threshold=5, average_run_length=1000.0)
    text = msgspec.json.encode({"kind": kind.__struct_config__.tag, "threshold": 5, "average_run_length": 1000.0})
    with pytest.raises(msgspec.ValidationError, match="one of the two"):
        msgspec.json.decode(text, type=AnyDetector)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (Cusum, {"sigma": 0.0}, r"Cusum\.sigma: Expected"),
        (Cusum, {"head_start": 1.0}, r"Cusum\.head_start: Expected"),
        (Cusum, {"head_start": 0.9}, r"Cusum: got head_start 0\.9 with direction 'both', allowed is at most 0\.5"),
        (BernoulliCusum, {"head_start": 0.6, "direction": "both"}, "BernoulliCusum: got head_start"),
        (PoissonCusum, {"head_start": 0.6, "direction": "both"}, "PoissonCusum: got head_start"),
        (Ewma, {"smoothing": 0.0}, r"Ewma\.smoothing: Expected"),
        (BernoulliCusum, {"p0": 0.0}, r"BernoulliCusum\.p0: Expected"),
        (BernoulliCusum, {"p0": 0.2, "p1": 0.1}, "allowed for rise is a share above p0"),
        (BernoulliCusum, {"p0": 0.1, "p1": 0.2, "direction": "fall"}, "allowed for fall is a share below p0"),
        (PoissonCusum, {"mean0": 2.0, "mean1": 2.0}, "allowed for rise is a mean above mean0"),
    ],
)
def test_impossible_parameters_are_refused_by_name(kind: type[Spec], parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**parameters)


def test_the_steady_state_of_both_directions_is_refused() -> None:
    for chart in (BernoulliCusum(direction="both"), PoissonCusum(direction="both"), Cusum()):
        with pytest.raises(ValueError, match="steady"):
            chart.run_length(0.05, steady=True)


def test_a_share_outside_of_zero_to_one_has_no_run_length() -> None:
    with pytest.raises(ValueError, match="p: got 1"):
        BernoulliCusum().run_length(1.5)
    with pytest.raises(ValueError, match="mean: got -1"):
        PoissonCusum().run_length(-1.0)
