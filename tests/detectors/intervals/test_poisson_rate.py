"""The interval of a rate against SciPy's quantiles, published bounds and the coverage it promises."""

import numpy as np
import pytest
from scipy import stats

from detectors.intervals import poisson_rate


def test_limits_are_the_chi_square_quantiles_of_garwood() -> None:
    events = np.array([1, 2, 7, 50, 3000])

    found = poisson_rate(events, 1000.0, confidence=0.9)

    np.testing.assert_allclose(found.lower, stats.chi2.ppf(0.05, 2 * events) / 2000.0, rtol=1e-10)
    np.testing.assert_allclose(found.upper, stats.chi2.ppf(0.95, 2 * events + 2) / 2000.0, rtol=1e-10)


def test_published_limits_of_a_count() -> None:
    """Garwood's table as textbooks print it: 10 events, 95 %: 4.795 to 18.39; none: 0 to 3.689."""
    found = poisson_rate([0, 10], 1.0)

    assert [0.0, 4.795] == found.lower.round(3).tolist()
    assert [3.689, 18.39] == found.upper.round(3).tolist()


def test_no_alarm_in_half_a_million_is_fewer_than_one_in_167_thousand() -> None:
    found = poisson_rate(0, [500_000, 200_000])

    assert [167_000.0, 67_000.0] == found.mean_between_lower.round(-3).tolist()
    assert np.isnan(found.mean_between).all()
    assert [0.0, 0.0] == found.rate.tolist()


@pytest.mark.parametrize("mean", [0.5, 3.0, 20.0])
def test_limits_cover_at_least_as_often_as_they_say(mean: float) -> None:
    counts = np.arange(200)
    found = poisson_rate(counts, 1.0)
    probability = stats.poisson.pmf(counts, mean)

    two_sided = probability[(found.lower <= mean) & (mean <= found.upper)].sum()
    gap = probability[found.mean_between_lower <= 1.0 / mean].sum()

    assert 0.95 <= two_sided
    assert 0.95 <= gap


def test_without_exposure_nothing_is_known() -> None:
    found = poisson_rate(0, 0)

    assert np.isnan([found.rate, found.lower, found.upper, found.mean_between, found.mean_between_lower]).all()


@pytest.mark.parametrize(("events", "exposure"), [(-1, 10), (1, float("inf")), (float("nan"), 10)])
def test_counts_and_exposures_are_finite_and_not_negative(events: float, exposure: float) -> None:
    with pytest.raises(ValueError, match=r"allowed are finite numbers >= 0"):
        poisson_rate(events, exposure)
