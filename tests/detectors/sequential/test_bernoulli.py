"""The confidence sequence of a share against published intervals, duality with its e-value, and under peeking."""

from typing import Literal

import numpy as np
import pytest

from detectors.intervals import wilson
from detectors.sequential import bernoulli_e_value, bernoulli_sequence

Evidence = Literal["rise", "fall"]


@pytest.mark.parametrize(
    ("k", "n", "optimal_n", "lower", "upper"),
    [
        (700, 1000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (1, 50, 50, 0.0, 0.13489),
        (100, 200, 1, 0.328923, 0.671076),
        (1, 2, 50, 0.0, 1.0),
        (0, 1, 50, 0.0, 1.0),
        (1, 1, 50, 0.0, 1.0),
    ],
)
def test_the_intervals_of_the_unit_tests_of_confseq(k: int, n: int, optimal_n: int, lower: float, upper: float) -> None:
    found = bernoulli_sequence(k, n, alpha=0.05, optimal_n=optimal_n)

    assert (lower, upper) == pytest.approx((float(found.lower), float(found.upper)), abs=2e-6)


def test_the_planning_table_for_a_precision_of_point_nine() -> None:
    n = np.array([100, 500, 1000, 10_000])
    found = bernoulli_sequence(0.9 * n, n, alpha=0.05, optimal_n=100)

    assert [0.788, 0.8529, 0.8666, 0.8889] == found.lower.round(4).tolist()
    assert [0.9698, 0.9381, 0.9286, 0.9105] == found.upper.round(4).tolist()


@pytest.mark.parametrize(("k", "n"), [(1, 50), (45, 50), (700, 1000), (9_990, 10_000)])
def test_the_shares_that_are_not_refuted_are_one_interval(k: int, n: int) -> None:
    shares = np.linspace(0.0005, 0.9995, 1999)
    e_value = bernoulli_e_value(k, n, share=shares, alpha=0.05, optimal_n=100)
    interval = bernoulli_sequence(k, n, alpha=0.05, optimal_n=100)

    inside = (shares > interval.lower) & (shares < interval.upper)
    assert inside.tolist() == (e_value < np.log(20)).tolist()


@pytest.mark.parametrize("evidence", ["rise", "fall"])
def test_a_one_sided_limit_is_where_its_e_value_reaches_the_level(evidence: Evidence) -> None:
    side: Literal["lower", "upper"] = "lower" if evidence == "rise" else "upper"
    found = bernoulli_sequence([30, 80], 100, alpha=0.1, optimal_n=200, side=side)
    limit = found.lower if side == "lower" else found.upper
    e_value = bernoulli_e_value([30, 80], 100, share=limit, alpha=0.1, optimal_n=200, evidence=evidence)

    assert [np.log(10)] * 2 == pytest.approx(e_value.tolist(), abs=1e-8)
    assert ([1.0, 1.0] if side == "lower" else [0.0, 0.0]) == (found.upper if side == "lower" else found.lower).tolist()


def test_successes_and_failures_change_places() -> None:
    k = np.array([0, 3, 50, 97, 100])
    one, other = (bernoulli_sequence(hits, 100, alpha=0.05, optimal_n=100) for hits in (k, 100 - k))

    assert one.lower == pytest.approx(1.0 - other.upper, abs=1e-12)


def test_without_labels_nothing_is_known() -> None:
    found = bernoulli_sequence([0, 3, np.nan], [0, 4, 4], alpha=0.05, optimal_n=100)

    assert [True, False, True] == np.isnan(found.lower).tolist() == np.isnan(found.upper).tolist()


def test_peeking_breaks_wilson_and_not_the_confidence_sequence() -> None:
    rng = np.random.default_rng(5)
    n = np.arange(50, 2001)
    hits = np.cumsum(rng.random((400, 2000)) < 0.9, axis=1)[:, 49:]
    fixed = wilson(hits, n)
    missed = ((fixed.lower > 0.9) | (fixed.upper < 0.9)).any(axis=1).mean()
    e_value = bernoulli_e_value(hits, n, share=0.9, alpha=0.05, optimal_n=500)
    excluded = (e_value >= np.log(20)).any(axis=1).mean()

    assert 0.399 == pytest.approx(missed, abs=3 * (0.4 * 0.6 / 400) ** 0.5)
    assert excluded <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


@pytest.mark.parametrize("evidence", ["rise", "fall"])
def test_one_sided_evidence_is_valid_for_all_means_on_the_other_side_however_they_move(evidence: Evidence) -> None:
    rng = np.random.default_rng(6)
    hits = np.zeros(1000)
    worst = np.full(1000, -np.inf)
    for n in range(1, 151):
        # An adversary who sees everything: fair at the limit while behind, far on the safe side when ahead.
        ahead = hits / n > 0.3 if evidence == "rise" else hits / n < 0.3
        mean = np.where(ahead, 0.3, 0.25 if evidence == "rise" else 0.35)
        hits += rng.random(1000) < mean
        worst = np.maximum(worst, bernoulli_e_value(hits, n, share=0.3, alpha=0.05, optimal_n=100, evidence=evidence))

    assert (worst >= np.log(20)).mean() <= 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5


def test_impossible_arguments_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="optimal_n"):
        bernoulli_sequence(1, 2, alpha=0.05, optimal_n=0)
    with pytest.raises(ValueError, match="share"):
        bernoulli_e_value(1, 2, share=1.0, alpha=0.05, optimal_n=10)
    with pytest.raises(ValueError, match="successes"):
        bernoulli_sequence(3, 2, alpha=0.05, optimal_n=10)
