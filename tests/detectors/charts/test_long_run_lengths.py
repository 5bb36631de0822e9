"""Run lengths that are longer than rounding allows a linear system to tell, and those without end."""

import math
from collections import defaultdict
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy

from detectors.charts import (
    BernoulliCusum,
    Cusum,
    Ewma,
    PoissonCusum,
    RunLength,
    RunRule,
    absorption,
    cusum_run_length,
    cusum_threshold,
    ewma_run_length,
    expected_times,
    lattice_run_length,
    normal_run_length,
    quiet_distribution,
    shewhart_run_length,
    shiryaev_roberts_run_length,
    two_sided,
)
from detectors.charts.lattice import MOST_WORK


def solved(increments: list[int], shares: list[Any], threshold: int, one: Any) -> list[Any]:
    """Mean run length from each statistic 0, 1, ..., by Gauss elimination in the exact numbers of `shares`."""
    rows = [[one * 0] * threshold + [one] for _ in range(threshold)]
    for state, row in enumerate(rows):
        row[state] += one
        for step, share in zip(increments, shares, strict=True):
            if max(0, state + step) < threshold:
                row[max(0, state + step)] -= share
    for k in range(threshold):
        for i in range(threshold):
            factor = rows[i][k] / rows[k][k]
            if i != k and factor:
                rows[i] = [a - factor * b if b else a for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[-1] / row[k] for k, row in enumerate(rows)]


def one_step_down(up: int, p: float, threshold: int) -> float:
    """+up with probability p, else -1, from 0: the recursion of Bernoulli CUSUMs in rational numbers."""
    share, w, z = Fraction(p), [Fraction(1)], [Fraction(0)]
    for j in range(threshold):
        earlier = (w[j - up], z[j - up]) if j >= up else (0, 0)
        w.append(w[j] + share * (w[j] - earlier[0]) / (1 - share))
        z.append(z[j] + (1 + share * (z[j] - earlier[1])) / (1 - share))
    h = threshold
    return float((z[h] - z[h - 1]) / (w[h] - w[h - 1]) * w[h - 1] - z[h - 1])


@pytest.mark.parametrize("p", [0.1, 0.05, 0.02, 1e-4])
@pytest.mark.parametrize("threshold", [50, 140, 400])
def test_bernoulli_means_are_the_rational_ones_of_any_length(threshold: int, p: float) -> None:
    found = BernoulliCusum(p0=0.1, p1=0.2, threshold=threshold).run_length(p).mean

    assert found == pytest.approx(one_step_down(6, p, threshold), rel=1e-6 if found < 1e10 else 1e-12)


