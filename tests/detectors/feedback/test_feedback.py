"""Appeals, reviewers' errors and label shift against published values and enumeration."""

import numpy as np
import pytest
import scipy

from detectors.arrays import Floats
from detectors.feedback import Reason, appeal_shares, appeals_with_audit, bbse, cohens_kappa, rogan_gladen, saerens
from detectors.intervals import wilson


def test_bounds_are_the_worst_and_best_of_all_outcomes_of_what_was_not_appealed() -> None:
    found = appeal_shares(6, 3, overturned=1)

    right = [(2 + extra) / 6 for extra in range(4)]
    assert (min(right), max(right)) == pytest.approx((float(found.precision_lower), float(found.precision_upper)))


def test_two_denominators_give_the_two_published_numbers() -> None:
    found = appeal_shares(5_900_000, 109_000, overturned=24_000)

    assert (0.22, 0.0041) == (
        round(float(found.overturned_of_decided), 2),
        round(float(found.overturned_of_actioned), 4),
    )


def test_appeals_with_an_audit_are_unbiased_and_their_variance_true_where_appeals_are_selected() -> None:
    rng = np.random.default_rng(5)
    wrong = rng.random(5000) < 0.1
    appealed = rng.random(5000) < np.where(wrong, 0.5, 0.05)
    rest = wrong[~appealed]
    sampled = rng.hypergeometric(rest.sum(), (~rest).sum(), 200, 20_000) / 200
    fpc = 1 - 200 / rest.size
    found = appeals_with_audit(
        5000,
        appealed.sum(),
        overturned=(wrong & appealed).sum(),
        audited_error=sampled,
        audited_variance=fpc * sampled * (1 - sampled) / 199,
    )

    assert found.error_share.mean() == pytest.approx(wrong.mean(), abs=5e-4)
    assert found.variance.mean() == pytest.approx(found.error_share.var(), rel=0.05)
    assert abs(wrong[appealed].mean() - wrong.mean()) > 0.3


def test_an_audit_is_missed_only_where_something_was_not_appealed() -> None:
    found = appeals_with_audit([10, 10], [10, 5], overturned=2, audited_error=np.nan, audited_variance=np.nan)

    assert 0.8 == found.precision[0]
    assert np.isnan(found.precision[1])


def test_more_overturned_than_decided_is_refused() -> None:
    with pytest.raises(ValueError, match="overturned <= decided <= actioned"):
        appeal_shares(10, 2, overturned=3)


def test_the_published_examples_of_epir_are_reproduced() -> None:
    k, n = np.array([45, 6, 80, 100, 50]), np.array([150, 151, 210, 189, 124])
    q = wilson(k, n)
    found = rogan_gladen(
        k / n,
        sensitivity=[0.96, 0.964, 0.60, 0.65, 0.70],
        specificity=[0.89, 0.927, 0.90, 0.95, 0.99],
        variance=0.001,
        lower=q.lower,
        upper=q.upper,
    )

    assert [0.223529, -0.037334, 0.561905, 0.798501, 0.569892] == found.estimate.round(6).tolist()
    assert (0.1440, 0.3148) == (round(float(found.lower[0]), 4), round(float(found.upper[0]), 4))
    assert [Reason.VALID, Reason.OUT_OF_RANGE, Reason.VALID, Reason.VALID, Reason.VALID] == found.reason.tolist()


def test_mapped_clopper_pearson_limits_are_the_published_ones() -> None:
    low, high = scipy.special.betaincinv(45, 106, 0.025), scipy.special.betaincinv(46, 105, 0.975)
    found = rogan_gladen(0.3, sensitivity=0.96, specificity=0.89, variance=0.0014, lower=low, upper=high)

    assert (0.1388, 0.3178) == (round(float(found.lower), 4), round(float(found.upper), 4))


def test_the_delta_method_variance_is_that_of_a_simulation() -> None:
    rng = np.random.default_rng(6)
    q, se, sp = 0.05 + 0.85 * 0.3, 0.9, 0.95
    flagged = rng.binomial(2000, q, 50_000) / 2000
    sens, spec = rng.binomial(500, se, 50_000) / 500, rng.binomial(500, sp, 50_000) / 500
    drawn = rogan_gladen(flagged, sensitivity=sens, specificity=spec, variance=0.0).estimate

    found = rogan_gladen(
        q,
        sensitivity=se,
        specificity=sp,
        variance=q * (1 - q) / 2000,
        sensitivity_variance=se * (1 - se) / 500,
        specificity_variance=sp * (1 - sp) / 500,
    )

    assert float(found.estimate) == pytest.approx(0.3)
    assert float(found.variance) == pytest.approx(drawn.var(), rel=0.03)


