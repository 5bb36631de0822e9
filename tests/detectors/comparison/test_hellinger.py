"""Hellinger distance against the Bhattacharyya coefficient, the distance of two normals, and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors.comparison import hellinger, total_variation

COUNTS = st.lists(st.integers(0, 3000), min_size=6, max_size=6).filter(any)


@given(p=COUNTS, q=COUNTS)
def test_its_square_and_the_bhattacharyya_coefficient_add_up_to_one(p: list[int], q: list[int]) -> None:
    coefficient = np.sqrt(np.array(p) / sum(p) * np.array(q) / sum(q)).sum()

    assert 1.0 == pytest.approx(float(hellinger(p, q).statistic) ** 2 + coefficient, abs=1e-12)


@given(p=COUNTS, q=COUNTS)
def test_it_bounds_total_variation_from_both_sides(p: list[int], q: list[int]) -> None:
    distance, variation = float(hellinger(p, q).statistic), float(total_variation(p, q).statistic)

    assert distance**2 - 1e-12 <= variation <= np.sqrt(2) * distance + 1e-12


def test_on_fine_bins_it_is_the_distance_of_two_normal_distributions() -> None:
    edges = np.linspace(-12, 12, 4001)
    p, q = np.diff(stats.norm.cdf(edges)), np.diff(stats.norm.cdf(edges, 1.0, 1.5))
    closed = 1 - np.sqrt(2 * 1.5 / (1 + 1.5**2)) * np.exp(-1 / (4 * (1 + 1.5**2)))

    assert np.sqrt(closed) == pytest.approx(float(hellinger(1e9 * p, 1e9 * q).statistic), abs=1e-5)


@pytest.mark.parametrize(("n", "m"), [(400, 400), (20_000, 1000)])
def test_without_a_shift_it_rejects_as_often_as_stated(n: int, m: int) -> None:
    rng = np.random.default_rng(14)
    shares = rng.dirichlet(np.full(8, 30.0))

    found = hellinger(rng.multinomial(n, shares, 20_000), rng.multinomial(m, shares, 20_000))

    assert 0.045 <= np.mean(found.p_value < 0.05) <= 0.06


def test_it_asks_for_twenty_observations_in_the_thinnest_bin() -> None:
    reference = 10**6 * np.array([0.5, 0.49, 0.009, 0.001])

    assert 20_000 == pytest.approx(float(hellinger(reference, 1e-6 * reference).minimum_sample))
    assert hellinger([250_000] * 4, [1] * 4).minimum_sample < 200
