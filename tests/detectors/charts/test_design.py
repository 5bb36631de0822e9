"""A chart is told its threshold, its average run length in control or neither, a family one of the two."""

from typing import Any

import pytest

from detectors.charts import (
    BernoulliCusum,
    Cusum,
    Ewma,
    PoissonCusum,
    bernoulli_cusum_family,
    cusum_family,
    ewma_family,
    poisson_cusum_family,
)

KINDS: list[Any] = [BernoulliCusum, Cusum, Ewma, PoissonCusum]
FAMILIES: list[Any] = [
    lambda **given: bernoulli_cusum_family([0.1], 0.2, **given),
    lambda **given: cusum_family([0.0], 1.0, **given),
    lambda **given: ewma_family([0.0], 1.0, **given),
    lambda **given: poisson_cusum_family([4.0], 6.0, **given),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_refuses_two_designs_and_names_both(kind: Any) -> None:
    with pytest.raises(ValueError, match=rf"{kind.__name__}: got threshold 5 and average_run_length 100, allowed is"):
        kind(threshold=5, average_run_length=100.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_that_is_told_nothing_has_the_threshold_for_ten_thousand_observations(kind: Any) -> None:
    usual, told = kind().build().update(0), kind(average_run_length=10_000.0).build().update(0)

    assert usual == told
    assert kind(threshold=5).build().update(0).threshold in (4.5, 5.0)


@pytest.mark.parametrize("make", FAMILIES)
@pytest.mark.parametrize(("given", "got"), [({}, "neither"), ({"threshold": 5, "average_run_length": 100.0}, "both")])
def test_a_family_refuses_both_designs_and_none(make: Any, given: dict[str, Any], got: str) -> None:
    with pytest.raises(ValueError, match=f"threshold, average_run_length: got {got}, allowed is one of the two"):
        make(**given)
