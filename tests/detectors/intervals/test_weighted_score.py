"""The weighted score interval against binomial ones, a root finder, and simulation with known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from detectors.estimation import hajek
from detectors.intervals import modified_wilson, weighted_score

WEIGHTS = st.lists(st.floats(1, 200), max_size=12)
MANY = st.lists(st.floats(1, 2), min_size=14, max_size=40)


def sums(weights: list[float]) -> tuple[float, float]:
    return float(np.sum(weights)), float(np.sum(np.square(weights)))


@settings(max_examples=40)
@given(k=st.integers(0, 300), misses=st.integers(0, 300), weight=st.floats(1, 1e4))
def test_equal_weights_give_the_binomial_interval_whatever_their_size(k: int, misses: int, weight: float) -> None:
    expected = modified_wilson(k, k + misses)

    found = weighted_score(
        k * weight, misses * weight, square_violating=k * weight**2, square_benign=misses * weight**2
    )

    assert found.lower == pytest.approx(expected.lower, abs=1e-12, nan_ok=True)
    assert found.upper == pytest.approx(expected.upper, abs=1e-12, nan_ok=True)


@settings(max_examples=40)
@given(violating=MANY, benign=MANY, typical=st.floats(1, 2))
def test_limits_are_the_roots_of_the_score_equation_of_typical_labels(
    violating: list[float], benign: list[float], typical: float
) -> None:
    (a, a2), (b, b2) = sums(violating), sums(benign)
    z = stats.norm.ppf(0.95)
    mean = (a2 + b2) / (a + b)
    g_violating = (a2 + 0.5 * mean**2) / (a + 0.5 * mean)
    g_benign = (b2 + 20 * typical**2) / (b + 20 * typical)

    def excess(p: float) -> float:
        # Counts of labels that all weigh what is typical of their verdict, in a population with the share p.
        x, y = a / g_violating, b / g_benign
        q = p / g_violating / (p / g_violating + (1 - p) / g_benign)
        return float((x - (x + y) * q) ** 2 - z**2 * (x + y) * q * (1 - q))

    found = weighted_score(a, b, square_violating=a2, square_benign=b2, typical_benign=typical, confidence=0.9)

    assert float(found.lower) == pytest.approx(optimize.brentq(excess, 0, a / (a + b), xtol=1e-14), abs=1e-9)
    assert float(found.upper) == pytest.approx(optimize.brentq(excess, a / (a + b), 1, xtol=1e-14), abs=1e-9)


@settings(max_examples=40)
@given(violating=WEIGHTS, benign=WEIGHTS.filter(bool))
def test_exchanging_the_verdicts_mirrors_the_interval(violating: list[float], benign: list[float]) -> None:
    (a, a2), (b, b2) = sums(violating), sums(benign)

    found = weighted_score(a, b, square_violating=a2, square_benign=b2)
    mirrored = weighted_score(b, a, square_violating=b2, square_benign=a2)

    assert float(found.lower) == pytest.approx(1 - float(mirrored.upper), abs=1e-9)
    assert 0 <= found.lower <= a / (a + b) <= found.upper <= 1


def test_series_without_labels_are_undefined_and_ends_are_exact() -> None:
    found = weighted_score(
        [0.0, 0.0, 30.0], [0.0, 20.0, 0.0], square_violating=[0.0, 0.0, 90.0], square_benign=[0.0, 40.0, 0.0]
    )

    assert [True, False, False] == np.isnan(found.lower).tolist() == np.isnan(found.upper).tolist()
    assert (0.0, 1.0) == (found.lower[1], found.upper[2])


def test_with_many_labels_it_is_the_estimate_and_its_standard_error() -> None:
    sums = {"square_violating": 9e7, "square_benign": 4e8}
    estimate = hajek(6e6, 2e6, **sums, correction_violating=0.0, correction_benign=0.0)

    found = weighted_score(6e6, 2e6, **sums)

    half = 1.959964 * float(np.sqrt(estimate.variance))
    assert float(found.lower) == pytest.approx(0.75 - half, abs=0.01 * half)
    assert float(found.upper) == pytest.approx(0.75 + half, abs=0.01 * half)


def test_weights_without_squares_have_no_interval() -> None:
    found = weighted_score([8.0, 8.0], [2.0, 2.0], square_violating=[0.0, 8.0], square_benign=[0.0, 2.0])

    assert [True, False] == np.isnan(found.lower).tolist() == np.isnan(found.upper).tolist()


def test_an_unknown_typical_weight_is_as_good_as_none() -> None:
    expected = weighted_score([40.0], [5.0], square_violating=[400.0], square_benign=[10.0])
    found = weighted_score(
        [40.0], [5.0], square_violating=[400.0], square_benign=[10.0], typical_violating=[np.nan], typical_benign=np.nan
    )

    assert (expected.lower.tolist(), expected.upper.tolist()) == (found.lower.tolist(), found.upper.tolist())


@pytest.mark.parametrize(
    ("name", "bad"), [("square_benign", np.nan), ("typical_benign", 0.0), ("typical_violating", -1)]
)
def test_an_impossible_sum_or_weight_is_refused_by_name(name: str, bad: float) -> None:
    arguments = {"square_violating": 1.0, "square_benign": 1.0, name: bad}

    with pytest.raises(ValueError, match=f"{name}: found .*, allowed are finite numbers"):
        weighted_score(1.0, 1.0, **arguments)


def test_typical_weights_restore_coverage_where_benign_labels_are_few_and_heavy() -> None:
    rng = np.random.default_rng(11)
    weights, benign_rate, expected = (
        np.array([1.0, 3.0, 20.0]),
        np.array([0.003, 0.01, 0.06]),
        np.array([800, 60, 10.0]),
    )
    benign = rng.poisson(expected * benign_rate, (20_000, 3))
    violating = rng.poisson(expected * (1 - benign_rate), (20_000, 3))
    mass = weights * expected
    precision = 1 - mass @ benign_rate / mass.sum()
    seen = {
        "square_violating": violating @ weights**2,
        "square_benign": benign @ weights**2,
    }
    typical = {
        "typical_violating": mass * (1 - benign_rate) @ weights / (mass @ (1 - benign_rate)),
        "typical_benign": mass * benign_rate @ weights / (mass @ benign_rate),
    }

    blind = weighted_score(violating @ weights, benign @ weights, **seen)
    told = weighted_score(violating @ weights, benign @ weights, **seen, **typical)

    assert np.mean((blind.lower <= precision) & (precision <= blind.upper)) < 0.91
    # One label of typical weight is expected: whole labels leave no coverage nearer to 95 %.
    assert 0.93 < np.mean((told.lower <= precision) & (precision <= told.upper)) < 0.98


def test_one_verdict_without_squares_is_enough_for_no_interval() -> None:
    damaged = weighted_score([40.0, 40.0], [5.0, 5.0], square_violating=[400.0, 0.0], square_benign=[0.0, 10.0])
    assert np.isnan([damaged.lower, damaged.upper]).all()
    rest = weighted_score(40.0, 1e-12, square_violating=400.0, square_benign=0.0)
    assert rest.upper > 0.99
