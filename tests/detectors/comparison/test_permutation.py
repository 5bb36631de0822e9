"""The permutation test against exact enumeration, its size, and SciPy."""

import itertools
from functools import partial

import numpy as np
import pytest
from scipy import stats

from detectors.comparison import chi_square, ks, permutation_test, psi, wasserstein

WASSERSTEIN = partial(wasserstein, edges=np.linspace(0, 1, 5))


def test_it_agrees_with_going_through_every_split() -> None:
    values = np.array([0, 0, 1, 2, 2, 3, 1, 3, 3, 3])
    counts = [np.bincount(part, minlength=4) for part in (values[:6], values[6:])]
    observed = float(WASSERSTEIN(*counts).statistic)
    splits = list(itertools.combinations(range(10), 4))
    reached = []
    for chosen in splits:
        inside = np.isin(np.arange(10), chosen)
        split = [np.bincount(values[part], minlength=4) for part in (~inside, inside)]
        reached.append(float(WASSERSTEIN(*split).statistic) >= observed - 1e-12)

    found = permutation_test(WASSERSTEIN, *counts, generator=np.random.default_rng(18), draws=20_000)

    assert np.mean(reached) == pytest.approx(float(found.p_value), abs=0.01)


@pytest.mark.parametrize("n", [3, 20])
def test_its_p_value_keeps_its_level_where_no_law_holds(n: int) -> None:
    rng = np.random.default_rng(19)
    pair = rng.multinomial(n, [0.9, 0.05, 0.03, 0.02], 2000), rng.multinomial(4 * n, [0.9, 0.05, 0.03, 0.02], 2000)

    for method in (WASSERSTEIN, chi_square):
        found = permutation_test(method, *pair, generator=rng, draws=99)

        assert np.mean(found.p_value <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
        np.testing.assert_array_equal(found.p_value <= 0.05, found.statistic > found.threshold)


def test_it_takes_back_what_binning_takes_from_kolmogorov_and_smirnov() -> None:
    rng = np.random.default_rng(20)
    pair = rng.multinomial(200, np.full(20, 0.05), 1500), rng.multinomial(200, np.full(20, 0.05), 1500)

    plain = np.mean(ks(*pair).p_value <= 0.05)
    permuted = np.mean(permutation_test(ks, *pair, generator=rng, draws=99).p_value <= 0.05)

    assert plain < 0.035 < permuted <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_wasserstein_has_its_power_at_the_minimum_sample() -> None:
    rng = np.random.default_rng(21)
    edges = np.linspace(-4, 4, 33)
    shares = [np.diff(stats.norm.cdf(edges, shift)) for shift in (0.0, 0.25)]
    shares = [share / share.sum() for share in shares]
    method = partial(wasserstein, edges=edges)
    m = int(method(10_000 * shares[0], shares[1], smallest_effect=0.25).minimum_sample)
    pair = rng.multinomial(10_000, shares[0], 400), rng.multinomial(m, shares[1], 400)

    power = np.mean(permutation_test(method, *pair, generator=rng, draws=99).p_value <= 0.05)

    assert 0.74 <= power <= 0.86


def test_an_empty_side_is_undefined() -> None:
    found = permutation_test(ks, [0, 0], [[3, 2], [0, 0]], generator=np.random.default_rng(22), draws=19)

    assert np.isnan([found.p_value, found.threshold]).all()


def test_the_same_generator_gives_the_same() -> None:
    counts = np.random.default_rng(23).multinomial(50, np.full(64, 1 / 64), (2, 30))
    first, second = (
        permutation_test(ks, *counts, generator=np.random.default_rng(24), draws=599).p_value for _ in range(2)
    )

    assert (30,) == first.shape
    np.testing.assert_array_equal(first, second)


def test_too_few_draws_and_weighted_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="draws: got 18, allowed is at least 19"):
        permutation_test(ks, [1, 2], [2, 1], generator=np.random.default_rng(0), draws=18)
    with pytest.raises(ValueError, match="found a fraction"):
        permutation_test(ks, [1, 2.5], [2, 1], generator=np.random.default_rng(0))


def test_an_infinite_statistic_that_every_split_has_is_no_evidence() -> None:
    method = partial(psi, pseudo_count=0)

    found = permutation_test(method, [1000, 1], [1000, 0], generator=np.random.default_rng(23))
    # The single observation of the second bin falls to one side in every split: the index is infinite in all.
    assert (np.inf, 1.0) == (float(found.statistic), float(found.p_value))

    rare = permutation_test(method, [90, 10], [100, 0], generator=np.random.default_rng(24))
    assert stats.hypergeom.pmf(0, 200, 10, 100) + stats.hypergeom.pmf(10, 200, 10, 100) == pytest.approx(
        float(rare.p_value), abs=0.003
    )
