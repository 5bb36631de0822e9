"""Wilson's interval with exact limits for few successes: against SciPy, and its coverage by enumeration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.arrays import Floats
from detectors.intervals import Interval, modified_wilson, wilson
from tests.studies.coverage import attainable


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 7, 50, 2000])
def test_limits_are_wilsons_or_for_few_successes_the_exact_one_sided_ones(n: int, confidence: float) -> None:
    few = int(stats.chi2.ppf(confidence, 1) + 1)
    for k in range(min(n, 12) + 1):
        score = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
        expected = score.low
        if 0 < k <= few:
            exact = stats.binomtest(k, n, alternative="greater").proportion_ci(confidence, method="exact")
            expected = min(score.low, exact.low)

        found = modified_wilson([k, n - k], n, confidence=confidence)

        assert [expected, 1 - expected] == pytest.approx([found.lower[0], found.upper[1]], abs=1e-9)


def test_the_limit_of_three_in_many_is_the_poisson_limit_of_the_paper() -> None:
    found = modified_wilson([1, 2, 3], 10**7)

    assert 0.5 * stats.chi2.ppf(0.05, [2, 4, 6]) == pytest.approx(1e7 * found.lower, rel=1e-5)


@settings(max_examples=40)
@given(n=st.floats(0.1, 1e5), share=st.floats(0, 1))
def test_it_holds_wilsons_interval_and_exchanging_the_outcomes_mirrors_it(n: float, share: float) -> None:
    found, mirrored, score = modified_wilson(n * share, n), modified_wilson(n - n * share, n), wilson(n * share, n)

    assert float(found.lower) == pytest.approx(1 - float(mirrored.upper), abs=1e-9)
    assert 0 <= found.lower <= score.lower <= share + 1e-9
    assert share - 1e-9 <= score.upper <= found.upper <= 1


def coverage(interval: Interval, n: int, share: Floats) -> Floats:
    """By SciPy's binomial probabilities; the interval has the limits of the counts 0 to n."""
    chance = stats.binom.pmf(np.arange(n + 1), n, share[:, np.newaxis])
    inside = (interval.lower <= share[:, np.newaxis]) & (share[:, np.newaxis] <= interval.upper)
    return np.asarray((chance * inside).sum(axis=1))


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_where_few_successes_are_expected_it_covers_and_wilsons_does_not(n: int) -> None:
    share = np.linspace(0.001, 3.84, 4001) / n
    new, old = (method(np.arange(n + 1), n) for method in (modified_wilson, wilson))

    found = coverage(new, n, share)

    assert 0.934 < found.min()
    assert 0.965 < found.mean() < 0.97
    assert coverage(old, n, share).min() < 0.85


def test_no_interval_covers_93_to_97_percent_with_50_labels_and_a_precision_of_99_percent() -> None:
    one, two = (float(stats.binom.cdf(k, 50, 0.01)) for k in (1, 2))

    found = attainable(50, 0.99)

    assert (0.911, 0.986) == (round(one, 3), round(two, 3))
    assert (one, two) == pytest.approx((found[found < 0.95].max(), found[found > 0.95].min()))
    for method, expected in ((wilson, one), (modified_wilson, two)):
        told = method(np.arange(51), 50)
        assert [expected] == pytest.approx(coverage(told, 50, np.array([0.99])))


def test_without_observations_nothing_is_known_and_impossible_counts_are_refused() -> None:
    assert np.isnan(modified_wilson([0, np.nan], [0, 5]).lower).all()
    assert (0.0, 1.0) == (float(modified_wilson(0, 9).lower), float(modified_wilson(9, 9).upper))
    with pytest.raises(ValueError, match="successes: found a number outside"):
        modified_wilson(3, 2)
