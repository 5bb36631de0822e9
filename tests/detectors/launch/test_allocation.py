"""Allocation: no feasible move of labels does better; second moments beside simulated labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.launch import allocate, precision_second_moment, recall_second_moment

STRATA = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def drawn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float, float]:
    size = rng.integers(0, 1000, 6).astype(float) + 1
    moment = rng.choice([0.0, 0.01, 0.2, 1.0], 6) * rng.random(6)
    floor = float(rng.uniform(0.01, 0.2))
    return size, moment, floor, float(rng.uniform(floor, 1.0) * size.sum())


@settings(max_examples=40)
@given(STRATA)
def test_no_feasible_move_of_labels_lowers_the_variance(rng: np.random.Generator) -> None:
    size, moment, floor, budget = drawn(rng)
    pi = allocate(budget, size=size, second_moment=moment, floor=floor)
    assert pytest.approx(budget) == size @ pi
    assert np.all((pi >= floor) & (pi <= 1))

    least = (size * moment / pi).sum()
    for _ in range(30):
        gives, takes = rng.choice(6, 2, replace=False)
        most = min(size[gives] * (pi[gives] - floor), size[takes] * (1 - pi[takes]))
        other = pi.copy()
        moved = most * rng.random()
        other[gives] -= moved / size[gives]
        other[takes] += moved / size[takes]
        assert (size * moment / other).sum() >= least * (1 - 1e-9)


@settings(max_examples=50)
@given(STRATA)
def test_more_labels_leave_no_stratum_with_fewer(rng: np.random.Generator) -> None:
    size, moment, floor, budget = drawn(rng)
    more = float(rng.uniform(budget, size.sum()))

    small = allocate(budget, size=size, second_moment=moment, floor=floor)
    large = allocate(more, size=size, second_moment=moment, floor=floor)

    assert np.all(large >= small - 1e-9)


def test_without_bounds_in_reach_it_is_neymans_allocation() -> None:
    size, spread = np.array([100.0, 300.0, 600.0]), np.array([0.5, 0.3, 0.1])

    labels = size * allocate(50, size=size, second_moment=spread**2, floor=0.001)

    assert np.allclose(50 * size * spread / (size @ spread), labels)


@pytest.mark.parametrize("recall", [False, True])
def test_the_second_moments_are_those_of_simulated_labels(recall: bool) -> None:
    y = np.random.default_rng(1).random((100_000, 2)) < [0.9, 0.2]
    a = np.array([1.0, 0.0])
    simulated = ((y * (a - 0.7)) ** 2 if recall else (y - 0.7) ** 2).mean(axis=0)

    rates = y.mean(axis=0)
    stated = (
        recall_second_moment(rates, acted=a, recall=0.7) if recall else precision_second_moment(rates, precision=0.7)
    )

    assert np.allclose(simulated, stated)


@pytest.mark.parametrize("budget", [0.5, 101.0, float("nan")])
def test_a_budget_that_cannot_be_met_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="budget"):
        allocate(budget, size=[100.0], second_moment=[1.0], floor=0.01)


@pytest.mark.parametrize("bad", [7.0, -0.1, float("nan")])
def test_a_rate_outside_its_range_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="precision: found"):
        precision_second_moment(0.5, precision=bad)
    with pytest.raises(ValueError, match="recall: found"):
        recall_second_moment(0.5, acted=1, recall=bad)
