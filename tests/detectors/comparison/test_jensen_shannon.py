"""Jensen-Shannon divergence and distance against SciPy, published values and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance

from detectors.comparison import jensen_shannon, jensen_shannon_divergence


@pytest.mark.parametrize(
    ("p", "q", "base", "published"),
    [
        ([1, 0, 0], [0, 1, 0], 2.0, 1.0),
        ([1, 0], [0.5, 0.5], np.e, 0.4645014),
        ([0.5, 0.5], [0.25, 0.75], np.e, 0.1839078),
        ([0.5, 0.5], [0.25, 0.75], 2.0, 0.2208958),
    ],
)
def test_published_distances_are_reproduced(p: list[float], q: list[float], base: float, published: float) -> None:
    assert published == round(float(jensen_shannon(p, q, base=base).statistic), 7)


@given(data=st.data(), bins=st.integers(1, 30), base=st.sampled_from([2.0, np.e, 10.0]))
def test_distance_agrees_with_scipy_and_its_square_is_the_divergence(
    data: st.DataObject, bins: int, base: float
) -> None:
    counts = st.lists(st.integers(0, 5000), min_size=bins, max_size=bins).filter(any)
    p, q = data.draw(counts), data.draw(counts)

    found = float(jensen_shannon(p, q, base=base).statistic)

    # SciPy takes the root of a rounding residue: 1e-17 becomes 3e-9, or NaN below zero.
    assert np.nan_to_num(distance.jensenshannon(p, q, base=base)) == pytest.approx(found, abs=3e-8)
    assert found**2 == pytest.approx(float(jensen_shannon_divergence(p, q, base=base)), abs=1e-15)


@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (20_000, 1000)])
def test_without_a_shift_it_rejects_as_often_as_stated(n: int, m: int) -> None:
    rng = np.random.default_rng(10)
    shares = rng.dirichlet(np.full(10, 20.0))

    found = jensen_shannon(rng.multinomial(n, shares, 20_000), rng.multinomial(m, shares, 20_000))

    assert 0.04 <= np.mean(found.p_value < 0.05) <= 0.06
    assert np.mean(found.p_value < 0.05) == np.mean(found.statistic > found.threshold)


def test_the_p_value_does_not_depend_on_the_unit() -> None:
    bits, nats = (jensen_shannon([30, 50, 20], [20, 60, 40], base=base).p_value for base in (2.0, np.e))

    assert float(bits) == pytest.approx(float(nats))


@pytest.mark.parametrize("base", [1.0, 0.5, float("nan"), float("inf")])
def test_an_impossible_base_is_refused(base: float) -> None:
    with pytest.raises(ValueError, match="base"):
        jensen_shannon([1, 2], [2, 1], base=base)
