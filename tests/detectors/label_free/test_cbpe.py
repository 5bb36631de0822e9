"""CBPE on NannyML's synthetic car-loan data (Apache-2.0) against the values its documentation prints.

`car_loan_counts.csv` holds the data exactly: scores are whole percents and the model decides at 65, so counts of
(window of 5000 rows in order, score, repaid) are all there is. Windows 0 to 9 are the reference, 10 to 19 the analysis.
"""

from pathlib import Path

import numpy as np
import pytest

from detectors.arrays import Floats
from detectors.label_free import LabelFreeEstimate, cbpe, isotonic, precision_sampling_error, reference_band

DECIDES_AT = 65
SCORE = np.arange(101) / 100


@pytest.fixture(scope="module")
def counts() -> Floats:
    """(window, score, not repaid / repaid)"""
    filled = np.zeros((20, 101, 2))
    rows = np.loadtxt(Path(__file__).parent / "car_loan_counts.csv", delimiter=",", skiprows=1, dtype=int)
    filled[rows[:, 0], rows[:, 1]] = rows[:, 2:]
    return filled


@pytest.fixture(scope="module")
def estimated(counts: Floats) -> LabelFreeEstimate:
    reference = counts[:10].sum(axis=0)
    fitted = isotonic(SCORE, reference[:, 1], benign=reference[:, 0])
    decisions = counts[10:].sum(axis=2)
    acted = SCORE >= DECIDES_AT / 100
    return cbpe(fitted(SCORE), decisions * acted, not_actioned=decisions * ~acted)


def realised(counts: Floats) -> tuple[Floats, Floats]:
    repaid = counts[:, DECIDES_AT:, 1].sum(axis=1)
    return repaid / counts[:, DECIDES_AT:].sum(axis=(1, 2)), repaid / counts[:, :, 1].sum(axis=1)


def test_all_ten_published_precisions_are_reproduced(estimated: LabelFreeEstimate) -> None:
    published = [0.957786, 0.957956, 0.958275, 0.956998, 0.958208, 0.941318, 0.941868, 0.939413, 0.943347, 0.941133]

    assert published == estimated.precision.round(6).tolist()


def test_published_recalls_and_true_values_are_reproduced(counts: Floats, estimated: LabelFreeEstimate) -> None:
    windows = [0, 4, 5, 6, 9]
    precision, recall = realised(counts[10:])

    assert [0.928723, 0.930604, 0.883990, 0.883528, 0.889808] == estimated.recall[windows].round(6).tolist()
    assert [0.956660, 0.953764, 0.922449, 0.931473, 0.921304] == precision[windows].round(6).tolist()
    assert [0.930394, 0.927577, 0.905086, 0.899010, 0.905823] == recall[windows].round(6).tolist()


def test_the_uncalibrated_score_is_the_published_one(counts: Floats) -> None:
    acted = counts[10:, DECIDES_AT:].sum(axis=2)
    mean = (acted @ SCORE[DECIDES_AT:]) / acted.sum(axis=1)

    assert [0.941384, 0.943277, 0.904498, 0.907033, 0.905644] == mean[[0, 4, 5, 6, 9]].round(6).tolist()


def test_the_published_band_alarms_from_the_fifth_window_on(counts: Floats, estimated: LabelFreeEstimate) -> None:
    band = reference_band(realised(counts[:10])[0])

    assert (0.946681, 0.967054) == (round(float(band.lower), 6), round(float(band.upper), 6))
    assert [False] * 5 + [True] * 5 == band.leaves(estimated.precision).tolist()


def test_the_published_sampling_error_is_reproduced(counts: Floats) -> None:
    acted = counts[:10, DECIDES_AT:].sum(axis=(0, 1))

    error = precision_sampling_error(acted[1] / acted.sum(), 5000 * acted.sum() / 50_000)

    assert 0.004125 == round(float(error), 6)


def test_single_decisions_are_bins_of_one() -> None:
    c, a = np.array([0.9, 0.6, 0.3]), np.array([1, 1, 0])

    found = cbpe(c, a, not_actioned=1 - a)

    # By all eight outcomes of three independent verdicts.
    outcomes = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)])
    chance = np.prod(np.where(outcomes, c, 1 - c), axis=1)
    tp, positives = chance @ (outcomes * a).sum(axis=1), chance @ outcomes.sum(axis=1)
    assert float(found.precision) == pytest.approx(tp / 2)
    assert float(found.recall) == pytest.approx(tp / positives)
    assert float(found.f1) == pytest.approx(2 * tp / (2 + positives))
    assert float(found.false_positive_rate) == pytest.approx((2 - tp) / (3 - positives))


def test_where_the_true_precision_fell_the_estimate_flatters(counts: Floats, estimated: LabelFreeEstimate) -> None:
    bias = estimated.precision - realised(counts[10:])[0]

    assert np.abs(bias[:5]).max() < 0.005
    assert bias[5:].min() > 0.0075
    assert 0.019 == round(float(bias[5]), 3)


def test_nothing_actioned_leaves_precision_undefined() -> None:
    assert np.isnan(cbpe([0.2], [0], not_actioned=[5]).precision)


def test_series_may_have_probabilities_of_their_own() -> None:
    c = np.array([[0.9, 0.6], [0.3, 0.4]])

    found = cbpe(c, [[1, 1], [2, 0]], not_actioned=[0, 1])

    assert [1.5 / 2, 0.6 / 2] == pytest.approx(found.precision.tolist())
    assert [1.5 / 2.1, 0.6 / 1.0] == pytest.approx(found.recall.tolist())


@pytest.mark.parametrize(
    ("probability", "actioned", "not_actioned", "message"),
    [
        ([0.2, 0.9], [10], [5, 5], r"actioned: shape \(1,\), allowed is \(..., bins\) with probability's, \(2,\)"),
        ([0.2, 0.9], [10, 10], [5], r"not_actioned: shape \(1,\)"),
        ([0.2, 0.9], 10, 5, r"actioned: shape \(\)"),
        ([0.2, 0.9], [[10], [20]], [5, 5], r"actioned: shape \(2, 1\)"),
        ([0.2], [10, 10], [5, 5], r"actioned: shape \(2,\)"),
        (0.2, [10, 10], [5, 5], r"actioned: shape \(2,\), allowed is \(..., bins\) with probability's, \(\)"),
    ],
)
def test_counts_of_other_bins_than_those_of_the_probabilities_are_refused(
    probability: object, actioned: object, not_actioned: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cbpe(probability, actioned, not_actioned=not_actioned)  # type: ignore[arg-type]


def test_a_band_needs_two_windows() -> None:
    with pytest.raises(ValueError, match="at least two windows"):
        reference_band([0.9])


@pytest.mark.parametrize(("windows", "one_in"), [(3, 5.95), (10, 41.9), (100, 268)])
def test_three_deviations_of_few_windows_are_passed_more_often_than_of_many(windows: int, one_in: float) -> None:
    drawn = np.random.default_rng(windows).normal(0.9, 0.01, (60_000, windows + 1))
    band = reference_band(drawn[:, :-1])
    outside = (drawn[:, -1] < band.lower) | (drawn[:, -1] > band.upper)

    assert 1 / one_in == pytest.approx(outside.mean(), abs=4 * (1 / one_in / 60_000) ** 0.5)


@pytest.mark.parametrize("bad", [-3.0, float("nan"), float("inf")])
def test_a_band_that_nothing_or_everything_leaves_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="deviations: found"):
        reference_band([0.1, 0.2], deviations=bad)
