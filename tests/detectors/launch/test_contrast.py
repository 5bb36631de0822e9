"""Contrasts: which way is worse, and what is refused."""

import math

import pytest

from detectors.launch import Contrast, false_positives, precision, true_positives, value


def test_the_regression_of_false_positives_is_a_rise() -> None:
    assert (True, False, True) == (
        true_positives().more_is_better,
        false_positives().more_is_better,
        value(1, -1).more_is_better,
    )


@pytest.mark.parametrize("ends", [(-0.1, 0.5), (0.6, 0.5), (0.5, 1.1), (math.nan, 0.5)])
def test_an_interval_that_is_none_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="champion's precision"):
        precision(*ends)


@pytest.mark.parametrize(("violating", "benign"), [((0.0,), (0.0,)), ((1.0,), ()), ((), ()), ((math.inf,), (0.0,))])
def test_values_that_compare_nothing_are_refused(violating: tuple[float, ...], benign: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"contrast|violating"):
        Contrast(violating, benign)
