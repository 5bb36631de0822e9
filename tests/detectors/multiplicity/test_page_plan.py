"""Page plans against exact expectations of restarting charts, simulated overlapping segments and all baselines."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import stats

from detectors.charts import BernoulliCusum, lattice_run_length
from detectors.multiplicity import (
    PagePlan,
    bernoulli_cusum_plan,
    bernoulli_information,
    confidence_sequence_alpha,
    e_detector_plan,
    page_shares,
)


def chart(plan: PagePlan, place: int) -> BernoulliCusum:
    return BernoulliCusum(
        p0=float(plan.p0[place]),
        p1=float(plan.p1[place]),
        threshold=int(plan.threshold[place]),
        direction="rise" if plan.p1[place] > plan.p0[place] else "fall",
    )


def expected_alarms(spec: BernoulliCusum, p: float, observations: int) -> np.ndarray:
    """Expected alarms of a rise within 0, 1, ... observations, by the distribution of S, restarts included."""
    threshold = spec.decision_interval()
    at = np.arange(threshold)
    one = at + spec.steps.one - spec.steps.rise
    zero = np.maximum(at - spec.steps.rise, 0)
    state, alarms = (at == 0).astype(float), [0.0]
    for _ in range(observations):
        crossing = p * state[one >= threshold].sum()
        following = np.bincount(zero, (1 - p) * state, minlength=threshold)
        following += np.bincount(one[one < threshold], p * state[one < threshold], minlength=threshold)
        following[0] += crossing
        state = following
        alarms.append(alarms[-1] + crossing)
    return np.array(alarms)


@pytest.mark.parametrize(("p0", "change", "run_length"), [(0.1, 0.1, 300.0), (0.05, 0.03, 2000.0), (0.4, 0.1, 150.0)])
def test_restarting_charts_alarm_at_most_n_over_arl0_times_for_every_n_and_nearly_so(
    p0: float, change: float, run_length: float
) -> None:
    plan = bernoulli_cusum_plan([1.0], [run_length], p0=p0, change=change)

    alarms = expected_alarms(chart(plan, 0), p0, 6000)

    most = np.arange(6001) / plan.run_length[0]
    assert np.all(alarms <= most * (1 + 1e-9))
    assert alarms[-1] > most[-1] - 1.0


def test_thresholds_are_the_least_that_keep_the_shares() -> None:
    shares, observations = [0.5, 0.012, 0.012], [5e3, 1e5, 3e6]

    plan = bernoulli_cusum_plan(shares, observations, p0=[0.05, 0.1, 0.9], change=[0.05, 0.02, -0.05])

    assert np.all(plan.false_pages <= shares)
    for place in range(3):
        spec = chart(plan, place)
        up, down = spec.steps.one - spec.steps.rise, spec.steps.rise
        share = plan.p0[place]
        if not spec.steps.rise:
            up, down, share = spec.steps.fall, spec.steps.one - spec.steps.fall, 1 - share
        lower = lattice_run_length([up, -down], [share, 1 - share], threshold=int(plan.threshold[place]) - 1)
        assert observations[place] / lower.mean > shares[place]
        assert plan.delay[place] == pytest.approx(spec.run_length(float(plan.p1[place])).mean)
    assert sum(shares) >= plan.total


def test_the_family_keeps_the_budget_though_segments_share_their_data() -> None:
    rng = np.random.default_rng(11)
    years, per_cell, period = 250, 300, 1200
    # 2 x 2 cells, their margins and the total: 9 charts, each verdict is in four of them; a period is `per_cell` each.
    cells = rng.random((years, 4, per_cell * 4)) < 0.1
    members = [(0,), (1,), (2,), (3,), (0, 1), (2, 3), (0, 2), (1, 3), (0, 1, 2, 3)]
    seen = np.array([per_cell * len(group) for group in members], dtype=float)
    plan = bernoulli_cusum_plan(page_shares(3.0, seen, shortest_run_length=50), seen, p0=0.1, change=0.1)

    pages = np.zeros(years)
    for place, group in enumerate(members):
        verdicts = cells[:, list(group)].transpose(0, 2, 1).reshape(years, -1)
        steps, threshold = chart(plan, place).steps, plan.threshold[place]
        statistic = np.zeros(years)
        for verdict in verdicts.T:
            statistic = np.maximum(statistic + steps.one * verdict - steps.rise, 0)
            alarm = statistic >= threshold
            pages += alarm
            statistic[alarm] = 0

    periods = period / per_cell
    error = pages.std() / np.sqrt(years) / periods
    assert pages.mean() / periods <= plan.total + 3 * error
    assert pages.mean() / periods > 0.8 * plan.total - 3 * error
    assert pages.std() > 1.15 * np.sqrt(pages.mean())  # dependent pages come together: the budget is a mean


def test_e_detectors_keep_the_bound_under_dependence_within_a_segment() -> None:
    rng = np.random.default_rng(12)
    runs, observations, p0, p1 = 2000, 1500, 0.1, 0.2
    plan = e_detector_plan([5.0], [observations], p0=p0, change=p1 - p0)
    up, down = p1 / p0, (1 - p1) / (1 - p0)
    e_sr, quiet, pages = np.zeros(runs), np.zeros(runs, dtype=bool), 0
    for _ in range(observations):
        # The share falls to 0 for good half of the time, but never exceeds p0: no independence.
        quiet = np.where(rng.random(runs) < 0.02, ~quiet, quiet)
        one = rng.random(runs) < np.where(quiet, 0.02, p0)
        e_sr = np.where(one, up, down) * (1 + e_sr)
        alarm = e_sr >= plan.threshold[0]
        pages += int(alarm.sum())
        e_sr[alarm] = 0

    assert 300.0 == plan.threshold[0]
    assert 0.5 < pages / runs <= plan.false_pages[0]


# Statistics guide 3.3: simulated delays of e-SR for .1 -> .2 at two thresholds.
@pytest.mark.parametrize(("threshold", "delay"), [(100.0, 35.2), (1000.0, 76.2)])
def test_the_delay_of_an_e_sr_is_near_the_simulated_one(threshold: float, delay: float) -> None:
    plan = e_detector_plan([1.0], [threshold], p0=0.1, change=0.1)

    assert delay == pytest.approx(plan.delay[0], rel=0.15)


def mean_pages(baseline: int, *, confidence: float | None) -> float:
    """False pages of a share of 1, averaged exactly over the estimates of p0 = .1 from `baseline` verdicts."""
    p0, observations = 0.1, 8_000.0
    counts = np.arange(baseline + 1)
    chance = stats.binom.pmf(counts, baseline, p0)
    likely = counts[(chance > 2e-3) & (counts > 0)]
    estimates = likely / baseline
    if confidence is None:
        plan = bernoulli_cusum_plan(np.ones(len(likely)), observations, p0=estimates, change=0.05)
    else:
        plan = bernoulli_cusum_plan(
            np.ones(len(likely)), observations, p0=estimates, change=0.05, baseline=baseline, confidence=confidence
        )
    pages = [observations / chart(plan, place).run_length(p0).mean for place in range(len(likely))]
    return float(np.average(pages, weights=chance[likely]))


def test_a_small_baseline_costs_false_pages_unless_it_is_told() -> None:
    assert 1.5 < mean_pages(500, confidence=None)
    assert 1.0 >= mean_pages(500, confidence=0.95)


def test_a_told_baseline_sets_the_chart_for_the_limit_on_the_side_of_the_change() -> None:
    plan = bernoulli_cusum_plan([0.1, 0.1], 1e4, p0=0.3, change=[0.1, -0.1], baseline=263, confidence=0.975)
    exact = bernoulli_cusum_plan([0.1, 0.1], 1e4, p0=0.3, change=[0.1, -0.1])

    # Wilson's 95 % interval for .3 of 263.
    low, high = stats.binomtest(79, 263).proportion_ci(method="wilson")
    assert [high, low] == pytest.approx(plan.p0, abs=2e-3)
    assert [0.1, -0.1] == pytest.approx(plan.p1 - plan.p0)
    for place, changed in enumerate((0.4, 0.2)):
        assert chart(plan, place).run_length(changed).mean > chart(exact, place).run_length(changed).mean


def test_charts_with_few_observations_are_told_and_those_without_are_not_run() -> None:
    plan = bernoulli_cusum_plan([0.01, 0.01, 0.0, 0.01], [1e5, 300, 1e5, 0], p0=0.1, change=0.05)

    assert [False, True, True, True] == plan.starved.tolist()
    assert [False, False, True, True] == np.isnan(plan.threshold).tolist()
    assert plan.total == pytest.approx(plan.false_pages[0] + plan.false_pages[1])


def test_a_confidence_sequence_errs_its_share_when_begun_again_after_each_error() -> None:
    share = np.array([0.0, 0.012, 0.5, 3.0])

    alpha = confidence_sequence_alpha(share, begun=2.0)

    errors = sum(2.0 * alpha**k for k in range(1, 200))
    assert share == pytest.approx(errors)


@pytest.mark.parametrize(("p1", "p0"), [(0.2, 0.1), (0.05, 0.1), (0.12, 0.1)])
def test_information_is_the_divergence_of_verdicts(p1: float, p0: float) -> None:
    assert stats.entropy([p1, 1 - p1], [p0, 1 - p0]) == pytest.approx(float(bernoulli_information(p1, p0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p0": 0.97, "change": 0.05}, "change: allowed are"),
        ({"p0": 0.1, "change": 0.0}, "change: allowed are"),
        ({"p0": np.nan, "change": 0.1}, "p0: found nan"),
        ({"p0": 0.1, "change": 0.1, "baseline": 100, "confidence": 0.5}, "confidence: got 0.5"),
        ({"p0": 0.1, "change": 0.1, "baseline": np.inf}, "baseline: found inf"),
    ],
)
def test_what_cannot_be_planned_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bernoulli_cusum_plan([0.1], [1000.0], **options)


def test_information_of_no_change_is_refused() -> None:
    with pytest.raises(ValueError, match="p1, p0: allowed are different shares"):
        bernoulli_information(0.1, 0.1)


def test_a_confidence_sequence_never_begun_is_refused() -> None:
    with pytest.raises(ValueError, match=r"begun: found 0\.0"):
        confidence_sequence_alpha(0.1, begun=0.0)


@pytest.mark.parametrize(
    "unknown",
    [{"p0": np.nan}, {"p0": 0.0}, {"p0": 1.0}, {"change": np.nan}, {"change": 0.0}, {"baseline": 0.0}],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items()),
)
@pytest.mark.parametrize(("share", "seen"), [(0.0, 5e3), (0.1, 0.0)])
def test_a_segment_that_is_not_watched_may_lack_anything(unknown: dict[str, float], share: float, seen: float) -> None:
    known = {"p0": 0.1, "change": 0.05, "baseline": 1000.0}
    p0, change, baseline = ([value, unknown.get(name, value)] for name, value in known.items())
    shares, observations = [0.1, share], [2e4, seen]

    plans = (
        bernoulli_cusum_plan(shares, observations, p0=p0, change=change, baseline=baseline),
        e_detector_plan(shares, observations, p0=p0, change=change),
    )
    alone = (
        bernoulli_cusum_plan([0.1], [2e4], p0=0.1, change=0.05, baseline=1000.0),
        e_detector_plan([0.1], [2e4], p0=0.1, change=0.05),
    )

    for found, single in zip(plans, alone, strict=True):
        for name in ("p0", "p1", "threshold", "run_length", "false_pages", "delay"):
            assert getattr(single, name)[0] == getattr(found, name)[0]
            assert np.isnan(getattr(found, name)[1])


def test_a_segment_that_is_watched_without_a_baseline_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"baseline: found 0\.0 at position 1, allowed are numbers > 0"):
        bernoulli_cusum_plan([0.1, 0.1], [2e4, 2e3], p0=0.1, change=0.05, baseline=[1000, 0])


@pytest.mark.parametrize("base", [0.001, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("change", [1e-12, -1e-9, 1e-6, -1e-4, 0.009, -0.011, 0.3])
def test_the_information_of_any_change_has_all_its_digits(base: float, change: float) -> None:
    changed = base + change * base * (1.0 - base)
    with localcontext(prec=60):
        p1, p0 = Decimal(changed), Decimal(base)
        exact = p1 * (p1 / p0).ln() + (1 - p1) * ((1 - p1) / (1 - p0)).ln()

    assert float(bernoulli_information(changed, base)) == pytest.approx(float(exact), rel=1e-13)
