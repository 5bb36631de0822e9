"""Every binomial interval against published values, SciPy, exact coverage and the properties that all share."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.intervals import Interval, clopper_pearson, jeffreys, mid_p, wilson, wilson_continuity

METHODS: Final[tuple[Callable[..., Interval], ...]] = (clopper_pearson, jeffreys, mid_p, wilson, wilson_continuity)

NEWCOMBE: Final = {
    wilson: (".2553 .3662", ".0624 .1605", ".0000 .1611", ".0061 .1718"),
    clopper_pearson: (".2527 .3676", ".0578 .1617", ".0000 .1684", ".0009 .1776"),
    mid_p: (".2544 .3658", ".0601 .1581", ".0000 .1391", ".0017 .1585"),
    jeffreys: (".2545 .3656", ".0604 .1576", ".0000 .1166", ".0037 .1501"),
    wilson_continuity: (".2535 .3682", ".0598 .1644", ".0000 .2005", ".0018 .1963"),
}
SAMPLES: Final = ((81, 263), (15, 148), (0, 20), (1, 29))


def printed(value: float, like: str) -> str:
    """`value` with as many decimals as `like` has."""
    return f"{value:.{len(like.partition('.')[2])}f}".removeprefix("0" if like.startswith(".") else "")


@pytest.mark.parametrize(
    ("method", "k", "n", "limits"),
    [
        (method, *sample, limits)
        for method, rows in NEWCOMBE.items()
        for sample, limits in zip(SAMPLES, rows, strict=True)
    ],
)
def test_newcombes_first_table_is_reproduced(method: Callable[..., Interval], k: int, n: int, limits: str) -> None:
    low, high = limits.split()

    found = method(k, n)

    assert (low, high) == (printed(float(found.lower), low), printed(float(found.upper), high))


@pytest.mark.parametrize(
    ("method", "k", "n", "confidence", "low", "high"),
    [
        (clopper_pearson, 3, 50, 0.99, ".006872485", ".202706269"),
        (clopper_pearson, 0, 10, 0.95, ".0000000", ".3084971"),
        (clopper_pearson, 100, 200, 0.95, ".4286584", ".5713416"),
        (wilson, 3, 10, 0.95, ".1077913", ".6032219"),
        (wilson, 100, 200, 0.95, ".4313609", ".5686391"),
        (wilson_continuity, 3, 10, 0.95, ".08094782", ".64632928"),
        (jeffreys, 100, 200, 0.95, ".4311217", ".5688783"),
    ],
)
def test_values_of_r_are_reproduced_to_the_digits_printed(
    method: Callable[..., Interval], k: int, n: int, confidence: float, low: str, high: str
) -> None:
    found = method(k, n, confidence=confidence)

    assert (low, high) == (printed(float(found.lower), low), printed(float(found.upper), high))


@settings(max_examples=40)
@given(n=st.integers(1, 3000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
@pytest.mark.parametrize(("method", "name"), [(clopper_pearson, "exact"), (wilson_continuity, "wilsoncc")])
def test_whole_counts_agree_with_scipy(
    method: Callable[..., Interval], name: Literal["exact", "wilsoncc"], n: int, share: float, confidence: float
) -> None:
    k = round(n * share)
    expected = stats.binomtest(k, n).proportion_ci(confidence, method=name)

    found = method(k, n, confidence=confidence)

    assert (expected.low, expected.high) == pytest.approx((float(found.lower), float(found.upper)), abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(1, 7), (3, 10), (9, 10), (12, 40)])
def test_limits_of_mid_p_leave_half_of_alpha_in_exact_binomial_tails(k: int, n: int) -> None:
    def above(p: float, at: int) -> Fraction:
        exact = Fraction(p)
        mass = [math.comb(n, i) * exact**i * (1 - exact) ** (n - i) for i in range(n + 1)]
        return sum(mass[at + 1 :], Fraction(0)) + mass[at] / 2

    found = mid_p(k, n)

    assert 0.025 == pytest.approx(float(above(float(found.lower), k)), abs=1e-12)
    assert 0.025 == pytest.approx(1 - float(above(float(found.upper), k)), abs=1e-12)


@pytest.mark.parametrize(
    ("method", "least", "mean"),
    [
        (clopper_pearson, 0.95, (0.96, 0.99)),
        (jeffreys, 0.88, (0.945, 0.96)),
        (mid_p, 0.92, (0.95, 0.97)),
        (wilson, 0.83, (0.945, 0.96)),
        (wilson_continuity, 0.945, (0.96, 0.99)),
    ],
)
def test_exact_coverage_is_what_the_docs_of_a_method_say(
    method: Callable[..., Interval], least: float, mean: tuple[float, float]
) -> None:
    n = 50
    interval = method(np.arange(n + 1), n)
    shares = np.linspace(0.001, 0.999, 1997)
    covered = (interval.lower <= shares[:, None]) & (shares[:, None] <= interval.upper)
    coverage = np.sum(stats.binom.pmf(np.arange(n + 1), n, shares[:, None]) * covered, axis=1)

    assert coverage.min() >= least
    assert mean[0] <= coverage.mean() <= mean[1]


@settings(max_examples=60)
@given(n=st.floats(0.01, 1e6), share=st.floats(0, 1), method=st.sampled_from(METHODS))
def test_limits_of_an_effective_sample_enclose_the_estimate_and_mirror_those_of_the_other_verdict(
    method: Callable[..., Interval], n: float, share: float
) -> None:
    k = share * n

    found, mirrored = method(k, n), method(n - k, n)

    assert 0 <= found.lower <= share + 1e-9
    assert share - 1e-9 <= found.upper <= 1
    assert float(found.lower) == pytest.approx(1 - float(mirrored.upper), abs=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_ends_are_exact_and_no_observations_give_no_interval(method: Callable[..., Interval]) -> None:
    found = method([0.0, 33.3, 0.0, 3.0, np.nan], [33.3, 33.3, 0.0, 10.0, 10.0])

    assert (0.0, 1.0) == (found.lower[0], found.upper[1])
    assert [False, False, True, False, True] == np.isnan(found.lower).tolist() == np.isnan(found.upper).tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (0, -1), (1, float("inf"))])
def test_impossible_counts_are_refused(method: Callable[..., Interval], k: float, n: float) -> None:
    with pytest.raises(ValueError, match=r"successes|observations"):
        method(k, n)


@pytest.mark.parametrize("method", METHODS)
def test_an_impossible_confidence_is_refused(method: Callable[..., Interval]) -> None:
    with pytest.raises(ValueError, match="0 < confidence < 1"):
        method(1, 2, confidence=95)


@pytest.mark.parametrize(("confidence", "hits"), [(0.5, 0.078), (0.8, 0.0086), (0.95, 0.0005)])
def test_limits_of_jeffreys_are_the_share_itself_only_below_the_hits_that_its_docs_say(
    confidence: float, hits: float
) -> None:
    def quantile(k: float) -> float:
        return float(stats.beta.ppf(0.5 - 0.5 * confidence, k + 0.5, 100 - k + 0.5))

    for k, at_share in ((0.97 * hits, True), (1.03 * hits, False)):
        found = jeffreys(k, 100, confidence=confidence)
        assert at_share == (quantile(k) > k / 100) == (found.lower == k / 100)
        assert float(found.lower) == pytest.approx(min(quantile(k), k / 100), rel=1e-9)


def _mid_tail(k: int, n: int, p: float) -> Decimal:
    """P(X < k) + P(X = k) / 2 of a binomial count, in fifty digits."""
    with localcontext(prec=50):
        q = 1 - Decimal(p)
        each = [math.comb(n, x) * Decimal(p) ** x * q ** (n - x) for x in range(k + 1)]
        return sum(each[:-1], Decimal(0)) + each[-1] / 2


@pytest.mark.parametrize(("k", "n"), [(1, 10**9), (3, 10**9), (2, 10**13)])
def test_limits_of_mid_p_are_right_to_eleven_digits_however_rare_hits_are(k: int, n: int) -> None:
    found = mid_p(k, n)

    for limit, tail in ((float(found.lower), 0.975), (float(found.upper), 0.025)):
        inside, outside = _mid_tail(k, n, limit * (1 - 1e-11)), _mid_tail(k, n, limit * (1 + 1e-11))
        assert outside < Decimal(tail) < inside
