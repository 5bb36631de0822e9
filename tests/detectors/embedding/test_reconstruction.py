"""Reconstruction errors against projecting every vector."""

import numpy as np
import pytest

from detectors.embedding import moments, reconstruction


@pytest.mark.parametrize("components", [1, 3, 5])
def test_errors_from_sums_are_those_of_projecting_every_vector(components: int) -> None:
    rng = np.random.default_rng(66)
    before = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) + 3.0
    after = rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6)) + 2.0
    centre = before.mean(axis=0)
    _, lengths, directions = np.linalg.svd(before - centre, full_matrices=False)
    kept = directions[:components]
    errors = [
        np.mean((((side - centre) - (side - centre) @ kept.T @ kept) ** 2).sum(axis=1)) for side in (before, after)
    ]

    found = reconstruction(moments(before), moments(after), components=components)

    assert errors == pytest.approx([found.reference, found.current])
    assert (lengths[:components] ** 2).sum() / (lengths**2).sum() == pytest.approx(found.kept)
    assert errors[1] / errors[0] == pytest.approx(found.ratio)


def test_a_move_within_the_subspace_is_not_seen_and_one_out_of_it_is() -> None:
    rng = np.random.default_rng(67)
    flat = rng.normal(size=(500, 4)) * [5.0, 5.0, 0.1, 0.1]
    inside, outside = (
        reconstruction(moments(flat), moments(flat + shift), components=2).ratio
        for shift in ([3.0, 0, 0, 0], [0, 0, 0.3, 0])
    )

    assert 1.0 == pytest.approx(inside, abs=0.1)
    assert outside > 3.0


def test_a_reference_that_the_subspace_holds_whole_has_no_ratio() -> None:
    line = moments(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]))

    assert np.isnan(reconstruction(line, line, components=1).ratio)


def test_references_of_exact_rank_have_no_ratio_whatever_rounding_leaves() -> None:
    rng = np.random.default_rng(68)
    for _ in range(200):
        d = int(rng.integers(2, 40))
        rank = int(rng.integers(1, d))
        basis = rng.normal(size=(rank, d)) * 10.0 ** rng.uniform(-1, 1, size=(rank, 1))
        before = rng.normal(size=(100, rank)) @ basis + 1.0
        within = rng.normal(size=(80, rank)) @ basis + 1.0
        outside = within + rng.normal(size=d)

        found = reconstruction(moments(before), moments(within), components=rank)
        moved = reconstruction(moments(before), moments(outside), components=rank)

        assert np.isnan([found.ratio, moved.ratio]).all()
        assert (0.0, 1.0) == (found.reference, found.kept)
        assert 0.0 <= found.current < 1e-12 < moved.current


@pytest.mark.parametrize("components", [0, 2])
def test_impossible_components_are_refused(components: int) -> None:
    side = moments(np.eye(2))

    with pytest.raises(ValueError, match="components"):
        reconstruction(side, side, components=components)
