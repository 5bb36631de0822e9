"""e-SR on the example of the R package stcpR6 (Shin), repeated with R's random numbers, to the digits it prints.

A straight line with normal noise (deviation 10) is forecast by least squares on all earlier points; from point 101 on
it may bend upwards. The residuals, cut at -20 and 20 and scaled to [0, 1], have mean 1/2 before the change. Three
versions of the package print three results, because they set up their bets differently.
"""

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from detectors import ESr
from detectors.arrays import Floats
from detectors.contract import Sides
from detectors.sequential.e_detector import Bets
from tests.detectors.sequential.r_random import RRandom

SMALLEST, LARGEST = 1 / 40, 0.499
RUN_LENGTH = 1000.0


class PublishedESr(ESr, frozen=True, tag="published_e_sr"):
    """e-SR that bets on the lambdas of L = 1 + lambda (x/m - 1), with equal stakes, in place of the doubling grid."""

    lambdas: tuple[float, ...] = ()

    def bets(self) -> Bets:
        each = np.array(self.lambdas)[:, np.newaxis]
        return Bets(at_zero=1 - each, slope=each / self.mean, weight=np.full(each.shape, 1 / len(each)))


def gain(change: Any) -> Any:
    return change - np.log1p(change)


def lambdas(alpha: float) -> Floats:
    """The bets of section 3 of the paper on mean 1/2, for changes of `SMALLEST` to `LARGEST`.

    Their gains lie evenly on the log scale; their number is what makes the level g at which the union of their
    boundaries has probability `alpha` least. Changes are those of a sub-exponential variable, as the package scales
    them. It also bets on the end of the range where g is beyond the largest gain, which it is not here.
    """
    low, high = 0.5 * SMALLEST / (0.25 + LARGEST**2), 0.5 * LARGEST / SMALLEST**2
    ratio, counts = gain(high) / gain(low), np.arange(1, 1001)

    def log_crossing(level: float) -> Floats:
        return np.log(counts) - level * ratio ** (-1 / counts)

    level = optimize.brentq(lambda g: log_crossing(g).min() - np.log(alpha), -np.log(alpha), gain(high))
    count = counts[log_crossing(level).argmin()]
    wanted = gain(high) * ratio ** (-np.arange(1, count + 1) / count)
    found = np.array([optimize.brentq(lambda d, w=w: gain(d) - w, 0, 1000, xtol=1e-13) for w in wanted])
    return found / (1 + found)


def residuals(*, bends: bool) -> Floats:
    time = np.arange(1, 201)
    y = time + RRandom(100).rnorm(200, deviation=10)
    if bends:
        y[100:] += 0.01 * np.arange(1, 101) ** 2
    forecast = [0.0, 0.0]
    for seen in range(2, 200):
        slope, start = np.polyfit(time[:seen], y[:seen], 1)
        forecast.append(start + slope * (seen + 1))
    return np.clip((y - forecast + 20) / 40, 0, 1)


def test_the_numbers_are_those_of_r() -> None:
    assert [-0.6264538, 0.1836433, -0.8356286] == RRandom(1).rnorm(3).round(7).tolist()
    assert [0.9148060, 0.9370754] == RRandom(42).runif(2).round(7).tolist()


@pytest.mark.parametrize(
    ("direction", "alpha", "components", "quiet", "changed", "stopped"),
    [
        ("rise", 1e-3, 169, "5.068833", "45.61752", 136),  # before 0.9.7
        ("both", 1e-3, 338, "4.673126", "44.92438", 138),  # 0.9.7
        ("both", 5e-4, None, "4.672813", None, 138),  # 0.9.8: each side has half of alpha
    ],
)
def test_the_published_runs_are_repeated(
    direction: Sides, alpha: float, components: int | None, quiet: str, changed: str | None, stopped: int
) -> None:
    above = lambdas(alpha)
    bets = above if direction == "rise" else np.concatenate([above, -above])
    spec = PublishedESr(
        mean=0.5,
        smallest_change=SMALLEST,
        direction=direction,
        average_run_length=RUN_LENGTH,
        lambdas=tuple(bets.tolist()),
    )
    without = spec.build().update_many(residuals(bends=False))
    with_change = spec.build().update_many(residuals(bends=True))

    assert components in {None, len(bets)}
    assert not without.alarm.any()
    assert quiet == f"{without.statistic[-1]:.6f}"
    assert stopped == int(with_change.alarm.argmax()) + 1
    assert changed in {None, f"{with_change.statistic[-1]:.5f}"}


def test_the_doubling_grid_with_ten_bets_stops_within_five_observations_of_the_published_mixture_of_338() -> None:
    spec = ESr(mean=0.5, smallest_change=SMALLEST, direction="both", average_run_length=RUN_LENGTH)

    assert 10 == len(spec.bets().slope)
    assert not spec.build().update_many(residuals(bends=False)).alarm.any()
    assert 138 == pytest.approx(int(spec.build().update_many(residuals(bends=True)).alarm.argmax()) + 1, abs=5)
