"""Distances from the principal subspace: by singular values of the vectors, and by the law of normal ones.

NannyML's published series needs the 100 000 rows of its data: `tests/bench/car_loan.py` checks it where NannyML is
installed.
"""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.embedding import block_permutation_test, merge, moments, principal_subspace


def correlated(n: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 6)) @ rng.normal(size=(6, 6)) * [1.0, 10.0, 1e-3, 1e4, 1.0, 1.0] + [0, 5, 0, 1e5, 0, 0]


@pytest.mark.parametrize("share", [0.3, 0.65, 0.9])
def test_distances_are_those_of_projecting_on_the_right_singular_vectors(share: float) -> None:
    before, after = correlated(300, seed=1), correlated(40, seed=2)
    mean, deviation = before.mean(axis=0), before.std(axis=0)
    _, lengths, directions = np.linalg.svd((before - mean) / deviation, full_matrices=False)
    held = np.cumsum(lengths**2) / (lengths**2).sum()
    count = next(k for k in range(1, 7) if held[k - 1] > share)
    projection = directions[:count].T @ directions[:count]
    expected = [np.linalg.norm(z - projection @ z) for z in (after - mean) / deviation]

    found = principal_subspace(moments(before), share=share)

    assert count == len(found.components)
    assert held[count - 1] == pytest.approx(found.kept)
    assert expected == pytest.approx(found.distances(after).tolist())


def test_the_mean_distance_of_normal_vectors_is_that_of_their_law() -> None:
    # Two features are copies of each other, four are noise. Of 6 the pair's component holds 2, so of .65 it takes two
    # more; outside are two directions of variance 1, and a distance there has the mean sqrt(pi / 2).
    def drawn(n: int, seed: int) -> np.ndarray:
        z = np.random.default_rng(seed).normal(size=(n, 5))
        return np.column_stack([z[:, 0], 3 - 2 * z[:, 0], z[:, 1:]])

    subspace = principal_subspace(moments(drawn(200_000, 3)))
    apart = subspace.distances(drawn(200_000, 4))

    assert 3 == len(subspace.components)
    assert 4 / 6 == pytest.approx(subspace.kept, abs=0.01)
    assert np.sqrt(np.pi / 2) == pytest.approx(apart.mean(), abs=0.01)
    # Once the pair no longer moves as one, its difference leaves the subspace with variance 1: the law with three.
    alone = drawn(200_000, 5)
    alone[:, 1] = 3 - 2 * np.random.default_rng(6).normal(size=200_000)
    assert np.sqrt(8 / np.pi) == pytest.approx(subspace.distances(alone).mean(), abs=0.01)


@settings(max_examples=25)
@given(cut=st.integers(0, 200), factor=st.floats(0.01, 100), shift=st.floats(-1000, 1000))
def test_neither_the_cutting_of_the_reference_nor_units_change_a_distance(
    cut: int, factor: float, shift: float
) -> None:
    before, after = correlated(200, seed=7), correlated(30, seed=8)
    units = np.array([factor, 1, 1, 1, -factor, 1])
    expected = principal_subspace(moments(before)).distances(after)

    merged = principal_subspace(merge(moments(before[:cut]), moments(before[cut:])))
    converted = principal_subspace(moments(before * units + shift)).distances(after * units + shift)

    assert expected == pytest.approx(merged.distances(after))
    assert expected == pytest.approx(converted, rel=1e-4)


def test_a_constant_feature_counts_in_its_own_units_when_it_moves() -> None:
    before = np.column_stack([correlated(200, seed=9), np.full(200, 4.0)])
    subspace = principal_subspace(moments(before))
    there = subspace.distances(before[:5])

    moved = subspace.distances(before[:5] + np.array([0, 0, 0, 0, 0, 0, 3.0]))

    assert np.hypot(there, 3.0) == pytest.approx(moved)


def test_blocks_of_distances_can_be_dealt_out_anew() -> None:
    rng = np.random.default_rng(10)
    pair = rng.normal(size=(16, 100, 1)) + rng.normal(size=(16, 100, 2)) * 0.3
    pair[8:, :, 1] = rng.normal(size=(8, 100)) * pair[:8, :, 1].std()
    subspace = principal_subspace(moments(pair[:8].reshape(-1, 2)))
    blocks = [moments(apart[:, np.newaxis]) for apart in subspace.distances(pair)]

    p_value = block_permutation_test(
        lambda left, right: float(abs(left.mean[0] - right.mean[0])), blocks[:8], blocks[8:], generator=rng
    )

    assert 1 / 200 == p_value


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: principal_subspace(moments(np.eye(3)[:1])), "reference: 1 vectors"),
        (lambda: principal_subspace(moments(np.ones((5, 3)))), "no feature varies"),
        (lambda: principal_subspace(moments(np.random.default_rng(1).normal(size=(9, 1)))), "takes all 1 components"),
        (lambda: principal_subspace(moments(np.eye(4)), share=1.0), "share: got 1.0"),
        (lambda: principal_subspace(moments(np.eye(4))).distances(np.ones((2, 3))), r"allowed is \(..., 4\)"),
        (lambda: principal_subspace(moments(np.eye(4))).distances([[1, np.nan, 0, 0]]), "found nan at position 0, 1"),
    ],
)
def test_what_has_no_error_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_constant_feature_of_any_value_counts_in_its_own_units_when_it_moves() -> None:
    vectors = np.random.default_rng(35).normal(size=(1000, 4))
    vectors[:, 1] = vectors[:, 0] + 0.1 * vectors[:, 1]
    vectors[:, 3] = 0.1
    moved = vectors + np.array([0.0, 0.0, 0.0, 3.0])

    subspace = principal_subspace(moments(vectors))

    assert 1.0 == subspace.scale[3]
    apart = subspace.distances(moved) ** 2 - subspace.distances(vectors) ** 2
    np.testing.assert_allclose(apart, 9.0)
