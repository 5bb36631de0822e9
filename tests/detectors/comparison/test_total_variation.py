"""Total variation against its other definition, and its bound against simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.comparison import total_variation

COUNTS = st.lists(st.integers(0, 100), min_size=5, max_size=5).filter(any)


@settings(max_examples=50)
@given(p=COUNTS, q=COUNTS)
def test_it_is_the_largest_difference_over_all_sets_of_bins(p: list[int], q: list[int]) -> None:
    difference = np.array(p) / sum(p) - np.array(q) / sum(q)
    sets = itertools.chain.from_iterable(itertools.combinations(range(5), size) for size in range(6))
    largest = max(difference[list(chosen)].sum() for chosen in sets)

    assert largest == pytest.approx(float(total_variation(p, q).statistic), abs=1e-12)


@pytest.mark.parametrize("n", [3, 20, 500])
@pytest.mark.parametrize("bins", [2, 3, 30])
def test_its_p_value_is_an_upper_bound_at_any_sample_size(n: int, bins: int) -> None:
    rng = np.random.default_rng(15)
    shares = rng.dirichlet(np.ones(bins))
    found = total_variation(rng.multinomial(n, shares, 20_000), rng.multinomial(2 * n, shares, 20_000))

    for alpha in (0.5, 0.2, 0.05):
        assert np.mean(found.p_value <= alpha) <= alpha


def test_disjoint_histograms_are_significant_once_there_is_enough_of_them() -> None:
    found = total_variation([[4, 0], [100, 0]], [[0, 4], [0, 100]])

    assert [1.0, 1.0] == found.statistic.tolist()
    assert found.p_value[0] > 0.05 > 1e-10 > found.p_value[1]
