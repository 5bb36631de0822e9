"""Run lengths against the published tables and against simulations."""

import math
from typing import Any

import numpy as np
import pytest
import scipy

from detectors.charts import (
    BernoulliCusum,
    RunRule,
    absorption,
    binary_thresholds,
    cusum_run_length,
    cusum_threshold,
    ewma_run_length,
    ewma_width,
    lattice_run_length,
    quiet_distribution,
    shewhart_run_length,
    shiryaev_roberts_run_length,
    two_sided,
)
from detectors.charts.lattice_cusum import Steps, lattice_cusum_run_length
from detectors.charts.poisson_cusum import _run_length

SHIFTS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5)


@pytest.mark.parametrize(
    ("head_start", "published"),
    [
        (0.0, "168 74.2 26.6 13.3 8.38 4.75 3.34 2.62 2.19 1.71 1.31"),
        (2.0, "149 62.7 20.1 8.97 5.29 2.86 2.01 1.59 1.32 1.07 1.01"),
    ],
)
def test_two_sided_cusum_has_the_table_of_lucas_and_crosier(head_start: float, published: str) -> None:
    found = [cusum_run_length(shift, slack=0.5, threshold=4.0, head_start=head_start).mean for shift in SHIFTS]

    # A unit of the last digit: their 1.32 at a shift of 3 with a head start is 1.325.
    assert [float(mean) for mean in published.split()] == [
        pytest.approx(mean, abs=0.55 * 10.0 ** -len(text.partition(".")[2]))
        for mean, text in zip(found, published.split(), strict=True)
    ]


def test_two_sided_cusum_of_threshold_five_has_the_exact_run_lengths() -> None:
    expected = [465.444, 139.494, 37.996, 17.048, 10.376, 5.747, 4.009, 3.114, 2.573, 2.013, 1.694]

    assert expected == [round(cusum_run_length(shift, slack=0.5, threshold=5.0).mean, 3) for shift in SHIFTS]


def test_one_sided_cusums_have_the_values_of_brook_and_evans_vance_and_waldmann() -> None:
    def mean(shift: float, slack: float, threshold: float) -> float:
        return cusum_run_length(shift, slack=slack, threshold=threshold, direction="rise").mean

    assert [117.596, 335.368, 930.887] == [round(mean(0.0, 0.5, h), 3) for h in (3.0, 4.0, 5.0)]
    assert 3.75 == round(mean(1.5, 0.5, 3.0), 2)
    assert mean(-0.25, 0.0, 10.0) == pytest.approx(2071.51, rel=5e-5)
    vance = {-0.125: 400.28, 0: 124.66, 0.125: 59.30, 0.25: 36.71, 0.5: 20.37, 0.75: 14.06, 1: 10.75}
    assert vance == {shift: round(mean(shift, 0.0, 10.0), 2) for shift in vance}
    assert [1963.0, 117.6, 17.4] == [round(mean(-0.5, 0.5, 3.0)), *(round(mean(s, 0.5, 3.0), 1) for s in (0.0, 0.5))]
    assert cusum_run_length(-0.2, slack=0.6, threshold=3.0).mean == pytest.approx(65.4, rel=2e-3)


def test_cusum_with_a_head_start_has_the_values_of_sas() -> None:
    found = [
        cusum_run_length(2.5, slack=0.25, threshold=8.0, head_start=start, direction="rise").mean
        for start in (0.0, 0.1)
    ]

    assert [4.1500837, 4.1061588] == [round(mean, 7) for mean in found]


def test_the_approximation_of_siegmund_is_near() -> None:
    for threshold, siegmund in ((4.0, 169.05), (5.0, 469.11)):
        drift, b = -0.5, threshold + 1.166
        approximate = (math.exp(-2 * drift * b) + 2 * drift * b - 1) / (2 * drift**2) / 2

        assert siegmund == round(approximate, 2)
        assert cusum_run_length(slack=0.5, threshold=threshold).mean == pytest.approx(approximate, rel=0.01)


def test_the_steady_state_of_one_side_is_near_the_two_sided_table_of_crosier() -> None:
    crosier = {1.0: 7.68, 1.5: 4.31, 2.0: 3.03, 2.5: 2.38, 3.0: 2.0, 4.0: 1.55, 5.0: 1.22}
    for shift, both in crosier.items():
        one = cusum_run_length(shift, slack=0.5, threshold=4.0, direction="rise", steady=True).mean

        assert one == pytest.approx(both, rel=0.01)


