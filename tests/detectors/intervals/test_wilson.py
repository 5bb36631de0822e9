"""Wilson intervals against Newcombe's table, R's values and SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.intervals import wilson


@pytest.mark.parametrize(
    ("k", "n", "lower", "upper"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (3, 10, 0.1077913, 0.6032219),
        (100, 200, 0.4313609, 0.5686391),
    ],
)
def test_published_intervals_are_reproduced_to_the_digits_printed(k: int, n: int, lower: float, upper: float) -> None:
    found = wilson(k, n)

    digits = max(len(str(lower)), len(str(upper))) - 2
    assert (lower, upper) == (round(float(found.lower), digits), round(float(found.upper), digits))


@settings(max_examples=50)
@given(n=st.integers(1, 10_000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_whole_counts_agree_with_scipy(n: int, share: float, confidence: float) -> None:
    k = round(n * share)
    expected = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")

    found = wilson(k, n, confidence=confidence)

    assert (expected.low, expected.high) == pytest.approx((float(found.lower), float(found.upper)), abs=1e-12)


@given(n=st.floats(0.01, 1e7), share=st.floats(0, 1))
def test_limits_of_an_effective_sample_enclose_the_estimate_and_stay_in_the_unit_interval(
    n: float, share: float
) -> None:
    found = wilson(n * share, n)

    assert 0 <= found.lower <= share + 1e-9
    assert share - 1e-9 <= found.upper <= 1


def test_the_limits_of_no_and_of_all_successes_are_exact() -> None:
    found = wilson([0.0, 33.3], [33.3, 33.3])

    assert 0.0 == found.lower[0]
    assert 1.0 == found.upper[1]


def test_no_observations_give_no_interval_and_do_not_disturb_the_other_series() -> None:
    found = wilson([0, 3], [0, 10])

    assert np.isnan([found.lower[0], found.upper[0]]).all()
    assert 0.1077913 == round(float(found.lower[1]), 7)


def test_rounding_just_above_n_is_not_an_error() -> None:
    assert 1.0 == wilson(np.nextafter(50.0, 51.0), 50.0).upper


@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (0, -1), (1, float("inf"))])
def test_impossible_counts_are_refused(k: float, n: float) -> None:
    with pytest.raises(ValueError, match=r"successes|observations"):
        wilson(k, n)


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_an_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="0 < confidence < 1"):
        wilson(1, 2, confidence=confidence)
