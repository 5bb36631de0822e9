"""PSI against published values, SciPy's entropy, and its sampling law by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors.comparison import psi

COUNTS = st.lists(st.integers(1, 5000), min_size=2, max_size=30)


def test_halves_against_quarters_give_the_published_index() -> None:
    assert 0.2746531 == round(float(psi([500, 500], [250, 750], pseudo_count=0).statistic), 7)


def test_the_counts_of_the_chi_square_example_give_the_published_index_and_p_value() -> None:
    found = psi([120, 100, 80, 60, 40], [100, 90, 90, 70, 50], pseudo_count=0)

    assert 0.0241270 == round(float(found.statistic), 7)
    assert 4.8254 == round(float(found.statistic) / (1 / 400 + 1 / 400), 4)
    assert 0.3056857 == round(float(found.p_value), 7)


@pytest.mark.parametrize(
    ("n", "m", "bins", "threshold"),
    [
        (100, 100, 10, 0.33838),
        (200, 200, 10, 0.16919),
        (500, 500, 10, 0.06768),
        (1000, 1000, 10, 0.03384),
        (10_000, 200, 10, 0.08629),
        (10_000, 1000, 10, 0.01861),
        (400, 400, 20, 0.15072),
        (100_000, 10_000, 10, 0.00186),
    ],
)
def test_the_five_percent_threshold_is_the_published_one(n: int, m: int, bins: int, threshold: float) -> None:
    found = psi(np.full(bins, n / bins), np.full(bins, m / bins))

    assert threshold == round(float(found.threshold), 5)


@given(data=st.data(), reference=COUNTS)
def test_the_index_is_the_symmetric_relative_entropy(data: st.DataObject, reference: list[int]) -> None:
    size = len(reference)
    current = data.draw(st.lists(st.integers(1, 5000), min_size=size, max_size=size))
    expected = stats.entropy(reference, current) + stats.entropy(current, reference)

    assert expected == pytest.approx(float(psi(reference, current, pseudo_count=0).statistic), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("n", "above_a_tenth"), [(100, 0.800), (200, 0.327), (1000, 0.0)])
def test_without_a_shift_the_test_keeps_its_size_and_the_rule_of_a_tenth_does_not(n: int, above_a_tenth: float) -> None:
    rng = np.random.default_rng(20)
    reference = rng.multinomial(n, np.full(10, 0.1), 20_000)
    current = rng.multinomial(n, np.full(10, 0.1), 20_000)

    found = psi(reference, current)

    rejected = np.mean(found.p_value < 0.05)
    assert 0.04 - 0.004 <= rejected <= 0.06
    assert rejected == np.mean(found.statistic > found.threshold)
    assert above_a_tenth == pytest.approx(np.mean(found.statistic > 0.1), abs=0.012)


def test_at_a_thousand_observations_a_side_the_size_is_between_four_and_six_percent() -> None:
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.full(10, 20.0))

    found = psi(rng.multinomial(1000, shares, 20_000), rng.multinomial(1000, shares, 20_000))

    assert 0.04 <= np.mean(found.p_value < 0.05) <= 0.06


def test_bins_empty_on_both_sides_change_nothing() -> None:
    plain = psi([5, 9, 20], [8, 2, 14])
    padded = psi([0, 5, 9, 0, 20, 0], [0, 8, 2, 0, 14, 0])

    assert (plain.statistic, plain.p_value, plain.threshold) == (padded.statistic, padded.p_value, padded.threshold)


def test_a_bin_empty_on_one_side_is_infinite_only_without_a_pseudo_count() -> None:
    assert np.inf == psi([10, 10], [20, 0], pseudo_count=0).statistic
    assert 0.0 == psi([10, 10], [20, 0], pseudo_count=0).p_value
    assert np.isfinite(psi([10, 10], [20, 0]).statistic)


def test_one_bin_offers_no_test() -> None:
    found = psi([7, 0], [9, 0])

    assert 0.0 == found.statistic
    assert np.isnan([found.p_value, found.threshold]).all()


@pytest.mark.parametrize("pseudo_count", [-0.5, float("nan"), float("inf")])
def test_an_impossible_pseudo_count_is_refused(pseudo_count: float) -> None:
    with pytest.raises(ValueError, match="pseudo_count"):
        psi([1, 2], [2, 1], pseudo_count=pseudo_count)
