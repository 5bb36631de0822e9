"""The search against planted causes (the study at a small size), and what must hold for any cells."""

import numpy as np
import pytest
import scipy.stats

from detectors.attribution import Cells, Dimension, Factor, Role, cells, explain, window_sums
from detectors.attribution.level import volume_variation
from detectors.attribution.scans import log_p_value
from tests.studies.attribution import Planted, cube, draw, false_names, hits_of_one, hits_of_two, plant, world

SPACE = cube(5, 4, 3, 3)
"""720 cells, so that a run takes 50 ms; the study has 2,880."""


def test_one_planted_cause_is_named_first() -> None:
    hits = hits_of_one(np.random.default_rng(1), SPACE, runs=100, labels=8000, points=0.05)

    assert np.mean([hit for each in hits.values() for hit in each]) >= 0.95


def test_two_planted_causes_are_the_first_two() -> None:
    hits = hits_of_two(np.random.default_rng(2), SPACE, runs=40, labels=8000, points=0.03)

    assert np.mean(hits) >= 0.85


@pytest.mark.parametrize("labels", [1000.0, 8000.0])
def test_where_only_volumes_vary_hardly_anything_is_named(labels: float) -> None:
    runs = 30

    named = false_names(np.random.default_rng(3), SPACE, runs=runs, labels=labels)

    assert named <= scipy.stats.binom.ppf(0.99, runs, 0.05)


def planted_cells(factor: Factor, seed: int) -> tuple[Cells, Planted]:
    rng = np.random.default_rng(seed)
    there = world(rng, SPACE)
    cause = plant(there, rng, factor, points=0.04)
    assert cause is not None
    return draw(there, rng, labels=8000), cause


@pytest.mark.parametrize("factor", [Factor.WITHIN, Factor.VERSION, Factor.REVIEWER])
def test_contributions_and_remainders_add_up_to_components_and_these_to_the_change(factor: Factor) -> None:
    both, _ = planted_cells(factor, seed=5)

    found = explain(both)

    parts = found.decomposition
    for place, each in enumerate(parts.factors):
        named = sum(cause.contribution for cause in found.causes if cause.factor is each)
        assert named + found.remainders[place] == pytest.approx(parts.component(each), abs=1e-12)
    assert float(parts.components.sum()) == pytest.approx(both.current.rate - both.reference.rate, abs=1e-9)


def test_the_contribution_of_the_cause_is_what_was_planted_within_its_error() -> None:
    errors = []
    for seed in range(20):
        both, cause = planted_cells(Factor.WITHIN, seed)
        first = explain(both).causes[0]
        if (first.factor, first.segment) == (cause.factor, cause.segment):
            errors.append((first.contribution + 0.04) / first.standard_error)

    assert len(errors) >= 15
    # The planted number is for the current traffic, the contribution for the mean of both windows.
    assert np.sqrt(np.mean(np.square(errors))) < 1.6


def test_swapping_the_windows_names_the_same_causes_with_other_signs() -> None:
    both, cause = planted_cells(Factor.WITHIN, seed=3)

    there = explain(both)
    back = explain(Cells(both.dimensions, both.codes, both.current, both.reference))

    assert [cause.segment] == [each.segment for each in there.causes] == [each.segment for each in back.causes]
    assert there.causes[0].contribution == pytest.approx(-back.causes[0].contribution, rel=0.05)


def test_the_same_cells_give_the_same_explanation() -> None:
    both, _ = planted_cells(Factor.VERSION, seed=8)

    assert explain(both).causes == explain(both).causes


AXES = (Dimension("policy", ("hate", "spam", "nudity")), Dimension("language", ("en", "pt", "de")))
CODES = np.indices((3, 3)).reshape(2, -1).T


def fallen(inside: np.ndarray, *, now: float, labels: float = 1000.0) -> Cells:
    """Precision .9 everywhere, `now` in some cells of the current window; expected sums."""
    rate = np.where(inside, now, 0.9)
    before = window_sums(np.full(9, 0.9 * labels), np.full(9, 0.1 * labels))
    return cells(AXES, CODES, reference=before, current=window_sums(rate * labels, (1 - rate) * labels))


def test_a_parent_is_named_where_all_its_children_moved_and_a_child_where_its_siblings_did_not() -> None:
    hate, german = CODES[:, 0] == 0, CODES[:, 1] == 2

    assert [(("policy", "hate"),)] == [cause.segment for cause in explain(fallen(hate, now=0.7)).causes]
    child = explain(fallen(hate & german, now=0.6)).causes
    assert [(("policy", "hate"), ("language", "de"))] == [cause.segment for cause in child]
    assert [()] == [cause.segment for cause in explain(fallen(hate | ~hate, now=0.8)).causes]


