"""Ratios against the linearised variance over single labels, and against simulation with known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.estimation import Reason, ratio, ratio_from_labels

LABEL = st.tuples(st.floats(-50, 50), st.floats(0.5, 50), st.floats(0.01, 1))


@settings(max_examples=40)
@given(labels=st.lists(LABEL, min_size=1, max_size=30))
def test_sums_give_the_variance_of_the_residuals_over_single_labels(labels: list[tuple[float, float, float]]) -> None:
    u, v, pi = np.array(labels).T
    r = (u / pi).sum() / (v / pi).sum()
    residual = (u - r * v) / (v / pi).sum()

    found = ratio_from_labels(u, v, pi)

    assert float(found.estimate) == pytest.approx(r, abs=1e-9)
    assert float(found.variance) == pytest.approx(np.sum((1 - pi) * (residual / pi) ** 2), rel=1e-6, abs=1e-7)


def test_estimates_and_their_variance_agree_with_repeated_sampling() -> None:
    rng = np.random.default_rng(8)
    views = rng.lognormal(1.0, 0.6, 2000)
    harm = views * (rng.random(2000) < 0.3)
    pi = np.clip(0.05 + 0.01 * views, 0, 1)
    drawn = rng.random((3000, 2000)) < pi
    spread = (1 - pi) / pi**2

    found = ratio(
        drawn @ (harm / pi),
        drawn @ (views / pi),
        numerator_variance=drawn @ (spread * harm**2),
        denominator_variance=drawn @ (spread * views**2),
        covariance=drawn @ (spread * harm * views),
        labels=drawn.sum(axis=1),
    )

    assert found.estimate.mean() == pytest.approx(harm.sum() / views.sum(), rel=0.01)
    assert found.estimate.var() == pytest.approx(found.variance.mean(), rel=0.06)


def test_no_labels_and_an_empty_denominator_are_told_apart() -> None:
    found = ratio([0, 0, 1], [0, 0, 2], numerator_variance=1, denominator_variance=1, covariance=0.5, labels=[0, 3, 3])

    assert [Reason.NO_LABELS, Reason.EMPTY_DENOMINATOR, Reason.IDENTIFIED] == found.reason.tolist()
    assert [True, True, False] == np.isnan(found.estimate).tolist()
    assert 0.5 == found.estimate[2]


def test_the_variance_of_a_ratio_that_hardly_varies_is_that_of_its_residuals() -> None:
    rng = np.random.default_rng(3)
    u, v, pi = 1e8 + rng.normal(size=200), np.ones(200), np.full(200, 0.2)
    # Taking 1e8 off is exact for the residuals.
    away = u - 1e8
    residual = away - away.mean()

    found = ratio_from_labels(u, v, pi)

    assert float(found.variance) == pytest.approx(np.sum(0.8 / 0.04 * residual**2) / 1000.0**2, rel=1e-6)


def test_covariances_that_no_labels_have_and_totals_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"covariance: found 50\.0, allowed is at most 1\.0"):
        ratio(5.0, 10.0, numerator_variance=1.0, denominator_variance=1.0, covariance=50.0, labels=3)
    with pytest.raises(ValueError, match="numerator: found 5"):
        ratio(5.0, 0.0, numerator_variance=1.0, denominator_variance=1.0, covariance=0.5, labels=0)
    assert not ratio_from_labels([], [], []).estimate >= 0