def test_lattice_means_are_the_rational_ones_for_all_kinds_of_steps_and_starts() -> None:
    rng = np.random.default_rng(5)
    longest = 0.0
    for _ in range(25):
        threshold = int(rng.integers(1, 22))
        increments = [int(step) for step in rng.integers(-7, 8, 4)]
        shares = (rng.dirichlet(np.ones(4)) * 10.0 ** -rng.uniform(0, 9, 4)).tolist()
        increments.append(-int(rng.integers(1, 3)))
        shares.append(1.0 - sum(shares))
        # The rounding of the last share is not what the exact chain has.
        exact = [*map(Fraction, shares[:-1])]
        if not any(step > 0 for step in increments):
            continue
        times = solved(increments, [*exact, 1 - sum(exact)], threshold, Fraction(1))
        for start in (0, threshold // 2, threshold - 1):
            found = lattice_run_length(increments, shares, threshold=threshold, head_start=start).mean
            longest = max(longest, found)

            assert found == pytest.approx(float(times[start]), rel=1e-6 if times[0] < 2e10 else 1e-11)
    assert longest > 1e20


def test_an_alarm_from_anywhere_that_is_rare_is_not_taken_for_rounding() -> None:
    found = lattice_run_length([1, -1], [1e-9, 1.0 - 1e-9 - 1e-11], threshold=30).mean

    assert found == pytest.approx(1e11, rel=1e-4)


@pytest.mark.parametrize(("threshold", "mean"), [(50, 3.0), (50, 0.5), (18, 0.01)])
def test_poisson_means_are_those_of_eighty_digits(threshold: int, mean: float) -> None:
    chart = PoissonCusum(mean0=4.0, mean1=6.0, threshold=threshold)
    with localcontext() as context:
        context.prec = 200
        shares = [(-Decimal(mean)).exp()]
        for count in range(1, 200):
            shares.append(shares[-1] * Decimal(mean) / count)
        increments = [chart.steps.one * count - chart.steps.rise for count in range(200)]
        expected = float(solved(increments, shares, threshold, Decimal(1))[0])

    assert expected > 1e20
    assert chart.run_length(mean).mean == pytest.approx(expected, rel=1e-11)


def test_a_chart_that_never_alarms_has_no_mean_and_no_quantile() -> None:
    for threshold in (50, 200):
        for found in (
            BernoulliCusum(p0=0.1, p1=0.2, threshold=threshold, head_start=0.5).run_length(0.0),
            BernoulliCusum(p0=0.2, p1=0.1, threshold=threshold, direction="fall").run_length(1.0),
            PoissonCusum(threshold=threshold).run_length(0.0),
            lattice_run_length([0, -1], [0.5, 0.5], threshold=threshold, quiet_shares=[0.5, 0.5]),
        ):
            assert found.mean == math.inf
            assert found.alarm_within([0, 1, 1000, 10**12]).tolist() == [0.0] * 4
            with pytest.raises(ValueError, match="infinite mean"):
                found.quantile(0.5)


def test_a_chart_of_sure_steps_alarms_when_they_have_added_up() -> None:
    for chart, p, expected in (
        (BernoulliCusum(p0=0.1, p1=0.2, threshold=50), 1.0, 9),
        (BernoulliCusum(p0=0.1, p1=0.2, threshold=50, direction="both"), 0.0, 50),
        (BernoulliCusum(p0=0.1, p1=0.2, threshold=200, direction="both"), 0.0, 200),
        (BernoulliCusum(p0=0.1, p1=0.2, threshold=50, direction="both", head_start=0.5), 0.0, 25),
    ):
        found = chart.run_length(p)

        assert found.mean == pytest.approx(expected)
        assert found.alarm_within([expected - 1, expected, 10**9]).tolist() == [0.0, 1.0, 1.0]
        assert found.quantile(0.5) == expected


def test_a_long_run_is_geometric_with_its_mean() -> None:
    found = lattice_run_length([6, -1], [0.001, 0.999], threshold=50)
    n = np.array([10**15, 10**18])

    assert found.mean == pytest.approx(1.72e24, rel=1e-3)
    assert found.alarm_within(n) == pytest.approx(n / found.mean, rel=1e-5, abs=1e-12)
    assert found.quantile(0.5) == pytest.approx(found.mean * math.log(2.0), rel=1e-9)


@pytest.mark.parametrize("slack", [0.5, 1.5])
def test_a_cusum_threshold_that_is_longer_by_one_multiplies_a_long_mean_by_its_exponent(slack: float) -> None:
    """Cramer and Lundberg: with a drift of -slack the chance of an excursion above h falls by exp(-2 slack h)."""
    long = [cusum_run_length(slack=slack, threshold=h, direction="rise").mean for h in (20.0, 25.0, 60.0)]

    assert long[1] / long[0] == pytest.approx(math.exp(10.0 * slack), rel=1e-7)
    assert long[2] / long[0] == pytest.approx(math.exp(80.0 * slack), rel=1e-7)
    both = cusum_run_length(slack=slack, threshold=60.0)
    assert both.mean == pytest.approx(long[2] / 2.0)
    assert cusum_run_length(slack=slack, threshold=1000.0, direction="rise").mean == math.inf


@pytest.mark.parametrize("width", [5.0, 7.0, 9.0, 12.0])
def test_charts_without_memory_are_geometric_at_any_width(width: float) -> None:
    expected = 1.0 / (2.0 * scipy.special.ndtr(-width))

    assert ewma_run_length(smoothing=1.0, width=width).mean == pytest.approx(expected, rel=1e-6)
    assert shewhart_run_length(rules=[RunRule(1, 1, width)]).mean == pytest.approx(expected, rel=1e-8)


def test_a_long_shiryaev_roberts_procedure_has_its_limit() -> None:
    """Pollak 1987: threshold over exp(.583 shift), with the exact constant of a shift of 1 from a shorter one."""
    short, long = (
        shiryaev_roberts_run_length(expected_shift=1.0, threshold=threshold).mean / threshold
        for threshold in (1e5, 1e11)
    )

    assert long == pytest.approx(short, rel=1e-4)


def test_ranges_of_charts_from_tiny_baselines_are_lengths() -> None:
    for chart in (
        Cusum(),
        Cusum(average_run_length=1e6),
        Ewma(average_run_length=1e6),
        BernoulliCusum(),
        BernoulliCusum(p0=0.9, p1=0.8, direction="fall"),
        PoissonCusum(average_run_length=1e10),
    ):
        ranges = [chart.average_run_length_range(n) for n in (3, 10, 100)]

        lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
        assert 1.0 < lows[0] < lows[1] < lows[2]
        assert highs[0] > highs[1] > highs[2] > 1e4


def test_a_side_without_end_is_none() -> None:
    side = absorption(np.array([[0.9]]), np.array([0.9]))
    endless = RunLength(math.inf, np.ones)

    assert two_sided(side, endless).mean == side.mean == two_sided(endless, side).mean
    assert two_sided(endless, endless).mean == math.inf
    long = absorption(np.array([[1.0]]), np.array([1.0]), long=lambda: 1e200)
    assert two_sided(long, long).mean == pytest.approx(5e199)
    assert two_sided(long, side).mean == pytest.approx(side.mean)


@pytest.mark.parametrize(
    ("chart", "level"),
    [
        (Cusum(average_run_length=1e6), 0.0),
        (BernoulliCusum(p0=0.5, p1=0.8, average_run_length=1e5, direction="both"), 0.5),
        (PoissonCusum(mean0=10.0, mean1=15.0, average_run_length=1e5, direction="both"), 10.0),
        (Cusum(threshold=4.0), 2.0),
    ],
)
def test_chances_are_chances_and_never_fall(chart: Any, level: float) -> None:
    found = chart.run_length(level).alarm_within(np.arange(3000))

    assert 0.0 == found[0]
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert (np.diff(found) >= 0.0).all()


def test_the_chances_of_two_sides_are_those_of_all_pairs_of_states() -> None:
    chart = BernoulliCusum(p0=0.5, p1=0.8, threshold=40, direction="both")
    steps, quiet, expected = chart.steps, {(0, 0): 1.0}, [0.0]
    for _ in range(150):
        following: defaultdict[tuple[int, int], float] = defaultdict(float)
        alarmed = expected[-1]
        for (rise, fall), chance in quiet.items():
            for verdict in (0, 1):
                pair = (
                    max(0, rise + steps.one * verdict - steps.rise),
                    max(0, fall + steps.fall - steps.one * verdict),
                )
                if max(pair) < 40:
                    following[pair] += chance / 2
                else:
                    alarmed += chance / 2
        quiet = following
        expected.append(alarmed)

    assert chart.run_length(0.5).alarm_within(np.arange(151)) == pytest.approx(expected, abs=1e-12)


def test_chains_that_rounding_makes_singular_have_infinite_times() -> None:
    sure, rare = np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([[1.0 - 1e-14, 0.0], [0.5, 0.5]])
    for matrix in (sure, rare, scipy.sparse.csr_array(sure)):
        assert [math.inf] * 2 == expected_times(matrix).tolist()
        assert absorption(matrix, np.array([0.5, 0.5])).mean == math.inf
    assert [0.5, 0.5] == quiet_distribution(sure).round(9).tolist()
    assert [0.5, 0.5] == quiet_distribution(scipy.sparse.csr_array(sure)).round(9).tolist()


def test_a_steady_state_that_hardly_ever_alarms_is_that_of_the_chain_without_alarm() -> None:
    """Up by one with chance .1: the stationary law of the reflected walk is geometric with ratio 1 / 9."""
    at = [8.0 / 9.0 / 9.0**s for s in range(60)]
    from_each = [lattice_run_length([1, -1], [0.9, 0.1], threshold=60, head_start=s).mean for s in range(60)]
    found = lattice_run_length([1, -1], [0.9, 0.1], threshold=60, quiet_shares=[0.1, 0.9]).mean

    assert found == pytest.approx(float(np.dot(at, from_each)), rel=1e-9)


def test_a_longer_cusum_takes_longer_from_its_steady_state_by_what_the_drift_takes() -> None:
    """Wald: far from 0 the mean grows by height / drift, however rare alarms were before."""
    means = [
        cusum_run_length(1.0, slack=0.5, threshold=h, direction="rise", steady=True).mean for h in (20.0, 40.0, 80.0)
    ]

    assert means[1] - means[0] == pytest.approx(40.0, rel=1e-6)
    assert means[2] - means[0] == pytest.approx(120.0, rel=1e-6)


def test_means_that_would_take_too_long_are_infinite() -> None:
    up, down = 30_000, 30_001
    assert 40_000 * up * down > MOST_WORK

    assert lattice_run_length([up, -down], [1e-9, 1.0 - 1e-9], threshold=40_000).mean == math.inf


def test_the_threshold_of_a_cusum_without_slack_is_found_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Siegmund 1985: the mean of both sides is (h + 1.166)^2 / 2."""
    sizes = []

    def counted(transition: Any, *told: Any, **named: Any) -> RunLength:
        sizes.append(len(transition))
        return absorption(transition, *told, **named)

    monkeypatch.setattr(normal_run_length, "absorption", counted)
    threshold = cusum_threshold(9999.0, slack=0.0)

    assert (threshold + 1.166) ** 2 / 2.0 == pytest.approx(9999.0, rel=1e-4)
    # A system of n states costs n^3 / 3; the factor is for the search.
    assert sum(float(size) ** 3 for size in sizes) < 16 * (40 + 5 * threshold) ** 3