def test_two_children_of_one_parent_are_named_and_not_the_parent() -> None:
    first, second = (CODES == [0, 0]).all(axis=1), (CODES == [0, 2]).all(axis=1)

    found = explain(fallen(first | second, now=0.6))

    assert {(("policy", "hate"), ("language", "en")), (("policy", "hate"), ("language", "de"))} == {
        cause.segment for cause in found.causes
    }


def test_a_fall_too_small_for_its_labels_or_for_anyone_to_care_is_not_named() -> None:
    hate = CODES[:, 0] == 0

    assert () == explain(fallen(hate, now=0.85, labels=100.0)).causes
    assert () == explain(fallen(hate, now=0.895, labels=1e6)).causes
    assert 1 == len(explain(fallen(hate, now=0.895, labels=1e6), least_contribution=0.001).causes)


def test_a_mix_shift_between_equal_rates_is_no_cause() -> None:
    decisions = np.full(9, 10_000.0)
    before = window_sums(np.full(9, 900.0), np.full(9, 100.0), decisions=decisions)
    grown = np.where(CODES[:, 0] == 0, 3.0, 1.0)
    after = window_sums(900.0 * grown, 100.0 * grown, decisions=decisions * grown)

    assert () == explain(cells(AXES, CODES, reference=before, current=after)).causes


def test_a_new_version_is_named_and_not_the_old_one_that_it_replaces() -> None:
    axes = (AXES[0], Dimension("model", ("v1", "v2"), Role.VERSION))
    codes = np.indices((3, 2)).reshape(2, -1).T
    new = codes[:, 1] == 1
    before = window_sums(np.where(new, 0, 1800.0), np.where(new, 0, 200.0))
    after = window_sums(np.where(new, 800.0, 900.0), np.where(new, 200.0, 100.0))

    found = explain(cells(axes, codes, reference=before, current=after)).causes

    assert [(Factor.VERSION, (("model", "v2"),))] == [(cause.factor, cause.segment) for cause in found]
    assert -0.05 == pytest.approx(found[0].contribution, abs=0.003)


@pytest.mark.parametrize("old", [False, True])
def test_versions_alone_without_segments_are_searched_too(old: bool) -> None:
    axes = (Dimension("model", ("v1", "v2"), Role.VERSION),)
    first, second = window_sums([1800.0, 0.0], [200.0, 0.0]), window_sums([900.0, 700.0], [100.0, 300.0])
    before, after = (second, first) if old else (first, second)

    found = explain(cells(axes, [[0], [1]], reference=before, current=after)).causes

    assert [(Factor.VERSION, (("model", "v1" if old else "v2"),))] == [(each.factor, each.segment) for each in found]
    assert (0.1 if old else -0.1) == pytest.approx(found[0].contribution, abs=0.005)


def test_a_window_without_labels_has_no_causes_and_no_components() -> None:
    empty = window_sums(np.zeros(9), np.zeros(9))

    found = explain(cells(AXES, CODES, reference=empty, current=window_sums(np.full(9, 90.0), np.full(9, 10.0))))

    assert () == found.causes
    assert np.isnan(found.decomposition.components).all()


def test_the_variation_of_volumes_is_found_although_a_fifth_of_them_moved() -> None:
    rng = np.random.default_rng(4)
    axes = [Dimension("place", tuple(map(str, range(2000))))]
    volumes = 500 * np.exp(0.1 * rng.standard_normal((2, 2000)))
    volumes[1, :400] *= 3
    drawn = rng.poisson(volumes)
    both = cells(
        axes,
        np.arange(2000)[:, None],
        reference=window_sums(drawn[0], drawn[0]),
        current=window_sums(drawn[1], drawn[1]),
    )

    assert 0.1 == pytest.approx(np.sqrt(volume_variation(both)), rel=0.35)


def test_p_values_are_those_of_the_normal_law_and_never_run_out() -> None:
    z = np.array([0.0, 1.0, -2.5, 5.0])

    np.testing.assert_allclose(np.exp(log_p_value(z)), 2 * scipy.stats.norm.sf(np.abs(z)))
    assert np.isfinite(log_p_value(np.array([100.0]))).all()


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_a_level_outside_0_and_1_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        explain(fallen(CODES[:, 0] == 0, now=0.8), alpha=alpha)
