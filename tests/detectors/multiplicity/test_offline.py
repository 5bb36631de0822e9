"""BH, BY and e-BH against published lists, SciPy, brute force, and simulated families with known truth."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import false_discovery_control

from detectors.multiplicity import benjamini_hochberg, benjamini_yekutieli, e_bh, e_to_p, p_to_e
from tests.detectors.multiplicity.families import false_discovery_rate, overlapping_segments, worst_dependence

# Benjamini and Hochberg 1995, section 4.
PUBLISHED = (
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240),
    *(0.4262, 0.5719, 0.6528, 0.7590, 1.0),
)
ALPHA = 0.05
SHIFT = 0.1

Method = Callable[[Any], NDArray[np.float64]]

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)
E_VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=12)


def test_the_published_list_has_four_discoveries_by_bh_and_three_by_by_and_bonferroni() -> None:
    bonferroni = np.array(PUBLISHED) <= ALPHA / len(PUBLISHED)

    assert 4 == (benjamini_hochberg(PUBLISHED) <= ALPHA).sum()
    assert 3 == (benjamini_yekutieli(PUBLISHED) <= ALPHA).sum()
    assert 3 == bonferroni.sum()


@given(P_VALUES)
def test_adjusted_p_values_are_those_of_scipy(p: list[float]) -> None:
    assert false_discovery_control(p, method="bh") == pytest.approx(benjamini_hochberg(p))
    assert false_discovery_control(p, method="by") == pytest.approx(benjamini_yekutieli(p))


@given(E_VALUES, st.floats(0.001, 0.5))
def test_e_bh_rejects_the_largest_k_that_fulfil_its_rule(e: list[float], alpha: float) -> None:
    ranked = sorted(e, reverse=True)
    sizes = [k for k in range(1, len(e) + 1) if k * ranked[k - 1] / len(e) >= 1 / alpha]
    by_rule = [value >= ranked[max(sizes) - 1] for value in e] if sizes else [False] * len(e)
    adjusted = e_bh(e)

    away_from_equality = np.abs(adjusted * alpha - 1) > 1e-9
    assert np.array(by_rule)[away_from_equality].tolist() == (adjusted >= 1 / alpha)[away_from_equality].tolist()


@given(P_VALUES)
def test_the_order_of_a_family_is_irrelevant(p: list[float]) -> None:
    places = np.random.default_rng(len(p)).permutation(len(p))

    assert benjamini_hochberg(p)[places].tolist() == benjamini_hochberg(np.array(p)[places]).tolist()
    assert e_bh(p)[places].tolist() == e_bh(np.array(p)[places]).tolist()


@pytest.mark.parametrize("method", [benjamini_hochberg, benjamini_yekutieli, e_bh, p_to_e, e_to_p])
def test_a_hypothesis_without_evidence_is_left_out_and_stays_nan(method: Method) -> None:
    known = [0.01, 0.04, 0.9]

    found = method([0.01, np.nan, 0.04, 0.9, np.nan])

    assert [False, True, False, False, True] == np.isnan(found).tolist()
    assert method(known).tolist() == found[[0, 2, 3]].tolist()
    assert np.isnan(method([np.nan, np.nan])).all()


@pytest.mark.parametrize("method", [benjamini_hochberg, benjamini_yekutieli, e_bh])
def test_each_leading_index_is_a_family_of_its_own(method: Method) -> None:
    families = np.random.default_rng(1).random((2, 3, 8))
    families[1, 2, :5] = np.nan

    together = method(families)

    one_by_one = [[method(family) for family in row] for row in families]
    assert np.array_equal(np.array(one_by_one), together, equal_nan=True)


def test_an_e_value_of_zero_and_one_without_evidence_are_different() -> None:
    assert [10.0, 0.0] == e_bh([20.0, 0.0]).tolist()
    assert 20.0 == e_bh([20.0, np.nan])[0]


@pytest.mark.parametrize("method", [benjamini_hochberg, benjamini_yekutieli, p_to_e])
@pytest.mark.parametrize("bad", [-0.1, 1.1, np.inf])
def test_numbers_that_are_no_p_values_are_refused(method: Method, bad: float) -> None:
    with pytest.raises(ValueError, match=r"p_values: found .* at position 1, allowed are numbers within \[0, 1\]"):
        method([0.5, bad])


@pytest.mark.parametrize("method", [e_bh, e_to_p])
@pytest.mark.parametrize("bad", [-1.0, np.inf, 1e101])
def test_numbers_that_are_no_e_values_are_refused(method: Method, bad: float) -> None:
    with pytest.raises(ValueError, match=r"e_values: found .* at position 1, allowed are"):
        method([2.0, bad])


def test_a_single_number_is_no_family() -> None:
    with pytest.raises(ValueError, match="p_values: got a single number"):
        benjamini_hochberg(0.01)


@pytest.mark.parametrize("kappa", [0.1, 0.5, 0.9])
def test_calibrated_p_values_are_e_values_with_expectation_one(kappa: float) -> None:
    # Midpoints of u with p = u^(1 / kappa), where the integrand is smooth: dp = u^(1 / kappa - 1) / kappa du.
    u = (np.arange(10_000) + 0.5) / 10_000

    expectation = np.mean(p_to_e(u ** (1 / kappa), kappa=kappa) * u ** (1 / kappa - 1) / kappa)

    assert 1.0 == pytest.approx(expectation)


def test_the_exchange_from_p_to_e_and_back_never_gains() -> None:
    p = np.linspace(1e-6, 1, 1000)

    assert np.all(e_to_p(p_to_e(p)) >= p)


@pytest.mark.parametrize("kappa", [0.01, 0.5])
def test_p_values_of_nothing_are_evidence_that_e_bh_takes(kappa: float) -> None:
    e_values = p_to_e([0.0, 1e-250, 0.5], kappa=kappa)

    adjusted = e_bh(e_values)
    assert e_values.max() <= 1e100
    assert [True, True, False] == (adjusted >= 1 / ALPHA).tolist()


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize(("changed", "shift"), [(0, 0.0), (1, 3.0), (2, 1.5)])
def test_bh_and_by_keep_their_rate_among_overlapping_segments(changed: int, shift: float, two_sided: bool) -> None:
    rng = np.random.default_rng(5)
    z, null = overlapping_segments(rng, runs=3000, policies_changed=changed, shift=shift)
    p = 2 * ndtr(-np.abs(z)) if two_sided else ndtr(-z)

    by_bh = false_discovery_rate(benjamini_hochberg(p) <= ALPHA, null)

    assert by_bh <= ALPHA + 3 * np.sqrt(ALPHA / 3000)
    assert false_discovery_rate(benjamini_yekutieli(p) <= ALPHA, null) <= min(by_bh, 0.02)
    if not changed:
        assert by_bh > 0.03  # it spends what it may


def test_bh_breaks_under_the_worst_dependence_and_by_and_e_bh_hold() -> None:
    size = 10
    p = worst_dependence(np.random.default_rng(2), runs=30_000, size=size, alpha=ALPHA)
    worst = ALPHA * sum(1 / k for k in range(1, size + 1))
    error = 3 * np.sqrt(worst / 30_000)
    null = np.ones(size, dtype=bool)

    assert worst == pytest.approx(false_discovery_rate(benjamini_hochberg(p) <= ALPHA, null), abs=error)
    assert false_discovery_rate(benjamini_yekutieli(p) <= ALPHA, null) <= ALPHA
    assert false_discovery_rate(e_bh(p_to_e(p)) >= 1 / ALPHA, null) <= ALPHA


def likelihood_ratios(rng: np.random.Generator, *, runs: int, segments: int, steps: int) -> NDArray[np.float64]:
    """Of N(.1, 1) to N(0, 1), for N(0, 1) series whose neighbours share half of their data."""
    own = rng.standard_normal((runs, segments, steps))
    series = (own + np.roll(own, 1, axis=1)) / np.sqrt(2)
    return np.exp(SHIFT * series - SHIFT**2 / 2)


def test_e_bh_on_e_processes_keeps_its_rate_when_looked_at_after_every_observation() -> None:
    ratio = likelihood_ratios(np.random.default_rng(3), runs=400, segments=20, steps=100)

    process = np.cumprod(ratio, axis=-1)

    ever = [e_bh(process[..., step]).max(axis=-1) for step in range(100)]
    assert np.mean(np.max(ever, axis=0) >= 1 / ALPHA) <= ALPHA


def test_e_bh_on_the_values_of_e_detectors_does_not_unless_they_are_divided_by_their_age() -> None:
    steps = 300
    ratio = likelihood_ratios(np.random.default_rng(4), runs=400, segments=20, steps=steps)
    detector = np.zeros((400, 20))

    for step in range(steps):
        detector = ratio[..., step] * (1 + detector)

    null = np.ones(20, dtype=bool)
    assert 0.5 < false_discovery_rate(e_bh(detector) >= 1 / ALPHA, null)
    assert ALPHA >= false_discovery_rate(e_bh(detector / steps) >= 1 / ALPHA, null)


def test_a_single_e_value_is_its_own_adjusted_value_to_the_last_bit() -> None:
    e = np.arange(2.0, 2000.0)

    assert e.tolist() == e_bh(e[:, None])[:, 0].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_adjusted_e_values_are_those_of_exact_fractions(seed: int) -> None:
    e = np.random.default_rng(seed).integers(1, 200, 9).astype(np.float64)
    ranked = sorted((Fraction(value) for value in e), reverse=True)
    best = [max(ranked[j] * (j + 1) / 9 for j in range(k, 9)) for k in range(9)]

    assert [float(best[ranked.index(Fraction(value))]) for value in e] == e_bh(e).tolist()