LUCAS_SACCUCCI = {
    (0.5, 3.071): "500 255 88.8 35.9 17.5 6.53 3.63 1.93",
    (0.03, 2.437): "500 76.7 29.3 17.6 12.6 8.07 5.99 4.03",
}


@pytest.mark.parametrize(("chart", "published"), LUCAS_SACCUCCI.items())
def test_ewma_has_the_table_of_lucas_and_saccucci(chart: tuple[float, float], published: str) -> None:
    found = [ewma_run_length(s, smoothing=chart[0], width=chart[1]).mean for s in (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3)]

    assert published.split() == [three_digits(mean) for mean in found]


def test_other_ewma_charts_have_their_exact_values() -> None:
    expected = {
        (0.5, 3.071): (499.906, 17.477),
        (0.03, 2.437): (499.859, 12.598),
        (0.05, 2.615): (499.9, 11.38),
        (0.1, 2.814): (499.6, 10.33),
        (0.2, 2.962): (499.7, 10.54),
        (0.25, 2.998): (499.8, 11.14),
        (0.4, 3.054): (500.0, 14.26),
        (0.75, 3.087): (499.3, 30.6),
    }
    for (smoothing, width), (quiet, shifted) in expected.items():
        means = [ewma_run_length(shift, smoothing=smoothing, width=width).mean for shift in (0.0, 1.0)]
        digits = [len(f"{value}".partition(".")[2]) for value in (quiet, shifted)]
        assert [quiet, shifted] == [round(mean, d) for mean, d in zip(means, digits, strict=True)]
    assert 11.154267016 == round(ewma_run_length(1.0, smoothing=0.25, width=3.0).mean, 9)
    crowder = [26.45, 20.12, 11.89, 7.29, 4.91]
    assert crowder == [
        pytest.approx(ewma_run_length(shift, smoothing=0.5, width=2.0).mean, abs=0.0051)
        for shift in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert 3.590 == round(ewma_run_length(1.25, smoothing=0.5, width=2.0).mean, 3)


def test_an_ewma_that_forgets_all_is_a_shewhart_chart() -> None:
    published = {0.0: 370.40, 0.2: 308.43, 0.4: 200.08, 1.0: 43.89, 2.0: 6.30, 3.0: 2.00}

    assert published == {s: round(ewma_run_length(s, smoothing=1.0, width=3.0).mean, 2) for s in published}


def test_run_rules_have_the_table_of_champ_and_woodall() -> None:
    three = RunRule(1, 1, 3.0)
    shewhart = {0.0: 370.40, 0.2: 308.43, 0.4: 200.08, 1.0: 43.89, 2.0: 6.30, 3.0: 2.00}
    published = {
        RunRule(2, 3, 2.0): [225.44, 20.01],
        RunRule(4, 5, 1.0): [166.05, 12.66],
        RunRule(8, 8, 0.0): [152.73, 14.58],
    }

    assert shewhart == {shift: round(shewhart_run_length(shift).mean, 2) for shift in shewhart}
    for rule, means in published.items():
        assert means == [round(shewhart_run_length(shift, rules=[three, rule]).mean, 2) for shift in (0.0, 1.0)]
    with pytest.raises(ValueError, match="rules"):
        shewhart_run_length(rules=[RunRule(4, 3, 1.0)])


def test_shiryaev_roberts_has_the_table_of_moustakides_and_others_and_that_of_knoth() -> None:
    published = {47.17: (50.29, 41.40), 94.34: (100.28, 72.32), 471.7: (500.28, 209.44), 943.41: (1000.28, 298.50)}
    knoth = {0: 697, 0.5: 33, 1: 10.4, 1.5: 6.2, 2: 4.4, 2.5: 3.5, 3: 2.9}
    for threshold, means in published.items():
        found = [shiryaev_roberts_run_length(s, expected_shift=0.1, threshold=threshold).mean for s in (0.0, 0.1)]

        assert list(means) == [round(mean, 2) for mean in found]
    for shift, mean in knoth.items():
        found_mean = shiryaev_roberts_run_length(shift, expected_shift=1.0, threshold=390.0).mean
        assert mean == round(found_mean, 0 if mean > 30 else 1)
    with pytest.raises(ValueError, match="expected_shift"):
        shiryaev_roberts_run_length(expected_shift=0.0, threshold=10.0)


def test_poisson_cusum_has_the_values_of_lucas() -> None:
    upper, lower = Steps(4, 1, 0), Steps(4, 0, 1)

    found = [_run_length(0.25, side, 40, head_start).mean for side in (upper, lower) for head_start in (0.0, 0.5)]

    assert [438, 333, 437, 318] == [round(mean) for mean in found]
    assert [438.125, 333.125, 436.764, 318.333] == [round(mean, 3) for mean in found]


BERNOULLI = [
    (0.1, 7, 20, (246.7344, 72.171, 36.603, 38.9018)),
    (0.1, 7, 40, (3037.1781, 235.389, 85.343, 92.4540)),
    (0.1, 7, 50, (9504.9243, 343.199, 110.259, 120.0350)),
    (0.1, 7, 60, (29150.1854, 464.988, 135.234, 147.7219)),
    (0.05, 14, 80, (4694.2322, 442.681, 167.350, 178.0463)),
    (0.05, 14, 100, (13722.8462, 647.039, 217.077, 231.8997)),
    (0.01, 65, 250, (5932.2690, 1253.128, 558.545, 430.7973)),
]


@pytest.mark.parametrize(("p0", "m", "h", "expected"), BERNOULLI)
def test_bernoulli_cusum_has_its_exact_table(p0: float, m: int, h: int, expected: tuple[float, ...]) -> None:
    def tuned(p1: float) -> float:
        return math.log(p1 * (1 - p0) / (p0 * (1 - p1))) / -math.log((1 - p1) / (1 - p0)) - m

    p1 = scipy.optimize.brentq(tuned, p0 * 1.01, 0.9, xtol=1e-15)
    found = [lattice_run_length([m - 1, -1], [p, 1 - p], threshold=h).mean for p in (p0, 1.5 * p0, 2 * p0, p1)]

    assert list(expected) == [round(mean, d) for mean, d in zip(found, (4, 3, 3, 4), strict=True)]


def test_an_error_of_the_baseline_moves_the_run_length_as_the_guide_says() -> None:
    chart = BernoulliCusum(p0=0.1, p1=0.2, threshold=50)

    assert [29604, 9505, 3631, 1636] == [round(chart.run_length(p).mean) for p in (0.09, 0.1, 0.11, 0.12)]


def test_a_lattice_chart_is_that_of_a_dense_matrix_of_its_own() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        steps, h = rng.integers(-4, 8, 4), int(rng.integers(2, 30))
        shares = rng.dirichlet([1.0, 1.0, 1.0, 1.0])
        matrix = np.zeros((h, h))
        for state in range(h):
            for step, share in zip(steps, shares, strict=True):
                if max(0, state + step) < h:
                    matrix[state, max(0, state + step)] += share
        if np.abs(np.linalg.eigvals(matrix)).max() > 1 - 1e-6:
            continue
        start = int(rng.integers(0, h))
        found = lattice_run_length(steps, shares, threshold=h, head_start=start)
        powers = [np.linalg.matrix_power(matrix, n)[start].sum() for n in (0, 1, 5, 40)]

        assert found.mean == pytest.approx(np.linalg.inv(np.eye(h) - matrix)[start].sum(), rel=1e-9)
        assert found.alarm_within([0, 1, 5, 40]).tolist() == pytest.approx([1 - p for p in powers], abs=1e-9)


def test_thresholds_side_by_side_are_the_least_that_the_exact_chain_allows() -> None:
    rng = np.random.default_rng(6)
    share, reach = rng.uniform(0.01, 0.2, 8), rng.integers(2, 5, 8)
    for up, down, p in ((reach, 1, share), (1, 15 * reach, 1.0 - share)):
        found = binary_thresholds(3000.0, p, up=up, down=down)
        for chart in range(8):
            steps = [np.broadcast_to(up, 8)[chart], -np.broadcast_to(down, 8)[chart]]
            means = [
                lattice_run_length(steps, [p[chart], 1 - p[chart]], threshold=h).mean
                for h in (found[chart] - 1, found[chart])
                if h > 0
            ]
            assert means[-1] >= 3000.0 * (1 - 1e-9)
            assert len(means) == 1 or means[0] < 3000.0 * (1 + 1e-9)


def test_charts_that_would_rise_in_control_or_skip_both_ways_are_refused() -> None:
    with pytest.raises(ValueError, match="does not rise"):
        binary_thresholds(100.0, 0.5, up=2, down=1)
    with pytest.raises(ValueError, match="one of the two being 1"):
        binary_thresholds(100.0, 0.1, up=3, down=2)


def test_a_run_length_of_one_state_is_geometric() -> None:
    found = absorption(np.array([[0.99]]), np.array([0.99]))
    theory = scipy.stats.geom(0.01)

    assert found.mean == pytest.approx(100.0)
    assert found.alarm_within([0, 1, 50, 5000]).tolist() == pytest.approx(theory.cdf([0, 1, 50, 5000]).tolist())
    assert [theory.ppf(share) for share in (0.01, 0.5, 0.9, 0.999)] == [
        found.quantile(share) for share in (0.01, 0.5, 0.9, 0.999)
    ]


def simulated(threshold: float, runs: int, length: int, *, seed: int) -> Any:
    """Whether two-sided CUSUMs of slack .5 alarmed by each observation, as shares (length,)."""
    rng = np.random.default_rng(seed)
    both, alarmed = np.zeros((2, runs)), np.zeros(length)
    for n in range(length):
        z = rng.normal(size=both.shape[1])
        both = np.maximum(0.0, both + np.array([z, -z]) - 0.5)
        both = both[:, both.max(axis=0) <= threshold]
        alarmed[n] = 1.0 - both.shape[1] / runs
    return alarmed


def test_the_distribution_for_two_sides_is_that_of_a_simulation() -> None:
    found = cusum_run_length(slack=0.5, threshold=3.0)
    alarmed = simulated(3.0, 60_000, 200, seed=8)

    at = np.array([5, 20, 60, 200])
    error = np.sqrt(alarmed[at - 1] * (1 - alarmed[at - 1]) / 60_000)
    assert (np.abs(found.alarm_within(at) - alarmed[at - 1]) < 4 * error).all()


def test_an_average_is_no_guarantee() -> None:
    assert 0.885 == round(float(cusum_run_length(slack=0.5, threshold=5.0).alarm_within(1000)), 3)


def test_a_mean_is_the_sum_of_its_survival_probabilities() -> None:
    for found in (
        cusum_run_length(0.3, slack=0.5, threshold=4.0, head_start=1.0),
        ewma_run_length(smoothing=0.1, width=2.5, limits="transient"),
        two_sided(*(lattice_run_length([6 * s, -s], [0.15, 0.85], threshold=30) for s in (1, 1))),
        lattice_run_length([6, -1], [0.15, 0.85], threshold=30, quiet_shares=[0.1, 0.9]),
    ):
        left = found.settled()
        ratio = left[-1] / left[-2]

        assert found.mean == pytest.approx(left.sum() + left[-1] * ratio / (1 - ratio), rel=1e-6)


def test_transient_limits_alarm_sooner_than_fixed_ones_and_by_the_first_observation_as_a_normal_one() -> None:
    found = ewma_run_length(smoothing=0.2, width=2.962, limits="transient")

    assert found.alarm_within(1) == pytest.approx(2 * scipy.special.ndtr(-2.962))
    assert found.mean < ewma_run_length(smoothing=0.2, width=2.962).mean


def test_the_quiet_distribution_is_where_a_simulation_without_alarm_is() -> None:
    matrix = np.array([[0.9, 0.06, 0.02], [0.5, 0.2, 0.2], [0.1, 0.5, 0.2]])
    row = np.array([1.0, 0.0, 0.0])
    for _ in range(200):
        row = row @ matrix
        row /= row.sum()

    assert quiet_distribution(matrix).tolist() == pytest.approx(row.tolist(), abs=1e-12)


@pytest.mark.parametrize("wanted", [100.0, 1000.0, 100_000.0])
def test_a_computed_threshold_has_the_wanted_average(wanted: float) -> None:
    threshold = cusum_threshold(wanted, slack=0.4, head_start=0.5, direction="both")
    width = ewma_width(wanted, smoothing=0.15)

    found = cusum_run_length(slack=0.4, threshold=threshold, head_start=threshold / 2).mean
    assert found == pytest.approx(wanted, rel=1e-6)
    assert ewma_run_length(smoothing=0.15, width=width).mean == pytest.approx(wanted, rel=1e-6)


def mean_of_pairs(increments: list[tuple[int, int]], shares: list[float], threshold: int, start: int) -> float:
    """The mean run length of both statistics together: a state for each pair of them that is reached."""
    places, begun, moves = {(start, start): 0}, [(start, start)], []
    for place, (rise, fall) in enumerate(begun):
        for (up, down), share in zip(increments, shares, strict=True):
            pair = (max(0, rise + up), max(0, fall + down))
            if max(pair) < threshold:
                if pair not in places:
                    places[pair] = len(begun)
                    begun.append(pair)
                moves.append((place, places[pair], share))
    matrix = np.eye(len(begun))
    for place, to, share in moves:
        matrix[place, to] -= share
    return float(np.linalg.solve(matrix, np.ones(len(begun)))[0])


@pytest.mark.parametrize("direction_steps", [Steps(2, 1, 1), Steps(11, 6, 5), Steps(14, 2, 1), Steps(7, 5, 3)])
def test_both_sides_have_the_mean_of_their_pairs_at_every_head_start_or_none(direction_steps: Steps) -> None:
    one, rise, fall = direction_steps
    pairs = [(one - rise, fall - one), (-rise, fall)]
    p = (rise + fall) / 2 / one
    for threshold in (1, 2, 9, 10, 25):
        for start in range(threshold):
            arguments: Any = {
                "steps": direction_steps,
                "threshold": threshold,
                "head_start": (start + 0.5) / threshold if 2 * start < threshold else start / threshold,
            }
            if 2 * start > threshold:
                with pytest.raises(ValueError, match="head_start"):
                    lattice_cusum_run_length([1, 0], [p, 1 - p], **arguments)
                continue
            expected = mean_of_pairs(pairs, [p, 1 - p], threshold, start)
            assert lattice_cusum_run_length([1, 0], [p, 1 - p], **arguments).mean == pytest.approx(expected, rel=1e-9)


def test_two_normal_sides_with_the_highest_head_start_have_the_simulated_mean() -> None:
    rng, threshold, slack, runs = np.random.default_rng(77), 4.0, 0.25, 20_000
    rise = np.full(runs, threshold / 2)
    fall, count, left = rise.copy(), np.zeros(runs), np.arange(runs)
    while len(left):
        z = rng.standard_normal(len(left))
        rise, fall = np.maximum(0.0, rise + z - slack), np.maximum(0.0, fall - z - slack)
        count[left] += 1
        quiet = np.maximum(rise, fall) <= threshold
        rise, fall, left = rise[quiet], fall[quiet], left[quiet]

    found = cusum_run_length(slack=slack, threshold=threshold, head_start=threshold / 2).mean
    assert found == pytest.approx(count.mean(), abs=4 * count.std() / math.sqrt(runs))


def test_sides_whose_mean_would_be_less_than_one_observation_are_refused() -> None:
    sides = [cusum_run_length(slack=0.1, threshold=8.0, head_start=start, direction="rise") for start in (7.9, 0.0)]

    with pytest.raises(ValueError, match="at most half of the threshold"):
        two_sided(sides[0], sides[0], rise_from_zero=sides[1], fall_from_zero=sides[1])


def test_impossible_charts_are_refused() -> None:
    with pytest.raises(ValueError, match="head_start"):
        cusum_run_length(slack=0.5, threshold=4.0, head_start=4.1)
    with pytest.raises(ValueError, match=r"head_start 0\.9"):
        cusum_run_length(slack=0.25, threshold=8.0, head_start=7.2)
    with pytest.raises(ValueError, match="cusum_threshold: got head_start"):
        cusum_threshold(500.0, slack=0.25, head_start=0.9)
    with pytest.raises(ValueError, match="lattice_cusum_run_length: got head_start"):
        lattice_cusum_run_length([1, 0], [0.5, 0.5], steps=Steps(2, 1, 1), threshold=10, head_start=0.6)
    with pytest.raises(ValueError, match="steady"):
        cusum_run_length(slack=0.5, threshold=4.0, steady=True)
    with pytest.raises(ValueError, match="smoothing"):
        ewma_run_length(smoothing=0.0, width=3.0)
    with pytest.raises(ValueError, match="too small"):
        cusum_threshold(1.0, slack=0.5)
    with pytest.raises(ValueError, match="shares"):
        lattice_run_length([1, -1], [0.6, 0.6], threshold=5)
    with pytest.raises(ValueError, match="head_start"):
        lattice_run_length([1, -1], [0.5, 0.5], threshold=5, head_start=5)
    with pytest.raises(ValueError, match="n: found -1"):
        lattice_run_length([1, -1], [0.5, 0.5], threshold=5).alarm_within(-1)


def three_digits(mean: float) -> str:
    """As the tables print it."""
    return f"{mean:.{max(0, 2 - int(math.log10(mean)))}f}"