def test_reviewers_who_hardly_discriminate_are_refused_and_a_missing_share_says_so() -> None:
    found = rogan_gladen([0.5, np.nan], sensitivity=[0.55, 0.9], specificity=[0.5, 0.9], variance=0.01)

    assert np.isnan(found.estimate).all()
    assert [Reason.NOT_IDENTIFIED, Reason.NO_DATA] == found.reason.tolist()


def test_shift_estimation_recovers_planted_shares_of_three_classes() -> None:
    given_true = np.array([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.2, 0.7]])
    source, target = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])

    found = bbse(given_true * source * 1e6, given_true @ target * 1e5)

    assert found.target_share.tolist() == pytest.approx(target.tolist())
    assert found.weight.tolist() == pytest.approx((target / source).tolist())
    assert found.condition == pytest.approx(np.linalg.cond(given_true))


def test_two_classes_are_rogan_gladens_estimate() -> None:
    found = bbse([[89, 4], [11, 96]], [105, 45])

    assert 0.2235294 == round(float(found.target_share[1]), 7)


def test_an_ill_conditioned_classifier_is_refused_and_an_impossible_share_marked() -> None:
    assert bbse([[50, 49], [50, 51]], [10, 10]).reason is Reason.NOT_IDENTIFIED
    assert bbse([[89, 4], [11, 96]], [145, 5]).reason is Reason.OUT_OF_RANGE
    assert bbse([[89, 4], [11, 96]], [0, 0]).reason is Reason.NO_DATA


def test_the_published_prior_of_saerens_example_is_reproduced_also_from_counts() -> None:
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1])

    found = saerens(np.column_stack([1 - p, p]), [0.5, 0.5], count=[1, 1, 1, 1, 1, 2, 1, 2])

    assert 0.31273083 == round(float(found[1]), 8)


@pytest.mark.parametrize("differ", [0.0, 1e-7, 1e-6, 3e-6])
def test_shares_of_classes_that_no_item_tells_apart_are_none(differ: float) -> None:
    # Two bins, x and not x, whose likelihood ratio is 1 +- `differ`; nine tenths of the target are of the second class.
    ratio = np.array([1 - differ, 1 + differ])
    posterior = np.column_stack([1 / (1 + ratio), ratio / (1 + ratio)])

    assert np.isnan(saerens(posterior, [0.5, 0.5], count=1e9 * (0.1 + 0.9 * ratio) / 2)).all()


def test_constant_posteriors_tell_shares_only_where_they_are_not_the_source() -> None:
    assert np.isnan(saerens([[0.7, 0.3]] * 100, [0.7, 0.3])).all()
    assert np.isnan(saerens([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.8, 0.1, 0.1]], [0.5, 0.25, 0.25])).all()
    assert [1.0, 0.0] == pytest.approx(saerens([[0.7, 0.3]] * 100, [0.5, 0.5]).tolist())


@pytest.mark.parametrize("seed", range(8))
def test_shares_are_those_of_the_greatest_likelihood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratio, prior = np.exp(rng.normal(size=(30, 3))), rng.dirichlet(np.full(3, 3.0))
    posterior = ratio * prior / (ratio @ prior)[:, None]
    count = rng.integers(1, 50, 30)

    found = saerens(posterior, prior, count=count)

    def loss(q: Floats) -> float:
        return float(-(count * np.log(posterior / prior @ q)).sum() / count.sum())

    best = scipy.optimize.minimize(
        loss,
        np.full(3, 1 / 3),
        bounds=[(0.0, 1.0)] * 3,
        constraints=scipy.optimize.LinearConstraint(np.ones((1, 3)), 1.0, 1.0),
        options={"ftol": 1e-15},
    )
    assert best.x.tolist() == pytest.approx(found.tolist(), abs=1e-4)


def test_kappa_of_a_classical_table_and_of_no_disagreement_possible() -> None:
    assert cohens_kappa([[20, 5], [10, 15]]) == pytest.approx(0.4)
    assert np.isnan(cohens_kappa([[7, 0], [0, 0]]))


@pytest.mark.parametrize("shape", [(0, 0), (2, 2), (3, 0, 0), (3, 2, 2)])
def test_kappa_of_no_items_is_unknown(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(np.full(shape[:-2], np.nan), cohens_kappa(np.zeros(shape)))


def test_a_score_bin_without_items_changes_nothing() -> None:
    assert [0.0, 1.0] == saerens([[1, 0], [0, 1]], [0.5, 0.5], count=[0, 5]).tolist()
    assert [0.0, 1.0] == saerens([[1.0, 0.0], [0.3, 0.7], [0.0, 1.0]], [0.5, 0.5], count=[0, 0, 7]).tolist()


def test_an_unknown_audited_error_has_no_known_variance() -> None:
    found = appeals_with_audit(100, [50, 100], overturned=5, audited_error=np.nan, audited_variance=0.01)

    assert [True, False] == np.isnan(found.error_share).tolist() == np.isnan(found.variance).tolist()
    assert (0.05, 0.0) == (found.error_share[1], found.variance[1])
