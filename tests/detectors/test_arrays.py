"""Checks of arguments that all families share: what is too large for its squares is refused."""

import numpy as np
import pytest

from detectors.comparison import cramer_von_mises
from detectors.estimation import hajek, ratio


def test_sums_whose_squares_would_overflow_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"weight_violating: found 1e\+200, allowed are .* at most 1e\+100"):
        hajek(1e200, 1e200, square_violating=1e300, square_benign=1e300)
    with pytest.raises(ValueError, match=r"numerator_variance: found 1e\+300, allowed are .* at most 1e\+200"):
        ratio(5.0, 1.0, numerator_variance=1e300, denominator_variance=1.0, covariance=0.0, labels=3)
    with pytest.raises(ValueError, match="at most 1e"):
        cramer_von_mises([1e300, 1e300], [1e300, 1e299])


def test_the_largest_that_is_allowed_has_a_variance() -> None:
    found = hajek(1e100, 1e100, square_violating=1e200, square_benign=1e200)

    assert 0.5 == found.estimate
    assert float(found.variance) == pytest.approx(0.125)
    assert np.isfinite(found.interval_n)
