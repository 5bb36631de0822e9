"""Prediction-powered estimates against published values, explicit formulas over labels and simulation."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.arrays import Bools, Floats
from detectors.estimation import hajek_from_labels
from detectors.prediction_powered import (
    Gate,
    PairSums,
    ProxySums,
    difference,
    pair_sums_from_labels,
    ppi,
    proxy_helps,
    proxy_sums_from_labels,
)


def test_a_proxy_off_by_a_constant_costs_nothing() -> None:
    # The unit test of ppi_py: exactly 0 whatever the labels are, up to rounding.
    y = np.random.default_rng(1).normal(size=100)

    found = ppi(pair_sums_from_labels(y, y + 2, unlabelled_f=np.full(10_000, 2.0)), proxy_weight=1.0)

    assert float(found.estimate) == pytest.approx(0.0, abs=1e-12)


def test_the_effective_sample_of_the_published_power_analysis_is_reproduced() -> None:
    # Notebook power_analysis of ppi_py, ballots: 418 labels and 5398 predictions are worth 3557 labels.
    n, others, rho = 418, 5398, 0.975093210410465
    # Labels and proxies with mean 0, variance 1 and that correlation, as sums.
    moments = (n, 0, 0, n - 1, rho * (n - 1), n - 1, others, 0, others - 1)
    sums = PairSums(*(np.array(float(moment)) for moment in moments))
    tuned = ppi(sums)
    planned = ppi(sums, proxy_weight=rho / (1 + n / others))

    assert 3557 == round(float(planned.effective_n))
    assert float(tuned.proxy_weight) == pytest.approx(float(planned.proxy_weight), rel=1e-3)
    # A weight that is estimated costs one more degree of freedom, which the power analysis leaves out.
    assert float(tuned.effective_n) == pytest.approx(3557, rel=2e-3)


@pytest.mark.parametrize(
    ("n", "rho", "published"),
    [
        *[(20, 1 / 18**0.5, 0.9991), (50, 1 / 48**0.5, 1.0), (100, 1 / 98**0.5, 0.9993)],
        *[(20, 0.0, 1.056), (50, 0.0, 1.020), (100, 0.0, 1.011)],
        *[(20, 0.6, 0.711), (50, 0.6, 0.664), (100, 0.6, 0.652)],
    ],
)
def test_the_published_error_ratios_to_the_plain_mean_are_reproduced(n: int, rho: float, published: float) -> None:
    runs = 20_000
    rng = np.random.default_rng(n)
    f = rng.normal(size=(runs, n))
    y = rho * f + np.sqrt(1 - rho**2) * rng.normal(size=(runs, n))
    many = np.full(runs, 1e9)  # the mean and variance of f are known: 0 and 1
    labelled = pair_sums_from_labels(y, f, unlabelled_f=np.zeros((runs, 1)))
    sums = dataclasses.replace(labelled, unlabelled=many, unlabelled_f=0 * many, unlabelled_ff=many)

    tuned = ppi(sums, clip=False, gate_confidence=None).estimate ** 2
    plain = y.mean(axis=1) ** 2

    ratio = tuned.mean() / plain.mean()
    error = np.std(tuned - ratio * plain) / np.sqrt(runs) / plain.mean()
    assert abs(ratio - published) < 4 * error + 0.002


def test_the_tuned_weight_is_that_of_least_squares_and_its_variance_the_explicit_one() -> None:
    rng = np.random.default_rng(2)
    f, other = rng.random(40), rng.random(300)
    y = (rng.random(40) < f).astype(float)

    found = ppi(pair_sums_from_labels(y, f, unlabelled_f=other), gate_confidence=None)

    slope = np.cov(y, f)[0, 1] / ((1 + 40 / 300) * np.concatenate([f, other]).var(ddof=1))
    residual = y - slope * f
    assert 0 < slope < 1
    assert float(found.proxy_weight) == pytest.approx(slope)
    assert float(found.estimate) == pytest.approx(slope * other.mean() + residual.mean())
    assert float(found.variance) == pytest.approx(
        slope**2 * other.var(ddof=1) / 300 + residual.var(ddof=1) * 39 / 38 / 40
    )
    assert float(found.correlation) == pytest.approx(np.corrcoef(y, f)[0, 1])


def labels(seed: int, size: int) -> tuple[Floats, Floats, Floats, Bools]:
    rng = np.random.default_rng(seed)
    f = rng.random(size)
    pi = 0.1 + 0.6 * f
    return (rng.random(size) < f).astype(float), f, pi, rng.random(size) < pi


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_the_difference_from_sums_is_the_formula_over_labels(weight: float) -> None:
    y, f, pi, seen = labels(3, 400)
    w, e = 1 / pi[seen], y[seen] - weight * f[seen]
    centre = np.average(e, weights=w)
    kish = w.sum() ** 2 / np.sum(w**2)

    found = difference(proxy_sums_from_labels(y, f, inclusion_probability=pi, labelled=seen), proxy_weight=weight)

    assert float(found.estimate) == pytest.approx(weight * f.mean() + centre)
    plug_in = np.sum((1 - pi[seen]) * (w * (e - centre)) ** 2) / w.sum() ** 2
    assert float(found.variance) == pytest.approx(plug_in * kish / (kish - 1))
    assert (Gate.PREDICTION_POWERED if weight else Gate.LABELS_ALONE) == found.gate


def test_no_weight_has_a_smaller_variance_than_the_tuned_one() -> None:
    y, f, pi, seen = labels(3, 400)
    sums = proxy_sums_from_labels(y, f, inclusion_probability=pi, labelled=seen)
    variances = [float(difference(sums, proxy_weight=weight).variance) for weight in np.linspace(0, 1, 101)]

    found = difference(sums, gate_confidence=None)

    assert float(found.proxy_weight) == pytest.approx(np.argmin(variances) / 100, abs=0.0051)


def test_weight_zero_is_hajek() -> None:
    y, f, pi, seen = labels(4, 300)

    found = difference(proxy_sums_from_labels(y, f, inclusion_probability=pi, labelled=seen), proxy_weight=0.0)

    assert float(found.estimate) == pytest.approx(float(hajek_from_labels(y[seen], pi[seen]).estimate))


def test_equal_probabilities_give_ppi_with_a_weight_larger_by_the_share_labelled() -> None:
    y, f, _, seen = labels(5, 500)
    sums = proxy_sums_from_labels(y, f, inclusion_probability=0.4, labelled=seen)

    found = difference(sums, proxy_weight=0.8)
    share = seen.sum() / seen.size
    same = ppi(pair_sums_from_labels(y[seen], f[seen], unlabelled_f=f[~seen]), proxy_weight=0.8 * (1 - share))

    assert float(found.estimate) == pytest.approx(float(same.estimate))


@given(st.integers(0, 100), st.integers(0, 200))
def test_sums_of_parts_add_up(seed: int, cut: int) -> None:
    y, f, pi, seen = labels(seed, 200)

    def of(part: slice) -> ProxySums:
        return proxy_sums_from_labels(y[part], f[part], inclusion_probability=pi[part], labelled=seen[part])

    whole, parts = difference(of(slice(None))), difference(of(slice(cut)) + of(slice(cut, None)))

    assert float(parts.estimate) == pytest.approx(float(whole.estimate))
    assert float(parts.variance) == pytest.approx(float(whole.variance))


@pytest.mark.parametrize("tuned", [False, True])
def test_intervals_cover_the_mean_of_the_decisions_where_review_depends_on_the_score(tuned: bool) -> None:
    rng = np.random.default_rng(8)
    f = rng.beta(4, 2, (1000, 1500))
    y = rng.random(f.shape) < f
    pi = 0.05 + 0.2 * f**2
    sums = proxy_sums_from_labels(y, f, inclusion_probability=pi, labelled=rng.random(f.shape) < pi)

    found = difference(sums, proxy_weight=None if tuned else 1.0)

    error = found.estimate - y.mean(axis=1)
    assert 0.93 <= np.mean(np.abs(error) <= 1.96 * np.sqrt(found.variance)) <= 0.97
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(error.size)


def test_the_gate_keeps_a_useless_proxy_out_and_lets_a_good_one_in() -> None:
    rng = np.random.default_rng(9)
    f, noise = rng.normal(size=(4000, 100)), rng.normal(size=(4000, 100))
    other = rng.normal(size=(4000, 200))
    passed = {
        rho: np.mean(
            ppi(pair_sums_from_labels(rho * f + np.sqrt(1 - rho**2) * noise, f, unlabelled_f=other)).gate
            == Gate.PREDICTION_POWERED
        )
        for rho in (0.0, 0.6)
    }

    assert passed[0.0] < 0.03
    assert passed[0.6] > 0.99


def test_too_few_labels_never_pass_the_gate() -> None:
    assert [False, False, False] == proxy_helps([1.0, 0.99, np.nan], [4, 3, 100]).tolist()


@pytest.mark.parametrize("weight", [None, 0.0, 1.0])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 3e6, 1e7, 1e8, 1e9, -1e9])
def test_a_spread_that_the_sums_have_lost_is_no_variance(weight: float | None, offset: float) -> None:
    rng = np.random.default_rng(9)
    y, f, other = rng.normal(size=200), rng.normal(size=200), 1.4 * rng.normal(size=500)
    f += y
    seen = np.arange(200) % 2 == 0

    def both(moved: float) -> list[float]:
        pairs = pair_sums_from_labels(y + moved, f + moved, unlabelled_f=other + moved)
        proxies = proxy_sums_from_labels(y + moved, f + moved, inclusion_probability=0.5, labelled=seen)
        return [
            float(found.variance)
            for found in (ppi(pairs, proxy_weight=weight), difference(proxies, proxy_weight=weight))
        ]

    # At an offset of 0 it is the variance, which no offset changes.
    for found, expected in zip(both(offset), both(0.0), strict=True):
        assert np.isnan(found) if abs(offset) > 1e7 else np.isnan(found) or found == pytest.approx(expected, rel=0.4)
        assert abs(offset) > 1e6 or found == pytest.approx(expected, rel=0.01)


def test_verdicts_that_agree_and_a_full_count_have_no_variance_and_constant_amounts_an_unknown_one() -> None:
    f, seen = np.array([0.25, 0.5, 0.125, 0.5]), [1, 1, 1, 0]
    full = proxy_sums_from_labels([1e9, 2e9, 1e9], 0.5, inclusion_probability=1.0, labelled=[1, 1, 1])
    for constant, expected in ((0.0, 0.0), (1.0, 0.0), (7e9, np.nan)):
        proxies = proxy_sums_from_labels(np.full(4, constant), f, inclusion_probability=0.3, labelled=seen)
        pairs = pair_sums_from_labels(np.full(4, constant), f, unlabelled_f=f)
        for found in (difference(proxies), ppi(pairs)):
            assert float(found.variance) == pytest.approx(expected, nan_ok=True)

    assert 0.0 == float(difference(full).variance)


def test_a_correlation_that_is_none_is_refused() -> None:
    for wrong in (5.0, np.inf, -3.0):
        with pytest.raises(ValueError, match="correlation: found"):
            proxy_helps([0.5, wrong], 50)

    assert [True, False, False] == proxy_helps([1.0, -1.0, np.nan], 50).tolist()


def test_without_labels_there_is_no_estimate_and_a_constant_proxy_falls_back() -> None:
    none = ppi(pair_sums_from_labels(np.empty((1, 0)), np.empty((1, 0)), unlabelled_f=[[0.5, 0.6]]))
    flat = ppi(pair_sums_from_labels([0, 1, 1, 0, 1, 1], np.full(6, 0.3), unlabelled_f=[0.3, 0.3]))

    assert np.isnan(none.estimate[0])
    assert Gate.NO_LABELS == none.gate[0]
    assert Gate.LABELS_ALONE == flat.gate
    assert float(flat.estimate) == pytest.approx(4 / 6)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_its_range_is_refused(bad: float) -> None:
    y, f, pi, seen = labels(1, 20)
    with pytest.raises(ValueError, match="proxy_weight"):
        difference(proxy_sums_from_labels(y, f, inclusion_probability=pi, labelled=seen), proxy_weight=bad)
    with pytest.raises(ValueError, match="proxy_weight"):
        ppi(pair_sums_from_labels(y, f, unlabelled_f=f), proxy_weight=bad)


@pytest.mark.parametrize(("labelled", "others"), [(200, 1), (50, 2), (50, 5), (50, 20)])
def test_intervals_cover_where_unlabelled_decisions_are_fewer_than_labels(labelled: int, others: int) -> None:
    rng = np.random.default_rng(10)
    f = rng.normal(size=(8000, labelled + others))
    y = f + 0.3 * rng.normal(size=f.shape)
    sums = pair_sums_from_labels(y[:, :labelled], f[:, :labelled], unlabelled_f=f[:, labelled:])

    found = ppi(sums, proxy_weight=1.0)

    true_variance = 1 / others + 0.3**2 / labelled
    assert found.estimate.var() == pytest.approx(true_variance, rel=0.06)
    assert found.variance.mean() == pytest.approx(true_variance, rel=0.03)
    assert 0.94 <= np.mean(np.abs(found.estimate) <= 1.96 * np.sqrt(found.variance)) <= 0.96


@pytest.mark.parametrize("unit", [1e-9, 1e-7, 1e-3, 1.0, 1e9])
def test_units_change_neither_the_correlation_nor_which_estimate_is_used(unit: float) -> None:
    rng = np.random.default_rng(11)
    f = rng.normal(size=600)
    y = f + 0.3 * rng.normal(size=600)
    seen = np.arange(600) < 200

    pairs = ppi(pair_sums_from_labels(unit * y[seen], f[seen], unlabelled_f=f[~seen]), clip=False)
    sums = proxy_sums_from_labels(unit * y, unit * f, inclusion_probability=1 / 3, labelled=seen)
    weighted = difference(sums)

    correlation = np.corrcoef(y[seen], f[seen])[0, 1]
    for found in (pairs, weighted):
        assert Gate.PREDICTION_POWERED == found.gate
        assert float(found.correlation) == pytest.approx(correlation)


@pytest.mark.parametrize("value", [1e-7, 0.7, 12345.678, 1.7e7])
def test_labels_that_are_all_the_same_have_no_correlation_in_any_units(value: float) -> None:
    f = np.random.default_rng(12).random(300)
    seen = np.arange(300) < 100
    pi = np.where(np.arange(300) % 2, 0.3, 0.37)

    pairs = ppi(pair_sums_from_labels(np.full(100, value), f[:100], unlabelled_f=f[100:]))
    weighted = difference(proxy_sums_from_labels(np.full(300, value), f, inclusion_probability=pi, labelled=seen))

    assert [True, True] == [bool(np.isnan(found.correlation)) for found in (pairs, weighted)]


@pytest.mark.parametrize("bad", [[float("nan"), 1.0, 0.0], [2, 1, 0], [1], 1])
def test_what_marks_no_labels_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"labelled: (found|got shape) .*, allowed (are 0 and 1|is \(..., 3\))"):
        proxy_sums_from_labels([1, 0, 1], [0.3, 0.2, 0.4], inclusion_probability=0.5, labelled=bad)  # type: ignore[arg-type]
