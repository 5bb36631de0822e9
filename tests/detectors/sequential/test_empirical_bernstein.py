"""The empirical-Bernstein sequence against its theorem step by step, published comparisons, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.arrays import Floats
from detectors.sequential import empirical_bernstein

VALUES = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=st.floats(0, 1))


def theorem(x: list[float], alpha: float) -> tuple[float, float]:
    """Theorem 2 of Waudby-Smith and Ramdas 2024 in their terms: v = 4 (x - mean)^2, psi = (-ln(1 - l) - l) / 4."""
    mean, variance, values, squares = 0.5, 0.25, 0.5, 0.25
    bets = weighted = penalty = 0.0
    for t, value in enumerate(x, start=1):
        bet = min(math.sqrt(2 * math.log(2 / alpha) / (variance * t * math.log(t + 1))), 0.5)
        bets += bet
        weighted += bet * value
        penalty += 4 * (value - mean) ** 2 * (-math.log(1 - bet) - bet) / 4
        values += value
        mean = values / (t + 1)
        squares += (value - mean) ** 2
        variance = squares / (t + 1)
    half = (math.log(2 / alpha) + penalty) / bets
    return max(weighted / bets - half, 0.0), min(weighted / bets + half, 1.0)


@settings(max_examples=30)
@given(x=VALUES, alpha=st.floats(0.001, 0.5))
def test_the_last_limits_are_those_of_the_theorem_and_mirror(x: Floats, alpha: float) -> None:
    found, mirrored = (empirical_bernstein(values, confidence=1 - alpha) for values in (x, 1 - x))

    for series, values in enumerate(x.tolist()):
        assert theorem(values, alpha) == pytest.approx((found.lower[series, -1], found.upper[series, -1]), abs=1e-9)
    assert found.lower == pytest.approx(1 - mirrored.upper, abs=1e-9)


@settings(max_examples=30)
@given(x=VALUES, cut=st.integers(0, 40), largest=st.floats(0.1, 100))
def test_a_stream_may_be_cut_anywhere_and_values_have_any_unit(x: Floats, cut: int, largest: float) -> None:
    whole = empirical_bernstein(x)

    first = empirical_bernstein(largest * x[:, :cut], largest=largest)
    second = empirical_bernstein(largest * x[:, cut:], largest=largest, state=first.state)

    for name in ("lower", "upper"):
        parts = np.concatenate([getattr(first, name), getattr(second, name)], axis=1)
        assert largest * getattr(whole, name) == pytest.approx(parts, abs=1e-9 * largest)


@pytest.mark.parametrize(("name", "narrower"), [("verdicts", False), ("beta", True)])
def test_it_is_narrower_than_hoeffdings_for_values_of_small_variance_only_as_published(
    name: str, narrower: bool
) -> None:
    # The comparison of the unit tests of confseq: 50 values, Beta(10, 10) or fair verdicts.
    rng, t = np.random.default_rng(1), np.arange(1, 51)
    x = rng.beta(10, 10, (200, 50)) if name == "beta" else (rng.random((200, 50)) < 0.5).astype(np.float64)
    bet = np.minimum(np.sqrt(8 * np.log(40) / (t * np.log1p(t))), 1)
    hoeffding = 2 * (np.log(40) + np.sum(bet**2 / 8)) / bet.sum()

    found = empirical_bernstein(x)

    assert [narrower] * 200 == ((found.upper - found.lower)[:, -1] < hoeffding).tolist()


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.3), (10, 30), (0.05, 2.0)])
def test_at_most_alpha_of_streams_ever_exclude_the_mean(a: float, b: float) -> None:
    x = np.random.default_rng(2).beta(a, b, (1000, 1000))

    found = empirical_bernstein(x, confidence=0.8)

    assert ((found.lower > a / (a + b)) | (found.upper < a / (a + b))).any(axis=1).mean() < 0.2
    assert (found.upper - found.lower)[:, -1].mean() < 0.2


def test_it_holds_where_means_follow_the_past() -> None:
    # Values that swing between two laws of one mean by what came before: dependent, with a constant conditional mean.
    rng = np.random.default_rng(3)
    x = np.empty((1000, 400))
    wide = np.zeros(1000, dtype=bool)
    for step in range(400):
        x[:, step] = np.where(wide, rng.random(1000) < 0.3, rng.uniform(0.2, 0.4, 1000))
        wide = x[:, step] > 0.3
    found = empirical_bernstein(x, confidence=0.8)

    assert ((found.lower > 0.3) | (found.upper < 0.3)).any(axis=1).mean() < 0.2


def test_the_share_of_all_decisions_is_held_where_review_follows_the_verdict_and_the_labels_alone_mislead() -> None:
    rng = np.random.default_rng(4)
    violating = rng.random((300, 3000)) < 0.3
    pi = np.where(violating ^ (rng.random((300, 3000)) < 0.2), 0.5, 0.1)
    seen = rng.random((300, 3000)) < pi

    found = empirical_bernstein(np.where(seen & violating, 1 / pi, 0.0), largest=10.0)

    assert ((found.lower > 0.3) | (found.upper < 0.3)).any(axis=1).mean() <= 0.05
    assert (found.upper - found.lower)[:, -1].max() < 0.4
    assert violating[seen].mean() > 0.45


def test_one_value_says_little_and_none_leaves_the_state() -> None:
    found = empirical_bernstein([[1.0], [0.0]])
    again = empirical_bernstein(np.empty((2, 0)), state=found.state)

    assert ([0.0, 0.0], [1.0, 1.0]) == (found.lower[:, 0].tolist(), found.upper[:, 0].tolist())
    assert (2, 0) == again.lower.shape
    assert again.state is found.state


def test_what_it_cannot_use_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"x / largest: found 1\.1"):
        empirical_bernstein([0.5, 1.1])
    with pytest.raises(ValueError, match="x / largest: found nan"):
        empirical_bernstein([np.nan])
    with pytest.raises(ValueError, match="largest: got 0"):
        empirical_bernstein([0.5], largest=0.0)
    with pytest.raises(ValueError, match="a single number"):
        empirical_bernstein(0.5)
