"""Planned labels beside simulated ones; fixed-size tests of the planned size have the planned power."""

import math

import numpy as np
import pytest

from detectors.launch import (
    Design,
    Outcomes,
    labels_needed,
    log_e_value,
    paired_labels_needed,
    precision,
    two_sample_labels_needed,
)
from tests.studies.launch import Plan, gate, simulate, two_samples


@pytest.mark.parametrize("bets", [Design().bets, (0.225,)])
def test_planned_labels_are_a_cautious_guess_of_those_a_simulation_uses(bets: tuple[float, ...]) -> None:
    plan, design = Plan(0.95, 0.05, -0.01), Design(bets=bets)
    found = simulate(plan, runs=400, disagreements=600, rng=np.random.default_rng(1))

    used = gate(found, plan, design=design, may_pass=False).labels
    need = labels_needed(plan.expected(), precision(0.95, 0.95), design=design, difference=0.0, above=False)

    assert 0.75 * need.mean <= used.mean() <= 1.1 * need.mean
    assert 0.65 * need.enough <= np.quantile(used, 0.9) <= 1.1 * need.enough


def test_where_the_hypothesis_holds_no_number_of_labels_is_enough() -> None:
    plan = Plan(0.95, 0.05, 0.0)

    need = labels_needed(plan.expected(), precision(0.95, 0.95), design=Design(), difference=0.0, above=False)

    assert (math.inf, math.inf) == (need.mean, need.enough)
    assert math.inf == paired_labels_needed(0.5, 0.5) == two_sample_labels_needed(0.5, 0.5)


def test_two_independent_audits_of_the_size_planned_have_the_power_planned() -> None:
    labels = two_sample_labels_needed(0.95, 0.94)
    rng = np.random.default_rng(1)

    assert pytest.approx(0.9, abs=0.01) == two_samples(Plan(0.95, 0.05, -0.01), labels, runs=20_000, rng=rng)


def test_the_paired_test_of_the_size_planned_has_the_power_planned() -> None:
    labels = round(paired_labels_needed(0.65, 0.85, reference=0.95))
    plan = Plan(0.95, 0.05, -0.01)
    tally = simulate(plan, runs=4000, disagreements=labels, rng=np.random.default_rng(1)).discordant[:, -1, 0]
    score = tally @ np.array([0.05, -0.95, 0, -0.05, 0.95, 0])
    square = tally @ np.array([0.05, -0.95, 0, -0.05, 0.95, 0]) ** 2

    assert pytest.approx((0.65, 0.85)) == plan.rates
    assert pytest.approx(0.9, abs=0.02) == (score < -1.6449 * np.sqrt(square)).mean()


@pytest.mark.parametrize("share", [[1.0], [0.0] * 7, [-1.0] * 7])
def test_shares_that_are_none_are_refused(share: list[float]) -> None:
    with pytest.raises(ValueError, match="share"):
        labels_needed(share, precision(0.9, 0.9), design=Design(), difference=0.0, above=False)


@pytest.mark.parametrize("difference", [0.1001, -0.5, 1.2, math.nan, math.inf])
def test_differences_beyond_the_reach_are_refused_as_the_e_value_refuses_them(difference: float) -> None:
    contrast, share = precision(0.9, 0.9), Plan(0.95, 0.05, -0.01).expected()
    counts = Outcomes(np.zeros((1, 6)), np.array(10.0))

    with pytest.raises(ValueError, match="difference"):
        log_e_value(counts, contrast, design=Design(), difference=difference, above=False)
    with pytest.raises(ValueError, match="difference"):
        labels_needed(share, contrast, design=Design(), difference=difference, above=False)


@pytest.mark.parametrize("above", [True, False])
def test_models_that_never_disagree_cannot_be_told_apart_by_any_number_of_labels(above: bool) -> None:
    need = labels_needed([0, 0, 0, 0, 0, 0, 10], precision(0.9, 0.9), design=Design(), difference=0.0, above=above)

    assert (math.inf, math.inf) == (need.mean, need.enough)


@pytest.mark.parametrize("rates", [(1.2, 0.9), (0.9, -0.1), (math.nan, 0.9)])
def test_rates_that_cannot_be_are_refused(rates: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="precision, other"):
        two_sample_labels_needed(*rates)
    with pytest.raises(ValueError, match="challenger_rate, champion_rate"):
        paired_labels_needed(*rates)
    with pytest.raises(ValueError, match="reference"):
        paired_labels_needed(0.5, 0.6, reference=rates[1] + 0.5 if rates[1] > 0 else rates[1])


def test_a_power_that_the_level_alone_has_needs_no_labels() -> None:
    assert 0.0 == paired_labels_needed(0.6, 0.8, reference=0.95, power=0.01)
    assert 0.0 == two_sample_labels_needed(0.95, 0.94, power=0.01)
