"""What the models of rates and shares expect once effects are given to them: nothing left, and no total moved."""

import numpy as np
import pytest

from detectors.arrays import Floats
from detectors.attribution import Cells, Dimension, Factor, Role, cells, window_sums
from detectors.attribution.level import level_of
from detectors.attribution.rate_model import rate_model
from detectors.attribution.share_model import share_model

AXES = (Dimension("policy", ("hate", "spam")), Dimension("changing", ("old", "new"), Role.VERSION))
CODES = np.indices((2, 2)).reshape(2, -1).T


def between(before: Floats, after: Floats, *, rates: tuple[float, float] = (0.9, 0.9)) -> Cells:
    """Labels of two windows, and the rate in each."""
    sums = [window_sums(rate * each, (1.0 - rate) * each) for each, rate in zip((before, after), rates, strict=True)]
    return cells(AXES, CODES, reference=sums[0], current=sums[1])


@pytest.mark.parametrize("rates", [(1.0, 0.0), (0.0, 1.0), (0.9, 0.05), (0.02, 0.6), (0.5, 0.45)])
@pytest.mark.parametrize("sizes", [(1000.0, 1000.0), (100.0, 9000.0), (9000.0, 100.0)])
def test_a_shift_leaves_no_departure_and_rates_within_0_and_1(
    rates: tuple[float, float], sizes: tuple[float, float]
) -> None:
    model = rate_model(
        level_of(between(np.full(4, sizes[0]), np.full(4, sizes[1]), rates=rates), order=1), least_labels=10.0
    )

    model.shift(0)

    np.testing.assert_allclose(model.scan().effect, 0.0, atol=1e-5)
    assert ((model.expected >= 0.0) & (model.expected <= 1.0)).all()


@pytest.mark.parametrize("tilt", [-60.0, -25.0, -3.0, 0.0, 3.0, 25.0, 60.0])
def test_expected_volumes_add_up_to_those_of_each_group_and_window_at_any_tilt(tilt: float) -> None:
    before, after = np.array([900.0, 100.0, 500.0, 0.0]), np.array([10.0, 1990.0, 0.0, 400.0])
    model = share_model(level_of(between(before, after), order=2), Factor.VERSION, variation=0.0)

    model.tilt = np.where(CODES[:, 1] == 1, tilt, 0.0)
    model.refit()

    found = model.expected.reshape(2, 2, 2).sum(axis=2)
    np.testing.assert_allclose(found, [[1000.0, 500.0], [2000.0, 400.0]], rtol=1e-9)


def test_a_group_that_one_window_lacks_is_expected_where_it_is() -> None:
    before, after = np.array([900.0, 100.0, 0.0, 0.0]), np.array([500.0, 500.0, 70.0, 30.0])
    model = share_model(level_of(between(before, after), order=2), Factor.VERSION, variation=0.0)

    model.tilt = np.where(CODES[:, 1] == 1, 5.0, 0.0)
    model.refit()

    np.testing.assert_allclose(model.expected[:, 2:], [[0.0, 0.0], [70.0, 30.0]], rtol=1e-9)
