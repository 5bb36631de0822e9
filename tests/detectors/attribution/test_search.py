"""The search against planted causes (the study at a small size), and what must hold for any cells."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from detectors.attribution import Cells, Dimension, Factor, Role, cells, collapse, decompose, explain, window_sums
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


def test_a_language_that_falls_from_1_to_0_is_one_cause_and_one_that_did_not_change_is_none() -> None:
    before, after = window_sums([900.0, 1000.0], [100.0, 0.0]), window_sums([900.0, 0.0], [100.0, 1000.0])

    found = explain(cells([Dimension("language", ("en", "pt"))], [[0], [1]], reference=before, current=after)).causes

    assert [(Factor.WITHIN, (("language", "pt"),))] == [(cause.factor, cause.segment) for cause in found]
    assert -0.5 == pytest.approx(found[0].contribution, abs=1e-9)


@pytest.mark.parametrize("labels", [3000.0, 20_000.0])
@pytest.mark.parametrize(("usual", "now"), [(0.1, 0.02), (0.2, 0.04), (0.5, 0.1), (0.3, 0.9), (0.02, 0.7), (0.9, 0.0)])
def test_a_cell_whose_error_moved_far_is_named_alone_with_all_that_it_moved(
    usual: float, now: float, labels: float
) -> None:
    axes = (AXES[0], Dimension("language", ("en", "pt")))
    codes = np.indices((3, 2)).reshape(2, -1).T
    moved = (codes == [0, 1]).all(axis=1)
    before, after = (np.where(moved, error, 0.1) * labels for error in (usual, now))
    both = cells(
        axes, codes, reference=window_sums(labels - before, before), current=window_sums(labels - after, after)
    )

    found = explain(both).causes

    assert [(Factor.WITHIN, (("policy", "hate"), ("language", "pt")))] == [
        (each.factor, each.segment) for each in found
    ]
    assert (usual - now) / 6 == pytest.approx(found[0].contribution, abs=1e-9)


@pytest.mark.parametrize("now", [0.4, 0.2, 0.0])
def test_a_parent_all_of_whose_children_fell_far_is_named_alone(now: float) -> None:
    found = explain(fallen(CODES[:, 0] == 0, now=now)).causes

    assert [(("policy", "hate"),)] == [cause.segment for cause in found]
    assert (now - 0.9) / 3 == pytest.approx(found[0].contribution, abs=1e-9)


@pytest.mark.parametrize("fall", [1.0, 2.0, 3.0])
def test_a_parent_is_named_alone_where_children_of_unequal_rates_fell_alike(fall: float) -> None:
    logit = scipy.special.logit(np.array([0.95, 0.9, 0.7] + 6 * [0.9]))
    before, after = scipy.special.expit(logit), scipy.special.expit(logit - fall * (CODES[:, 0] == 0))
    both = cells(
        AXES,
        CODES,
        reference=window_sums(3000 * before, 3000 * (1 - before)),
        current=window_sums(3000 * after, 3000 * (1 - after)),
    )

    found = explain(both).causes

    assert [(("policy", "hate"),)] == [cause.segment for cause in found]
    assert (after - before).mean() == pytest.approx(found[0].contribution, abs=1e-9)


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


CHANGING = {
    Factor.MIX: Dimension("changing", ("old", "new")),
    Factor.VERSION: Dimension("changing", ("old", "new"), Role.VERSION),
    Factor.REVIEWER: Dimension("changing", ("old", "new"), Role.REVIEWER),
}


def cut_over(factor: Factor, *, share: float, policies: int = 3, labels: float = 10_000.0) -> Cells:
    """In some of 3 policies this share of decisions goes from an old value to a new one; precision .9 and .7.

    A mix shift without policies: where all of 5 or more volumes move, that is how volumes vary.
    """
    codes = np.indices((3, 2)).reshape(2, -1).T
    new = codes[:, 1] == 1
    moved = np.where(codes[:, 0] < policies, share, 0.0)
    precision = np.where(new, 0.7, 0.9)
    before, after = labels * np.where(new, 0.0, 1.0), labels * np.where(new, moved, 1.0 - moved)
    decided = np.where(new, 0.0, 5.0 * labels)  # Reviewers divide the labels and not the decisions.
    reference, current = (
        window_sums(
            precision * each, (1.0 - precision) * each, decisions=decided if factor is Factor.REVIEWER else 5.0 * each
        )
        for each in (before, after)
    )
    found = cells((AXES[0], CHANGING[factor]), codes, reference=reference, current=current)
    return collapse(found, "changing") if factor is Factor.MIX else found


@pytest.mark.parametrize("share", [0.9, 0.9999, 1.0])
@pytest.mark.parametrize("factor", CHANGING)
def test_a_cut_over_is_one_cause_that_explains_the_whole_component_even_if_nothing_is_left(
    factor: Factor, share: float
) -> None:
    both = cut_over(factor, share=share)
    back = Cells(both.dimensions, both.codes, both.current, both.reference)
    component = decompose(both).component(factor)

    found, undone = explain(both).causes, explain(back).causes

    assert -0.2 * share == pytest.approx(component, abs=1e-9)
    assert [(factor, (("changing", "new"),))] == [(cause.factor, cause.segment) for cause in found]
    assert component == pytest.approx(found[0].contribution, abs=2e-4)
    assert [(factor, (("changing", "old"),))] == [(cause.factor, cause.segment) for cause in undone]
    assert -component == pytest.approx(undone[0].contribution, abs=2e-4)


@pytest.mark.parametrize("factor", [Factor.VERSION, Factor.REVIEWER])
def test_what_is_replaced_in_one_policy_only_is_named_there(factor: Factor) -> None:
    both = cut_over(factor, share=1.0, policies=1)

    found = explain(both).causes

    assert [(factor, (("policy", "hate"), ("changing", "new")))] == [(cause.factor, cause.segment) for cause in found]
    assert decompose(both).component(factor) == pytest.approx(found[0].contribution, abs=2e-4)


@pytest.mark.parametrize("factor", [Factor.VERSION, Factor.REVIEWER])
def test_a_cut_over_is_named_in_sparse_cells_whose_volumes_vary(factor: Factor) -> None:
    rng = np.random.default_rng(9)
    there = world(rng, SPACE)
    version = factor is Factor.VERSION
    new, share = (SPACE.new_model, there.model) if version else (SPACE.new_rules, there.rulebook)
    share[:] = np.stack([~new, new])
    there.logit[:, new] -= 0.7

    found = explain(draw(there, rng, labels=8000))

    named = (("model", "v2"),) if version else (("rulebook", "new"),)
    assert [(factor, named)] == [(cause.factor, cause.segment) for cause in found.causes]
    assert abs(found.remainders[found.decomposition.factors.index(factor)]) < found.causes[0].standard_error


@pytest.mark.parametrize("least", [0.0, 0.002])
def test_a_new_version_without_labels_is_not_named_however_much_traffic_it_has(least: float) -> None:
    axes = (AXES[0], Dimension("language", ("en", "pt")), Dimension("model", ("v1", "v2"), Role.VERSION))
    codes = np.indices((3, 2, 2)).reshape(3, -1).T
    new = codes[:, 2] == 1
    positive, negative = np.zeros(12), np.zeros(12)
    positive[~new], negative[~new] = [8, 11, 20, 16, 18, 20], [12, 9, 0, 4, 2, 0]
    before, after = (
        window_sums(positive, negative, decisions=np.where(new, launched, 10_000.0 - launched))
        for launched in (0.0, 5000.0)
    )

    assert () == explain(cells(axes, codes, reference=before, current=after), least_contribution=least).causes


def test_a_segment_without_labels_that_triples_is_no_mix_shift() -> None:
    codes = np.indices((3, 2)).reshape(2, -1).T
    unlabelled = (codes == [0, 1]).all(axis=1)
    precision = np.where(codes[:, 0] == 0, 0.4, 0.95)
    labels = np.where(unlabelled, 0.0, 1000.0)
    before, after = (
        window_sums(precision * labels, (1.0 - precision) * labels, decisions=np.where(unlabelled, grown, 5000.0))
        for grown in (5000.0, 15_000.0)
    )
    both = cells((AXES[0], Dimension("language", ("en", "pt"))), codes, reference=before, current=after)

    assert Factor.MIX not in {cause.factor for cause in explain(both).causes}


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
