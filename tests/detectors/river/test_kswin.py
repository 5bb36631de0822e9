"""KSWIN's rule against SciPy's exact test, its draws against River's statistics, and its replay."""

import random

import numpy as np
import pytest
from scipy import stats

from detectors import Kswin
from detectors.river.kswin import critical_count, drawn


@pytest.mark.parametrize("size", [5, 20, 30, 57])
@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.005, 1e-4])
def test_the_threshold_lets_pass_what_scipys_exact_test_lets_pass(size: int, alpha: float) -> None:
    significant = []
    for apart in range(1, size + 1):
        x = np.arange(size, dtype=float)
        p_value = stats.ks_2samp(x, x + apart - 0.5 if apart < size else x + size, method="exact").pvalue
        significant.append(p_value <= alpha)

    assert (significant.index(True) + 1 if any(significant) else size + 1) == critical_count(alpha, size)


def test_it_alarms_by_the_rule_of_river_on_the_windows_that_it_draws() -> None:
    rng = np.random.default_rng(30)
    values = np.concatenate([rng.normal(size=150), rng.normal(1.0, size=60)]).tolist()
    spec = Kswin(alpha=0.02, seed=7)
    logic = spec.build()
    for place, value in enumerate(values):
        reading = logic.update(value)
        if place < 99:
            assert reading is None
            continue
        assert reading is not None
        window = np.array(values[place - 99 : place + 1])
        older = window[drawn(70, 30, seed=7, n=place + 1)]
        expected = stats.ks_2samp(older, window[70:], method="exact")

        assert expected.statistic == pytest.approx(reading.statistic)
        assert (expected.pvalue <= 0.02 and expected.statistic > 0.1) == reading.alarm


def test_the_draws_are_even_and_without_replacement() -> None:
    draws = np.array([drawn(70, 30, seed=3, n=n) for n in range(1, 4001)])
    times = np.bincount(draws.ravel(), minlength=70)
    together = np.mean([(0 in places) and (1 in places) for places in draws])

    assert all(30 == len(set(places)) for places in draws.tolist())
    # Each place is drawn Binomial(4000, 3/7); the sum of squares over 70 places is near chi-square with 69 degrees.
    assert stats.chi2.sf((((times - 4000 * 3 / 7) ** 2) / (4000 * 3 / 7 * 4 / 7)).sum(), 69) > 0.001
    assert 30 * 29 / (70 * 69) == pytest.approx(together, abs=0.03)
    assert 0 == np.sum(np.all(np.sort(draws[1:]) == np.sort(draws[:-1]), axis=1))


def test_the_change_of_rivers_documentation_is_found_as_soon_as_river_finds_it() -> None:
    rng = random.Random(12345)
    values = rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)
    logic = Kswin(alpha=0.0001).build()

    found = (place for place, value in enumerate(values) if (r := logic.update(value)) is not None and r.alarm)

    # 17 new values among the newest 30 are significant whatever is drawn; River's documentation prints 1016.
    assert 1016 == next(place for place in found if place >= 1000)


def test_a_seed_gives_the_same_draws_again_and_another_seed_others() -> None:
    values = np.random.default_rng(31).normal(size=200)
    first, again, other = (Kswin(seed=seed).build().update_many(values).statistic for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other, equal_nan=True)


def test_after_an_alarm_the_window_is_kept_whole() -> None:
    logic = Kswin(alpha=0.0001).build()
    for value in [*np.linspace(0, 1, 200), *np.linspace(5, 6, 40)]:
        logic.update(value)

    assert 100 == len(logic.snapshot().window)


def test_a_window_too_short_for_two_samples_and_an_alpha_out_of_reach_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Kswin\.recent: got 30, allowed is at most half of the window, 50"):
        Kswin(window=50)
    with pytest.raises(ValueError, match=r"Kswin\.alpha: got 1e-06, which no distance of 5 values can reach"):
        Kswin(alpha=1e-6, window=20, recent=5)
