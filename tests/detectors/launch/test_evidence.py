"""E-values: mean exactly one by enumeration, products of single bets, and limits where they cross."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.launch import (
    Contrast,
    Design,
    Outcomes,
    confidence_sequence,
    false_positives,
    log_e_value,
    precision,
    true_positives,
)
from tests.studies.launch import Plan, simulate

DESIGNS = (
    Design(),
    Design(inclusion_probability=(0.2, 1.0)),
    Design(inclusion_probability=(0.2, 0.5), guess=(0.3, 0.9), reach=0.3),
)


def truth(design: Design, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Random probabilities of (stratum, challenger or champion alone, violating or benign), and of `both`."""
    drawn = rng.dirichlet(np.ones(4 * len(design.inclusion_probability) + 1))
    return drawn[:-1].reshape(-1, 2, 2), float(drawn[-1])


def kinds(design: Design, p: np.ndarray, both: float) -> np.ndarray:
    """Probabilities of what is seen: the six kinds of each stratum, and `both`."""
    pi = np.array(design.inclusion_probability)
    rows = [[*(pi[h] * p[h, side]), (1 - pi[h]) * p[h, side].sum()] for h in range(len(pi)) for side in (0, 1)]
    return np.array([*itertools.chain.from_iterable(rows), both])


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("name", ["true positives", "false positives", "precision"])
@pytest.mark.parametrize("above", [True, False])
def test_an_e_value_has_mean_exactly_one_where_the_difference_is_the_hypothesis(
    design: Design, name: str, above: bool
) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        p, both = truth(design, rng)
        both_violating = 0.8 * both
        tp = p.sum(axis=0)[:, 0] + both_violating
        actions = p.sum(axis=(0, 2)) + both
        champion = tp[1] / actions[1]
        contrast, difference = {
            "true positives": (true_positives(), (tp[0] - tp[1]) / actions[1]),
            "false positives": (false_positives(), ((actions - tp)[0] - (actions - tp)[1]) / actions[1]),
            "precision": (precision(champion, champion), tp[0] / actions[0] - champion),
        }[name]
        wide = Design(design.inclusion_probability, design.guess, reach=max(design.reach, abs(difference)))
        seen = kinds(design, p, both)
        pairs = np.array([np.bincount(pair, minlength=len(seen)) for pair in np.ndindex(len(seen), len(seen))])
        found = Outcomes(pairs[:, :-1].reshape(len(pairs), -1, 6), pairs[:, -1])
        possible = np.outer(seen, seen).ravel() > 0
        found = Outcomes(found.discordant[possible], found.both[possible])

        e = np.exp(log_e_value(found, contrast, design=wide, difference=difference, above=above))

        assert pytest.approx(1.0, rel=1e-9) == np.outer(seen, seen).ravel()[possible] @ e


def test_the_e_value_is_the_mean_wealth_of_single_bets_one_after_the_other() -> None:
    rng = np.random.default_rng(2)
    design = Design(inclusion_probability=(0.5,), reach=0.1)
    wealth = np.ones(len(design.bets))
    counts = np.zeros(6)
    both = 0
    for _ in range(200):
        side, labelled, y = rng.integers(0, 2), rng.random() < 0.5, rng.random() < 0.4
        if rng.random() < 0.7:
            g, both = -0.02, both + 1
        else:
            g = (1 - 2 * side) * (2 * y if labelled else 0) + (-0.02 if side == 1 else 0)
            counts[3 * side + ((0 if y else 1) if labelled else 2)] += 1
        wealth *= 1 + np.array(design.bets) / 2.1 * g

    found = log_e_value(
        Outcomes(counts[None], np.array(both)), true_positives(), design=design, difference=0.02, above=True
    )

    assert pytest.approx(math.log(wealth.mean()), abs=1e-9) == found


@settings(max_examples=50)
@given(st.lists(st.integers(0, 40), min_size=7, max_size=7), st.floats(0.9, 0.99), st.floats(-0.1, 0.1), st.booleans())
def test_an_interval_for_the_champions_precision_claims_no_more_than_any_value_within(
    counts: list[int], champion: float, difference: float, above: bool
) -> None:
    counts[2] = counts[5] = 0
    found = Outcomes(np.array([counts[:6]]), np.array(counts[6]))
    # One largest payoff for all, so that bets are the same: that of the interval.
    wide, inner = precision(0.9, 0.99), precision(champion, champion)
    reach = 0.1 + 0.99 - max(champion, 1 - champion)

    claimed = log_e_value(found, wide, design=Design(), difference=difference, above=above)

    assert claimed <= log_e_value(found, inner, design=Design(reach=reach), difference=difference, above=above) + 1e-9


@pytest.mark.parametrize("contrast", [true_positives(), false_positives(), precision(0.93, 0.96)])
def test_a_limit_is_where_the_e_value_crosses(contrast: Contrast) -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 60, (40, 1, 6)).astype(float)
    counts[..., [2, 5]] = 0
    found = Outcomes(counts, rng.integers(0, 4000, 40).astype(float))

    limits = confidence_sequence(found, contrast, design=Design(), alpha=0.1)

    assert np.isfinite(limits.lower).sum() > 20
    assert np.all(limits.lower < limits.upper)
    for limit, above in ((limits.lower, True), (limits.upper, False)):
        inside = np.abs(limit) < 0.0999
        known = Outcomes(counts[inside], found.both[inside])
        at = log_e_value(known, contrast, design=Design(), difference=limit[inside], above=above)
        assert np.allclose(at, math.log(20), atol=1e-6)


def test_the_confidence_sequence_misses_at_any_time_in_at_most_five_percent_of_streams() -> None:
    plan = Plan(0.95, 0.05, 0.004)
    found = simulate(plan, runs=400, disagreements=400, rng=np.random.default_rng(4), drift_to=0.2)
    contrast = precision(0.95, 0.95)
    need = math.log(2 / 0.05)

    outside = [
        (log_e_value(found, contrast, design=Design(), difference=0.004, above=above) >= need).any(axis=-1)
        for above in (True, False)
    ]

    assert (outside[0] | outside[1]).mean() <= 0.05


def test_nothing_seen_is_no_evidence_and_limits_nothing() -> None:
    nothing = Outcomes(np.zeros((1, 6)), np.array(0.0))

    limits = confidence_sequence(nothing, true_positives(), design=Design())

    assert 0.0 == pytest.approx(log_e_value(nothing, true_positives(), design=Design(), difference=0, above=True))
    assert [-np.inf, np.inf] == [float(limits.lower), float(limits.upper)]


@pytest.mark.parametrize(
    ("counts", "difference", "message"),
    [
        (np.zeros((2, 6)), 0.0, "strata"),
        (np.array([[0, 0, 1, 0, 0, 0]]), 0.0, "inclusion probability is 1"),
        (np.zeros((1, 6)), 0.2, "reach"),
        (np.zeros((1, 6)), math.nan, "difference"),
    ],
)
def test_what_cannot_be_tested_is_refused(counts: np.ndarray, difference: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        log_e_value(
            Outcomes(counts, np.array(0.0)), true_positives(), design=Design(), difference=difference, above=True
        )


@pytest.mark.parametrize(
    "arguments",
    [
        {"inclusion_probability": (0.0,)},
        {"inclusion_probability": ()},
        {"guess": (0.5, 0.5)},
        {"guess": (1.5,)},
        {"reach": 0.0},
        {"reach": math.nan},
        {"bets": (1.0,)},
        {"bets": ()},
    ],
)
def test_a_design_that_could_be_ruined_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"inclusion_probability|guess|reach|bet"):
        Design(**arguments)  # type: ignore[arg-type]
