"""Shapley values against a textbook game and against all orders of switching."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.attribution import shapley


def test_the_glove_game_pays_the_owner_of_the_only_right_glove_two_thirds() -> None:
    values = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]  # players 1 and 2 hold left gloves, player 3 the right one

    np.testing.assert_allclose(shapley(values), [1 / 6, 1 / 6, 4 / 6])


@given(hnp.arrays(np.float64, 16, elements=st.floats(-10, 10)))
def test_values_are_the_mean_over_all_orders_of_switching_and_add_up(values: np.ndarray) -> None:
    gains = np.zeros(4)
    for order in itertools.permutations(range(4)):
        on = 0
        for switch in order:
            gains[switch] += values[on | 1 << switch] - values[on]
            on |= 1 << switch

    found = shapley(values)

    np.testing.assert_allclose(found, gains / 24, atol=1e-12)
    assert float(found.sum()) == pytest.approx(values[-1] - values[0], abs=1e-12)


def test_a_table_whose_length_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), allowed is \(2\^k"):
        shapley([1.0, 2.0, 3.0])
