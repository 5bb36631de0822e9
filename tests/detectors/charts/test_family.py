"""Families of charts: the same bits as the single charts, in every form that observations come in."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from detectors import BernoulliCusum, Cusum, Ewma, PoissonCusum, Spec, StateMismatch
from detectors.charts import (
    ChartFamily,
    FamilySnapshot,
    bernoulli_cusum_family,
    cusum_family,
    ewma_family,
    poisson_cusum_family,
    simulated_run_length,
)

Draw = Callable[[np.random.Generator, int | tuple[int, int]], npt.NDArray[np.float64]]
Case = tuple[ChartFamily, Sequence[Spec], Draw]


def normal(rng: np.random.Generator, size: int | tuple[int, int]) -> npt.NDArray[np.float64]:
    return rng.normal(0.3, 1.7, size)


def verdicts(rng: np.random.Generator, size: int | tuple[int, int]) -> npt.NDArray[np.float64]:
    return (rng.random(size) < 0.2).astype(np.float64)


def reports(rng: np.random.Generator, size: int | tuple[int, int]) -> npt.NDArray[np.float64]:
    return rng.poisson(5.0, size).astype(np.float64)


def cusums(charts: int) -> Case:
    rng = np.random.default_rng(charts)
    target, sigma, threshold = rng.normal(size=charts), rng.uniform(0.5, 2.0, charts), rng.uniform(3.0, 6.0, charts)
    family = cusum_family(target, sigma, slack=0.25, threshold=threshold, head_start=0.5)
    parameters = zip(target.tolist(), sigma.tolist(), threshold.tolist(), strict=True)
    return family, [Cusum(target=t, sigma=s, slack=0.25, threshold=h, head_start=0.5) for t, s, h in parameters], normal


def falls(charts: int) -> Case:
    target = np.linspace(-1.0, 1.0, charts)
    family = cusum_family(target, 1.0, slack=400.0 / 7.0, threshold=5.0, direction="fall")
    specs = [Cusum(target=t, slack=400.0 / 7.0, threshold=5.0, direction="fall") for t in target.tolist()]
    return family, specs, normal


def weighted(charts: int) -> Case:
    target = np.linspace(-1.0, 1.0, charts)
    family = ewma_family(target, 1.5, smoothing=0.2, threshold=3.0, limits="transient")
    specs = [Ewma(target=t, sigma=1.5, smoothing=0.2, threshold=3.0, limits="transient") for t in target.tolist()]
    return family, specs, normal


def bernoulli(charts: int) -> Case:
    p0 = np.linspace(0.05, 0.4, charts)
    family = bernoulli_cusum_family(p0, p0 + 0.1, average_run_length=1000.0)
    return family, [BernoulliCusum(p0=p, p1=p + 0.1, average_run_length=1000.0) for p in p0.tolist()], verdicts


def poisson(charts: int) -> Case:
    mean0 = np.linspace(3.0, 5.0, charts)
    family = poisson_cusum_family(mean0, 8.0, threshold=30, direction="both", head_start=0.3)
    specs = [PoissonCusum(mean0=m, mean1=8.0, threshold=30, direction="both", head_start=0.3) for m in mean0.tolist()]
    return family, specs, reports


every_kind = pytest.mark.parametrize("make", [cusums, falls, weighted, bernoulli, poisson])
few_and_many = pytest.mark.parametrize("charts", [1, 3, 40])


@every_kind
@few_and_many
def test_a_family_says_what_its_single_charts_say_to_the_last_bit(make: Callable[[int], Case], charts: int) -> None:
    family, specs, draw = make(charts)
    x = draw(np.random.default_rng(7), (charts, 200))
    logics = [spec.build() for spec in specs]

    found = [family.update(x[:, :1]), family.update(x[:, 1:150]), *(family.update(x[:, t]) for t in range(150, 200))]

    statistic = np.concatenate([part.statistic.reshape(charts, -1) for part in found], axis=1)
    alarm = np.concatenate([part.alarm.reshape(charts, -1) for part in found], axis=1)
    expected = [[logic.update(value) for value in row] for logic, row in zip(logics, x.tolist(), strict=True)]
    assert [[reading.statistic for reading in row if reading] for row in expected] == statistic.tolist()
    assert [[reading.alarm for reading in row if reading] for row in expected] == alarm.tolist()
    assert [200] * charts == family.n.tolist()


@every_kind
@few_and_many
def test_observations_in_any_number_a_chart_give_the_same_bits(make: Callable[[int], Case], charts: int) -> None:
    rng = np.random.default_rng(11)
    family, specs, draw = make(charts)
    logics = [spec.build() for spec in specs]
    for size in (0, 1, 7, 600):
        chart = (charts * rng.random(size) ** 3).astype(np.int64)
        x = draw(rng, size)

        found = family.update_some(chart, x)

        expected = [logics[c].update(value) for c, value in zip(chart.tolist(), x.tolist(), strict=True)]
        assert [reading.statistic for reading in expected if reading] == found.statistic.tolist()
        assert [reading.alarm for reading in expected if reading] == found.alarm.tolist()


@every_kind
def test_a_snapshot_changes_nothing_and_stays_as_it_was(make: Callable[[int], Case]) -> None:
    family, _, draw = make(30)
    other, _, _ = make(30)
    rng = np.random.default_rng(3)
    family.update(draw(rng, (30, 50)))
    taken = family.snapshot()
    copies = [array.copy() for array in (taken.n, *taken.state)]
    other.resume(taken)
    x = draw(rng, (30, 50))

    assert family.update(x).statistic.tolist() == other.update(x).statistic.tolist()
    assert all(np.array_equal(a, b) for a, b in zip(copies, (taken.n, *taken.state), strict=True))
    assert not any(array.flags.writeable for array in (taken.n, *taken.state))


@every_kind
def test_a_restart_of_some_charts_leaves_the_others_alone(make: Callable[[int], Case]) -> None:
    family, specs, draw = make(30)
    rng = np.random.default_rng(5)
    before, after = draw(rng, (30, 20)), draw(rng, (30, 20))
    family.update(before)
    which = np.arange(30) % 3 == 0
    family.restart(which)

    statistic = family.update(after).statistic

    for chart, spec in enumerate(specs):
        logic = spec.build()
        if not which[chart]:
            logic.update_many(before[chart])
        assert logic.update_many(after[chart]).statistic.tolist() == statistic[chart].tolist()
        assert (20 if which[chart] else 40) == family.n[chart]


def test_a_snapshot_of_other_parameters_version_or_size_is_refused() -> None:
    family = cusum_family(np.zeros(3), 1.0, threshold=5.0)
    taken = family.snapshot()

    for other in (cusum_family(np.zeros(3), 1.0, threshold=4.0), cusum_family(np.zeros(4), 1.0, threshold=5.0)):
        with pytest.raises(StateMismatch, match="other parameters"):
            other.resume(taken)
    with pytest.raises(StateMismatch, match="another version"):
        family.resume(FamilySnapshot(0, taken.fingerprint, taken.n, taken.state))
    with pytest.raises(StateMismatch, match="other shapes"):
        family.resume(FamilySnapshot(taken.version, taken.fingerprint, taken.n[:2], taken.state))


@every_kind
def test_what_is_not_usable_is_refused_and_changes_nothing(make: Callable[[int], Case]) -> None:
    family, _, draw = make(30)
    family.update(draw(np.random.default_rng(2), (30, 5)))
    before = family.snapshot()

    with pytest.raises(ValueError, match="got nan at position 3"):
        family.update(np.where(np.arange(30) == 3, np.nan, 1.0))
    with pytest.raises(ValueError, match="got inf at position 1"):
        family.update_some([0, 1], [1.0, np.inf])
    with pytest.raises(ValueError, match=r"chart: found -1 to 30, allowed is 0 to 29"):
        family.update_some([-1, 30], [1.0, 1.0])
    with pytest.raises(ValueError, match="chart: got"):
        family.update_some([0.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"x: got shape \(29,\)"):
        family.update(np.zeros(29))
    with pytest.raises(ValueError, match="which: got"):
        family.restart(np.zeros(30))

    after = family.snapshot()
    assert [array.tolist() for array in before.state] == [array.tolist() for array in after.state]
    assert before.n.tolist() == after.n.tolist()


@pytest.mark.parametrize("direction", ["rise", "fall", "both"])
def test_counts_bound_the_statistic_of_every_order_of_the_verdicts(direction: str) -> None:
    rng = np.random.default_rng(9)
    p1 = 0.1 if direction == "fall" else 0.4
    low, high, true = (
        bernoulli_cusum_family(np.full(50, 0.2), p1, threshold=40, direction=direction)  # type: ignore[arg-type]
        for _ in range(3)
    )
    for _ in range(60):
        x = (rng.random((50, 8)) < 0.25).astype(np.float64)
        ones = x.sum(axis=1)
        below = low.update_counts(ones, np.full(50, 8)).statistic
        above = high.update_counts(ones, np.full(50, 8), bound="high").statistic
        between = true.update(x).statistic[:, -1]

        assert (below <= between).all()
        assert (between <= above).all()
    assert true.n.tolist() == low.n.tolist() == high.n.tolist()


def test_the_bounds_of_counts_are_reached_by_ones_first_and_ones_last() -> None:
    for bound, order in (("low", [1, 1, 0, 0, 0]), ("high", [0, 0, 0, 1, 1])):
        family = bernoulli_cusum_family([0.1], 0.2, threshold=50)
        logic = BernoulliCusum(p0=0.1, p1=0.2, threshold=50).build()

        found = family.update_counts([2], [5], bound=bound)  # type: ignore[arg-type]

        assert logic.update_many(order).statistic[-1] == found.statistic[0]


def test_more_ones_than_verdicts_are_refused() -> None:
    family = bernoulli_cusum_family([0.1], 0.2, threshold=50)

    for ones, total in (([3], [2]), ([0.5], [2]), ([-1], [2]), ([1, 1], [2, 2])):
        with pytest.raises(ValueError, match="ones"):
            family.update_counts(ones, total)


@pytest.mark.parametrize("charts", [1, 40])
def test_sums_of_a_family_stop_at_the_ceiling_of_its_single_charts(charts: int) -> None:
    specs = [PoissonCusum(mean0=1e-4, mean1=2e-4, threshold=100, direction="both")] * charts
    x = np.tile(np.append(np.full(2000, 1e9), [0.0, 1.0]), (charts, 1))
    expected = specs[0].build().update_many(x[0]).statistic

    for parts in (x[:, :1000], x[:, 1000:]), [x[:, t] for t in range(x.shape[1])]:
        family = poisson_cusum_family(np.full(charts, 1e-4), 2e-4, threshold=100, direction="both")
        found = [family.update(part).statistic.reshape(charts, -1) for part in parts]
        assert (np.concatenate(found, axis=1) == expected).all()
    assert 2**53 == expected.max()


def test_counts_of_verdicts_are_exact_up_to_a_thousand_million_and_stop_at_the_ceiling() -> None:
    family = bernoulli_cusum_family([1e-9], 2e-9, threshold=50)
    one, rise, _ = BernoulliCusum(p0=1e-9, p1=2e-9, threshold=50).steps

    assert 10**7 * one - 10**9 * rise == family.update_counts([10**7], [10**9]).statistic[0]
    bounds: tuple[Literal["low", "high"], ...] = ("low", "high")
    for bound in bounds:
        found = [family.update_counts([10**9], [10**9], bound=bound).statistic[0] for _ in range(20)]
        assert 2.0**53 == found[-1] == max(found)
    with pytest.raises(ValueError, match="total <= 1e"):
        family.update_counts([0], [10**9 + 1])


def test_thresholds_of_a_family_are_those_of_single_charts() -> None:
    p0 = np.array([0.02, 0.1, 0.3, 0.5])
    for direction, p1 in (("rise", p0 * 1.5), ("fall", p0 * 0.5), ("both", p0 * 1.4)):
        family = bernoulli_cusum_family(p0, p1, average_run_length=2000.0, direction=direction)  # type: ignore[arg-type]
        single = [
            BernoulliCusum(p0=a, p1=b, average_run_length=2000.0, direction=direction).decision_interval()  # type: ignore[arg-type]
            for a, b in zip(p0.tolist(), p1.tolist(), strict=True)
        ]
        assert single == (family.threshold + 0.5).tolist()


def test_a_simulation_has_the_exact_run_length_and_leaves_the_family_as_it_was() -> None:
    rng = np.random.default_rng(12)
    family = bernoulli_cusum_family(np.full(2000, 0.1), 0.2, threshold=20)

    found = simulated_run_length(family, lambda *size: (rng.random(size) < 0.1).astype(np.float64))

    assert abs(found.mean - 246.7344) < 3 * found.standard_error < 30
    assert 0 == family.n.sum()
    with pytest.raises(ValueError, match="2000 of 2000 charts are quiet"):
        simulated_run_length(family, lambda *size: np.zeros(size), longest=100)


def test_parameters_that_a_single_chart_refuses_are_refused() -> None:
    with pytest.raises(ValueError, match="one of the two"):
        cusum_family([0.0], 1.0)
    with pytest.raises(ValueError, match="one of the two"):
        ewma_family([0.0], 1.0, threshold=3.0, average_run_length=100.0)
    with pytest.raises(ValueError, match="one of the two"):
        bernoulli_cusum_family([0.1], 0.2)
    with pytest.raises(ValueError, match="sigma > 0"):
        cusum_family([0.0], [0.0], threshold=5.0)
    with pytest.raises(ValueError, match="smoothing <= 1"):
        ewma_family([0.0], 1.0, smoothing=1.5, threshold=3.0)
    with pytest.raises(ValueError, match="head_start"):
        cusum_family([0.0], 1.0, threshold=5.0, head_start=1.0)
    with pytest.raises(ValueError, match="head_start"):
        poisson_cusum_family([4.0], 6.0, threshold=20, head_start=-0.1)
    with pytest.raises(ValueError, match=r"cusum_family: got head_start 0\.6"):
        cusum_family([0.0, 0.0], 1.0, threshold=5.0, head_start=[0.5, 0.6])
    with pytest.raises(ValueError, match=r"PoissonCusum: got head_start 0\.6"):
        poisson_cusum_family([4.0], 6.0, threshold=20, head_start=0.6, direction="both")
    with pytest.raises(ValueError, match=r"BernoulliCusum: got head_start 0\.6"):
        bernoulli_cusum_family([0.1], 0.2, threshold=20, head_start=0.6, direction="both")
    with pytest.raises(ValueError, match="whole thresholds"):
        bernoulli_cusum_family([0.1], 0.2, threshold=[4.5])
    with pytest.raises(ValueError, match=r"p1: got 0\.05"):
        bernoulli_cusum_family([0.1], 0.05, threshold=5)
