"""Moments against NumPy, however they are merged."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.embedding import Moments, merge, moments
from detectors.embedding.moments import pooled_covariance

VECTORS = hnp.arrays(np.float64, st.tuples(st.integers(2, 30), st.just(3)), elements=st.floats(-100, 100))


@settings(max_examples=50)
@given(vectors=VECTORS, data=st.data())
def test_merging_parts_in_any_order_gives_the_moments_of_all(vectors: np.ndarray, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(vectors)), max_size=4)))
    parts = data.draw(st.permutations([moments(part) for part in np.split(vectors, cuts)]))
    merged = parts[0]
    for part in parts[1:]:
        merged = merge(merged, part)

    assert len(vectors) == merged.count
    np.testing.assert_allclose(vectors.mean(axis=0), merged.mean, atol=1e-9)
    np.testing.assert_allclose(np.cov(vectors.T), merged.covariance, atol=1e-8)


def test_a_large_offset_costs_no_digits() -> None:
    vectors = np.random.default_rng(40).normal(size=(500, 2))
    far = merge(moments(vectors[:200] + 1e7), moments(vectors[200:] + 1e7))

    np.testing.assert_allclose(np.cov(vectors.T), far.covariance, rtol=1e-6, atol=1e-7)


def test_single_precision_is_summed_in_double() -> None:
    vectors = np.random.default_rng(41).normal(50.0, 0.1, (2000, 2)).astype(np.float32)

    np.testing.assert_allclose(np.cov(vectors.astype(np.float64).T), moments(vectors).covariance, rtol=1e-9)


def test_no_vectors_are_what_merging_starts_from() -> None:
    one = moments([[1.0, 2.0]])
    empty = moments(np.empty((0, 2)))

    merged = merge(empty, merge(one, empty))
    assert (1, [1.0, 2.0]) == (merged.count, merged.mean.tolist())
    assert 0 == merge(empty, empty).count
    assert np.isnan(one.covariance).all()


@pytest.mark.parametrize("vectors", [[1.0, 2.0], [[]], [[float("nan")]], [[float("inf")]], [[[1.0]]]])
def test_what_is_no_table_of_finite_vectors_is_refused(vectors: list[object]) -> None:
    with pytest.raises(ValueError, match="vectors"):
        moments(vectors)  # type: ignore[arg-type]


def test_moments_that_do_not_fit_are_refused() -> None:
    two, three = moments([[1.0, 2.0], [2.0, 1.0]]), moments([[1.0, 2.0, 3.0]] * 2)

    with pytest.raises(ValueError, match="2 and 3 dimensions"):
        merge(two, three)
    with pytest.raises(ValueError, match="2 and 3 dimensions"):
        pooled_covariance(two, three)
    with pytest.raises(ValueError, match="current: 1 vectors"):
        pooled_covariance(two, moments([[1.0, 2.0]]))
    with pytest.raises(ValueError, match=r"scatter \(2, 2\)"):
        Moments(count=2, mean=np.zeros(3), scatter=np.zeros((2, 2)))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e7 + 0.1])
def test_a_constant_dimension_has_no_scatter_at_all_whole_and_in_parts(value: float) -> None:
    vectors = np.random.default_rng(42).normal(size=(1000, 2))
    vectors[:, 1] = value
    parts = reduce(merge, [moments(part) for part in np.array_split(vectors, 7)])

    for found in (moments(vectors), parts):
        assert value == found.mean[1]
        assert [0.0, 0.0] == found.scatter[1].tolist()
        np.testing.assert_allclose(np.var(vectors[:, 0], ddof=1), found.covariance[0, 0], rtol=1e-12)


def test_counts_of_narrow_integers_do_not_overflow() -> None:
    side = Moments(count=np.int32(60_000), mean=np.zeros(1), scatter=np.zeros((1, 1)))  # type: ignore[arg-type]
    other = Moments(count=np.int32(60_000), mean=np.ones(1), scatter=np.zeros((1, 1)))  # type: ignore[arg-type]

    # 60,000 zeros and 60,000 ones: each is half away from the mean.
    assert 120_000 / 4 == merge(side, other).scatter[0, 0]
