"""Intervals cover, and estimates are unbiased, where review depends on score and segment: the study at a small size."""

import numpy as np
import pytest

from detectors.estimation import Rate, rate
from tests.studies.coverage import DESIGNS, cell, draw, traffic

RUNS = 2000


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(
    ("precision", "labels", "seed"), [(0.5, 50, 1), (0.8, 200, 2), (0.95, 1000, 3), (0.99, 5000, 4)]
)
def test_precision_is_unbiased_and_covered_where_review_depends_on_score_and_segment(
    design: str, precision: float, labels: int, seed: int
) -> None:
    told, rarer = cell(traffic(design, precision=precision), Rate.PRECISION, labels=labels, windows=RUNS, seed=seed)

    assert rarer > 10
    assert 0.93 <= told["typical"].coverage <= 0.97
    assert abs(told["score"].bias) < max(4 * told["score"].error / np.sqrt(RUNS), 0.01 * (labels == 50))
    if design in {"high scores", "low scores"}:
        assert told["naive"].coverage < 0.8


@pytest.mark.parametrize("which", [Rate.RECALL, Rate.FALSE_POSITIVE_RATE, Rate.PREVALENCE])
@pytest.mark.parametrize("design", DESIGNS)
def test_rates_over_all_decisions_are_covered_where_the_rarer_verdict_has_some_labels(design: str, which: Rate) -> None:
    told, rarer = cell(traffic(design), which, labels=5000, windows=RUNS, seed=5)

    assert rarer > 2
    assert 0.93 <= told["typical"].coverage <= 0.97


@pytest.mark.parametrize(
    ("design", "labels"), [("equal", 50), ("high scores", 200), ("one segment", 50), ("a queue", 50)]
)
def test_precision_is_covered_however_few_benign_labels_there_are(design: str, labels: int) -> None:
    told, rarer = cell(traffic(design, precision=0.99), Rate.PRECISION, labels=labels, windows=RUNS, seed=9)

    assert rarer < 2.5
    assert 0.95 <= told["typical"].coverage <= 0.99


def test_where_a_side_is_hardly_ever_labelled_few_windows_have_a_wrong_interval() -> None:
    source = traffic("low scores", prevalence=0.1)
    told, rarer = cell(source, Rate.PREVALENCE, labels=50, windows=RUNS, seed=10)

    assert rarer < 2.5
    assert told["typical"].known < 0.25
    assert told["typical"].coverage < 0.9
    assert told["typical"].wrong < 0.05


def test_kishs_sample_size_covers_too_rarely_however_many_labels_there_are() -> None:
    told, _ = cell(traffic("high scores", precision=0.95), Rate.PRECISION, labels=5000, windows=RUNS, seed=6)

    assert told["Kish"].coverage < 0.85
    assert 0.93 <= told["interval_n"].coverage <= 0.97


def test_typical_weights_repair_what_a_few_heavy_labels_break() -> None:
    told, rarer = cell(traffic("high scores", precision=0.95), Rate.PRECISION, labels=200, windows=RUNS, seed=7)

    assert 3 < rarer < 6
    assert told["score"].coverage < 0.90
    assert 0.93 <= told["typical"].coverage <= 0.97


def test_the_variance_of_the_formula_is_that_of_repeated_sampling() -> None:
    found = draw(traffic("unsure scores", precision=0.8), 1000, windows=RUNS, rng=np.random.default_rng(8))
    estimate = rate(found.sums, Rate.PRECISION)

    assert estimate.estimate.var() == pytest.approx(estimate.variance.mean(), rel=0.1)
