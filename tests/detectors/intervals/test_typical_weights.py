"""Typical weights from the very window that is judged: intervals still cover, where the plain ratio would not."""

import numpy as np
import pytest

from detectors.intervals import typical_weights, weighted_score


@pytest.mark.parametrize(
    ("light", "right", "heavy", "heavy_right", "weight"),
    [
        (50, 0.9, 10, 0.9, 100.0),
        (100, 0.9, 30, 0.95, 20.0),
        (300, 0.9, 40, 0.97, 20.0),
        (200, 0.7, 60, 0.97, 20.0),
        (1000, 0.9, 100, 0.97, 20.0),
        (100, 0.8, 100, 0.8, 1.0),
    ],
)
def test_intervals_told_of_their_own_weights_cover(
    light: int, right: float, heavy: int, heavy_right: float, weight: float
) -> None:
    rng = np.random.default_rng(0)
    one, many = rng.binomial(light, right, 20_000), rng.binomial(heavy, heavy_right, 20_000)
    violating, benign = one + weight * many, (light - one) + weight * (heavy - many)
    squares = {
        "square_violating": one + weight**2 * many,
        "square_benign": (light - one) + weight**2 * (heavy - many),
    }
    typical = typical_weights(violating, benign, **squares)
    truth = (light * right + heavy * weight * heavy_right) / (light + heavy * weight)

    def coverage(of_violating: np.ndarray, of_benign: np.ndarray) -> float:
        found = weighted_score(
            violating, benign, **squares, typical_violating=of_violating, typical_benign=of_benign, confidence=0.95
        )
        return float(np.mean((found.lower <= truth) & (truth <= found.upper)))

    assert coverage(typical.violating, typical.benign) > 0.92
    if weight > 1:
        plain = squares["square_violating"] / violating, squares["square_benign"] / np.maximum(benign, 1e-9)
        assert coverage(*(np.where(told > 0, told, np.nan) for told in plain)) < 0.95


def test_a_verdict_without_labels_weighs_what_all_labels_do() -> None:
    found = typical_weights([30.0, 0.0], [0.0, 0.0], square_violating=[90.0, 0.0], square_benign=0.0)
    assert 3.0 == found.violating[0]
    assert 3.0 == found.benign[0]
    assert np.isnan([found.violating[1], found.benign[1]]).all()


def test_damaged_sums_tell_nothing() -> None:
    found = typical_weights([30.0], [5.0], square_violating=0.0, square_benign=0.0)
    assert np.isnan([found.violating, found.benign]).all()


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_what_is_no_sum_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="square_benign"):
        typical_weights(1.0, 1.0, square_violating=1.0, square_benign=bad)
