"""Shares of a page budget against their bounds and against a numerical optimiser of the mean delay."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize

from detectors.multiplicity import delay_weights, page_shares

CHARTS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 100)), min_size=1, max_size=20)


def test_charts_share_alike_unless_told() -> None:
    assert [2.0, 2.0, 2.0] == page_shares(6.0, [1e3, 1e5, 1e7]).tolist()
    assert [1.0, 2.0, 3.0] == page_shares(6.0, [1e5, 1e5, 1e5], weights=[1, 2, 3]).tolist()


@given(CHARTS, st.floats(0.01, 100), st.floats(1, 1000))
@example([(0.0, 2.0), (1.0, 5e-324)], 1.0, 1.0)
@example([(1.0, 1e100), (1.0, 1e-300)], 1.5, 1.0)
def test_shares_keep_budget_and_caps_and_leave_nothing_over(
    charts: list[tuple[float, float]], budget: float, shortest: float
) -> None:
    observations, weights = (np.array(column) for column in zip(*charts, strict=True))

    share = page_shares(budget, observations, weights=weights, shortest_run_length=shortest)

    most = np.where(weights > 0, observations / shortest, 0.0)
    assert np.all((share >= 0) & (share <= most * (1 + 1e-9)))
    assert min(budget, most.sum()) == pytest.approx(share.sum(), rel=1e-6, abs=1e-12)
    below = (share < most * (1 - 1e-6)) & (weights > 1e-6)
    if below.sum() > 1:
        proportion = share[below] / weights[below]
        assert proportion == pytest.approx(np.full(below.sum(), proportion[0]), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("shortest", [1.0, 2000.0])
def test_delay_weights_give_the_least_mean_delay_that_an_optimiser_finds(shortest: float) -> None:
    rng = np.random.default_rng(3)
    observations, information = rng.lognormal(8, 1, 6), rng.uniform(0.002, 0.02, 6)
    importance, budget = rng.uniform(1, 3, 6), 2.0

    def mean_delay(share: np.ndarray) -> float:
        return float(np.sum(importance * np.log(observations / share) / (information * observations)))

    most = observations / shortest
    found: Any = minimize(
        mean_delay,
        np.minimum(most, budget / 6) * 0.9,
        bounds=[(1e-6, float(limit)) for limit in most],
        constraints=LinearConstraint(np.ones((1, 6)), ub=budget),
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    weights = delay_weights(observations, information=information, importance=importance)
    share = page_shares(budget, observations, weights=weights, shortest_run_length=shortest)

    assert found.fun == pytest.approx(mean_delay(share), rel=1e-5)
    assert mean_delay(share) < mean_delay(page_shares(budget, observations, shortest_run_length=shortest))
    assert (shortest > 1) == bool(np.isclose(share, most).any())


def test_charts_without_observations_get_nothing_and_take_nothing() -> None:
    observations = [0.0, 1e5, 1e5]

    assert [0.0, 3.0, 3.0] == page_shares(6.0, observations).tolist()
    assert [0.0, 3.0, 3.0] == page_shares(6.0, observations, weights=delay_weights(observations)).tolist()


@pytest.mark.parametrize(
    ("budget", "observations", "options", "message"),
    [
        (0.0, [1.0], {}, "budget: got 0.0"),
        (np.nan, [1.0], {}, "budget: got nan"),
        (1.0, [np.nan], {}, "observations: found nan at position 0"),
        (1.0, [-1.0], {}, "observations: found -1.0 at position 0"),
        (1.0, 5.0, {}, r"observations: got an array of shape \(\)"),
        (1.0, [1.0], {"weights": [-1.0]}, "weights: found -1.0"),
        (1.0, [1.0], {"shortest_run_length": 0.5}, "shortest_run_length: got 0.5"),
    ],
)
def test_what_is_no_budget_is_refused(
    budget: float, observations: object, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        page_shares(budget, observations, **options)  # type: ignore[arg-type]


def test_a_change_without_information_is_refused() -> None:
    with pytest.raises(ValueError, match=r"information: found 0\.0"):
        delay_weights([1.0], information=0.0)
