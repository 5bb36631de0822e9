"""The chi-square test against its published example and SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors.comparison import chi_square
from detectors.comparison.minimum_sample import noncentrality

COUNTS = st.lists(st.integers(1, 3000), min_size=2, max_size=20)


def test_the_published_example_is_reproduced() -> None:
    found = chi_square([120, 100, 80, 60, 40], [100, 90, 90, 70, 50])

    assert 4.8130748 == round(float(found.statistic), 7)
    assert 0.3070204 == round(float(found.p_value), 7)
    assert stats.chi2.isf(0.05, 4) == pytest.approx(float(found.threshold))


@given(data=st.data(), reference=COUNTS)
def test_it_is_scipys_test_of_the_table_and_its_effect_size_is_twice_cramers_v_at_equal_samples(
    data: st.DataObject, reference: list[int]
) -> None:
    current = data.draw(st.lists(st.integers(1, 3000), min_size=len(reference), max_size=len(reference)))
    expected = stats.chi2_contingency(np.array([reference, current]), correction=False)
    found = chi_square(reference, current)

    assert expected.statistic == pytest.approx(float(found.statistic), rel=1e-9, abs=1e-9)
    assert expected.pvalue == pytest.approx(float(found.p_value), rel=1e-7)

    # Shares at one and the same large n: the effect size does not know the samples.
    n = sum(reference) * sum(current)
    table = np.array([np.array(reference) * sum(current), np.array(current) * sum(reference)])
    even = chi_square(*table)
    assert 2 * np.sqrt(stats.chi2_contingency(table, correction=False).statistic / (2 * n)) == pytest.approx(
        float(even.effect_size), abs=1e-9
    )


def test_against_a_huge_reference_cohens_w_is_that_of_a_goodness_of_fit_test() -> None:
    reference, current = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.4, 0.2])
    goodness = stats.chisquare(100 * current, 100 * reference).statistic

    assert np.sqrt(goodness / 100) == pytest.approx(
        float(chi_square(1e12 * reference, 100 * current).effect_size), rel=1e-6
    )


@pytest.mark.parametrize(("freedom", "alpha"), [(1, 0.05), (4, 0.05), (9, 0.001), (63, 0.01)])
def test_the_noncentrality_gives_the_power_asked_for(freedom: int, alpha: float) -> None:
    power = stats.ncx2.sf(stats.chi2.isf(alpha, freedom), freedom, noncentrality(freedom, alpha))

    assert 0.8 == pytest.approx(power, abs=1e-6)


def test_a_minimum_sample_for_two_categories_is_that_of_the_textbook_for_two_proportions() -> None:
    # Cohen 1988: w = .3, one degree of freedom, alpha .05, power .8 needs N = 87 of a goodness-of-fit test.
    found = chi_square([5e11, 5e11], [1, 1], smallest_effect=0.3)

    assert 88 == pytest.approx(float(found.minimum_sample), abs=1)
