"""Estimates from single rows of two samples of Californian schools, to the digits that R's survey package prints.

`schools_simple.csv` holds api00 (a school's test score in 2000) of the data set apisrs: 200 of 6194 schools, drawn at
random. `schools_stratified.csv` holds level (Elementary, High, Middle), api00, enroll (pupils) and api_stu (pupils who
were tested) of apistrat: 200 schools by level. Both come with the package (survey, T. Lumley), from figures of the
California Department of Education.
"""

from pathlib import Path

import numpy as np
import pytest

from detectors.arrays import Floats
from detectors.estimation import ratio, stratified_mean, stratified_ratio, stratified_total

HERE = Path(__file__).parent
LEVELS = "EHM"
SIZES = np.array([4421, 755, 1018])


@pytest.fixture(scope="module")
def level() -> np.ndarray:
    """One letter a school of the stratified sample."""
    return np.loadtxt(HERE / "schools_stratified.csv", delimiter=",", skiprows=1, usecols=0, dtype=str)


@pytest.fixture(scope="module")
def schools() -> Floats:
    """(school, api00 / enroll / api_stu) of the stratified sample"""
    return np.loadtxt(HERE / "schools_stratified.csv", delimiter=",", skiprows=1, usecols=(1, 2, 3))


def by_level(level: np.ndarray, values: Floats) -> Floats:
    return np.array([values[level == letter].sum() for letter in LEVELS])


def test_the_mean_of_a_simple_random_sample_is_the_published_one() -> None:
    score = np.loadtxt(HERE / "schools_simple.csv", skiprows=1)

    found = stratified_mean([6194], [score.size], total=[score.sum()], squares=[(score**2).sum()])

    assert ("656.585", "9.24972") == (f"{found.estimate:.3f}", f"{np.sqrt(found.variance):.5f}")


def test_the_rows_have_the_published_means_and_variances_by_level(level: np.ndarray, schools: Floats) -> None:
    found = [schools[level == letter, 0] for letter in LEVELS]

    assert [100, 50, 50] == [len(scores) for scores in found]
    assert [674.43, 625.82, 636.60] == [round(float(scores.mean()), 2) for scores in found]
    assert [15687.419293, 11947.089388, 13824.857143] == [round(float(scores.var(ddof=1)), 6) for scores in found]


def test_the_stratified_mean_of_the_rows_is_the_published_one(level: np.ndarray, schools: Floats) -> None:
    labels = by_level(level, np.ones(len(level)))
    score = schools[:, 0]
    found = stratified_mean(SIZES, labels, total=by_level(level, score), squares=by_level(level, score**2))

    assert ("662.2874", "9.40894") == (f"{found.estimate:.4f}", f"{np.sqrt(found.variance):.5f}")


def test_the_number_of_pupils_is_the_published_one(level: np.ndarray, schools: Floats) -> None:
    labels = by_level(level, np.ones(len(level)))
    pupils = schools[:, 1]
    found = stratified_total(SIZES, labels, total=by_level(level, pupils), squares=by_level(level, pupils**2))

    assert ("3687177.5", "114641.7") == (f"{found.estimate:.1f}", f"{np.sqrt(found.variance):.1f}")


def test_the_share_of_pupils_who_were_tested_is_the_published_one(level: np.ndarray, schools: Floats) -> None:
    labels = by_level(level, np.ones(len(level)))
    tested, pupils = schools[:, 2], schools[:, 1]
    found = stratified_ratio(
        SIZES,
        labels,
        numerator=by_level(level, tested),
        denominator=by_level(level, pupils),
        numerator_squares=by_level(level, tested**2),
        denominator_squares=by_level(level, pupils**2),
        products=by_level(level, tested * pupils),
    )

    assert (".8369569", ".0077571") == (f"{found.estimate:.7f}"[1:], f"{np.sqrt(found.variance):.7f}"[1:])


def test_the_same_ratio_comes_from_two_totals_and_their_covariance(level: np.ndarray, schools: Floats) -> None:
    labels = by_level(level, np.ones(len(level)))
    tested, pupils = schools[:, 2], schools[:, 1]
    above, below, both = (
        stratified_total(SIZES, labels, total=by_level(level, y), squares=by_level(level, y**2))
        for y in (tested, pupils, tested + pupils)
    )
    found = ratio(
        above.estimate,
        below.estimate,
        numerator_variance=above.variance,
        denominator_variance=below.variance,
        covariance=0.5 * (both.variance - above.variance - below.variance),
        labels=labels.sum(),
    )

    assert (".8369569", ".0077571") == (f"{found.estimate:.7f}"[1:], f"{np.sqrt(found.variance):.7f}"[1:])
