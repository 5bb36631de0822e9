"""Kitagawa's decomposition against published death rates, and its algebra on arbitrary categories."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.attribution import Dimension, Factor, cells, decompose, kitagawa, window_sums

# Das Gupta 1993, example 5.3, deaths by race and age, as printed in the documentation of R's DasGuptR 2.1.0
# (vignette "Category effects"): population in thousands and deaths per thousand of 1970 and 1985.
SIZE_1985 = [
    *(3041, 11577, 27450, 32711, 35480, 27411, 19555, 19795, 15254, 8022, 2472),
    *(707, 2692, 6473, 6841, 6547, 4352, 3034, 2540, 1749, 804, 236),
]
SIZE_1970 = [
    *(2968, 11484, 34614, 30992, 21983, 20314, 20928, 16897, 11339, 5720, 1315),
    *(535, 2162, 6120, 4781, 3096, 2718, 2363, 1767, 1149, 448, 117),
]
RATE_1985 = [
    *(9.163, 0.462, 0.248, 0.929, 1.084, 1.810, 4.715, 12.187, 27.728, 64.068, 157.570),
    *(17.208, 0.738, 0.328, 1.103, 2.045, 3.724, 8.052, 17.812, 34.128, 68.276, 125.161),
]
RATE_1970 = [
    *(18.469, 0.751, 0.391, 1.146, 1.287, 2.672, 6.636, 15.691, 34.723, 79.763, 176.837),
    *(36.993, 1.352, 0.541, 2.040, 3.523, 6.746, 12.967, 24.471, 45.091, 74.902, 123.205),
]

VOLUMES = hnp.arrays(np.float64, 6, elements=st.one_of(st.just(0.0), st.floats(0.01, 1e6)))
RATES = hnp.arrays(np.float64, 6, elements=st.floats(0.0, 1.0))


def test_the_published_death_rates_of_1970_and_1985_give_the_published_effects() -> None:
    found = kitagawa(SIZE_1970, RATE_1970, current_volume=SIZE_1985, current_rate=RATE_1985)

    assert -0.6862158 == round(float(found.change), 7)
    assert -2.2277254 == round(float(found.rate.sum()), 7)
    assert 1.5217347 + 0.0197749 == pytest.approx(float(found.mix.sum()), abs=1e-7)  # age and race structure


def test_the_decomposition_of_cells_gives_the_same_published_effects() -> None:
    windows = [
        window_sums(np.array(size) * np.array(rate) / 1000, np.array(size) * (1 - np.array(rate) / 1000))
        for size, rate in ((SIZE_1970, RATE_1970), (SIZE_1985, RATE_1985))
    ]
    codes = np.indices((2, 11)).reshape(2, -1).T
    axes = [Dimension("race", ("a", "b")), Dimension("age", tuple(map(str, range(11))))]

    found = decompose(cells(axes, codes, reference=windows[0], current=windows[1]))

    assert -2.2277254 == round(1000 * found.component(Factor.WITHIN), 7)
    assert 1.5415096 == round(1000 * found.component(Factor.MIX), 7)


@given(VOLUMES, RATES, VOLUMES, RATES)
def test_effects_add_up_to_the_change_and_change_sign_with_the_windows(
    volume: np.ndarray, rate: np.ndarray, volume_now: np.ndarray, rate_now: np.ndarray
) -> None:
    if not volume.sum() or not volume_now.sum():
        return
    change = np.average(rate_now, weights=volume_now) - np.average(rate, weights=volume)

    there = kitagawa(volume, rate, current_volume=volume_now, current_rate=rate_now)
    back = kitagawa(volume_now, rate_now, current_volume=volume, current_rate=rate)

    assert float(there.mix.sum() + there.rate.sum()) == pytest.approx(change, abs=1e-9)
    np.testing.assert_allclose(there.mix, -back.mix, atol=1e-12)
    np.testing.assert_allclose(there.rate, -back.rate, atol=1e-12)


def test_a_category_that_is_new_is_all_mix_whatever_its_rate_was_said_to_be() -> None:
    found = kitagawa([100, 0], [0.9, 0.123], current_volume=[50, 50], current_rate=[0.9, 0.5])

    assert [0.0, 0.0] == found.rate.tolist()
    assert -0.2 == pytest.approx(float(found.mix.sum()))


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_many_series_at_once_give_what_each_gives_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    volume, rate, volume_now, rate_now = rng.random((4, 3, 5))

    together = kitagawa(volume, rate, current_volume=volume_now, current_rate=rate_now)

    alone = kitagawa(volume[1], rate[1], current_volume=volume_now[1], current_rate=rate_now[1])
    np.testing.assert_array_equal(together.mix[1], alone.mix)


def test_a_window_without_volume_has_no_change() -> None:
    assert np.isnan(kitagawa([0, 0], [0.5, 0.5], current_volume=[1, 1], current_rate=[0.5, 0.5]).change)
