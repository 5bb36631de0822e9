"""Mixture boundaries against the values of the confseq library's unit tests and against numerical integration."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from detectors.arrays import Floats
from detectors.sequential import (
    beta_binomial,
    beta_binomial_bound,
    gamma_exponential,
    gamma_exponential_bound,
    gamma_poisson,
    gamma_poisson_bound,
    mixture_precision,
    normal_mixture,
    normal_mixture_bound,
    stitched_bound,
)

TWO = float(mixture_precision(100.0, alpha=0.05))
ONE = float(mixture_precision(100.0, alpha=0.05, one_sided=True))


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (12.60056, lambda: mixture_precision(100.0, alpha=0.05)),
        (-0.6510052, lambda: normal_mixture(10.0, 100.0, rho=TWO)),
        (30.35209, lambda: normal_mixture_bound(100.0, rho=TWO, alpha=0.05)),
        (-0.06502391, lambda: normal_mixture(10.0, 100.0, rho=ONE, one_sided=True)),
        (27.66071, lambda: normal_mixture_bound(100.0, rho=ONE, alpha=0.05, one_sided=True)),
        (-0.2490165, lambda: gamma_exponential(10.0, 100.0, rho=ONE, scale=2.0)),
        (33.02017, lambda: gamma_exponential_bound(100.0, rho=ONE, alpha=0.05, scale=2.0)),
        (-0.06991219, lambda: gamma_poisson(10.0, 100.0, rho=ONE, scale=2.0)),
        (30.1949, lambda: gamma_poisson_bound(100.0, rho=ONE, alpha=0.05, scale=2.0)),
        (-0.6941012, lambda: beta_binomial(10.0, 100.0, rho=TWO, below=0.2, above=0.8)),
        (31.4308, lambda: beta_binomial_bound(100.0, rho=TWO, alpha=0.05, below=0.2, above=0.8)),
        (-0.07134019, lambda: beta_binomial(10.0, 100.0, rho=ONE, one_sided=True, below=0.2, above=0.8)),
        (28.41238, lambda: beta_binomial_bound(100.0, rho=ONE, alpha=0.05, one_sided=True, below=0.2, above=0.8)),
        (64.48755, lambda: stitched_bound(100.0, v_min=10.0, alpha=0.05, scale=3.0)),
        (28.99389, lambda: stitched_bound(100.0, v_min=10.0, alpha=0.05, scale=-1.0)),
    ],
)
def test_the_values_of_the_unit_tests_of_confseq(expected: float, found: Callable[[], Floats]) -> None:
    assert expected == pytest.approx(float(found()), rel=2e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.3, 0.4999, 0.5, 0.6])
def test_a_one_sided_mixture_is_tuned_to_within_a_twentieth_of_the_best_at_lenient_levels_too(alpha: float) -> None:
    def bound(log_rho: float) -> float:
        return float(normal_mixture_bound(100.0, rho=np.exp(log_rho), alpha=alpha, one_sided=True))

    best = optimize.minimize_scalar(bound, bounds=(-5.0, 12.0), method="bounded").fun
    found = bound(float(np.log(mixture_precision(100.0, alpha=alpha, one_sided=True))))

    assert best <= found * (1 + 1e-6)
    assert found < 1.05 * best


def test_the_normal_mixtures_are_integrals_over_a_normal_density() -> None:
    rho, s, v = 3.0, 4.0, 7.0

    def value(bet: float) -> float:
        return float(np.exp(bet * s - 0.5 * bet**2 * v) * stats.norm.pdf(bet, scale=rho**-0.5))

    both = integrate.quad(value, -10, 10)[0]
    rises = 2 * integrate.quad(value, 0, 10)[0]

    assert np.log(both) == pytest.approx(float(normal_mixture(s, v, rho=rho)), abs=1e-9)
    assert np.log(rises) == pytest.approx(float(normal_mixture(s, v, rho=rho, one_sided=True)), abs=1e-9)


@pytest.mark.parametrize("k", [0, 3, 20, 40])
def test_the_beta_mixture_is_an_integral_of_likelihood_ratios_over_a_beta_density(k: int) -> None:
    n, p, rho = 40, 0.2, 5.0
    r = rho - p * (1 - p)
    prior = stats.beta(r / (1 - p), r / p)

    def value(share: float) -> float:
        ratio = special.xlogy(k, share / p) + special.xlogy(n - k, (1 - share) / (1 - p))
        return float(np.exp(ratio) * prior.pdf(share))

    s, v = k - n * p, n * p * (1 - p)
    both = integrate.quad(value, 0, 1, points=[0.2, 0.5])[0]
    rises = integrate.quad(value, p, 1)[0] / prior.sf(p)

    assert np.log(both) == pytest.approx(float(beta_binomial(s, v, rho=rho, below=p, above=1 - p)), abs=1e-7)
    assert np.log(rises) == pytest.approx(
        float(beta_binomial(s, v, rho=rho, below=p, above=1 - p, one_sided=True)), abs=1e-7
    )


@pytest.mark.parametrize("n", [1, 30, 1_000, 100_000, 10_000_000])
def test_the_cut_of_a_one_sided_value_is_scipys_incomplete_beta_function(n: int) -> None:
    p, rho = 0.1, 20.0
    variance = p * (1.0 - p)
    a, b = (rho - variance) / (1.0 - p), (rho - variance) / p
    k = np.clip(n * p + np.linspace(-6.0, 6.0, 25) * np.sqrt(n * variance), 0.0, n)
    both, one = (
        beta_binomial(k - n * p, n * variance, rho=rho, below=p, above=1.0 - p, one_sided=one_sided)
        for one_sided in (False, True)
    )
    tail = special.betaincc(a + k, b + n - k, p) / special.betaincc(a, b, p)

    assert np.log(tail) == pytest.approx(one - both, abs=1e-8)


def test_a_one_sided_value_is_finite_and_smooth_where_the_tail_underflows() -> None:
    n = np.arange(5_000.0, 40_000.0, 50.0)
    # Each step of 50 moves the value by a little more or less; a seam between two formulas would show as a jump.
    found = beta_binomial(-0.07 * n, n * 0.09, rho=5.0, below=0.9, above=0.1, one_sided=True)
    second = np.abs(np.diff(found, 2))

    assert np.isfinite(found).all()
    assert second.max() < 1e-3


def test_boundaries_broadcast_over_series_and_reach_their_level() -> None:
    v = np.array([[10.0], [1000.0]])
    rho = np.array([5.0, 50.0, 500.0])
    bound = gamma_poisson_bound(v, rho=rho, alpha=0.01, scale=1.0)

    assert (2, 3) == bound.shape
    assert np.full((2, 3), np.log(100.0)) == pytest.approx(gamma_poisson(bound, v, rho=rho, scale=1.0), abs=1e-8)


def test_a_walk_crosses_its_boundary_less_often_than_alpha() -> None:
    rng = np.random.default_rng(21)
    walks = np.cumsum(rng.normal(size=(2000, 1000)), axis=1)
    bound = normal_mixture_bound(np.arange(1.0, 1001.0), rho=mixture_precision(200.0, alpha=0.05), alpha=0.05)
    crossed = (np.abs(walks) > bound).any(axis=1).mean()

    assert 0.02 < crossed < 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


def test_impossible_settings_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"alpha: got 1\.5"):
        mixture_precision(10.0, alpha=1.5)
    with pytest.raises(ValueError, match="v_min: got 0"):
        stitched_bound(10.0, v_min=0.0, alpha=0.05)
    with pytest.raises(ValueError, match=r"v: found -1\.0"):
        stitched_bound(-1.0, v_min=1.0, alpha=0.05)
