"""The multivariate EWMA against published run lengths, its definition in a loop, and simulation."""

import numpy as np
import pytest
import scipy

from detectors.arrays import Floats
from detectors.charts import mewma, mewma_run_length, mewma_threshold, whiten

PUBLISHED = {0.0: 199.78, 0.5: 35.05, 1.0: 12.17, 1.5: 7.22, 2.0: 5.19, 3.0: 3.42}


@pytest.mark.parametrize("shift", PUBLISHED)
def test_run_lengths_of_four_features_are_those_of_the_published_chain_within_its_coarseness(shift: float) -> None:
    found = mewma_run_length(shift, features=4, smoothing=0.1, threshold=12.73).mean

    assert found == pytest.approx(PUBLISHED[shift], rel=0.004)


def chain(shift: float, *, rings: int, radius: float) -> float:
    """The approximation of Runger and Prabhu 1996 for the example: z is moved to the middle of a cell after each step.

    An alarm comes where z is longer than `radius`, the root of H r / (2 - r).
    In control the cells are rings of the length of z; after a shift, cells of a grid of its component along the shift
    and the length of the rest, those with their middle inside the limit.
    """
    features, smoothing = 4, 0.1
    width = 2 * radius / (2 * rings + 1)
    middle = np.arange(rings + 1.0) * width
    edge = np.clip((np.arange(rings + 2.0) - 0.5) * width, 0, None)

    def across(freedom: int) -> Floats:
        """Probability of each ring from each ring."""
        start = ((1 - smoothing) * middle[:, np.newaxis] / smoothing) ** 2
        return np.diff(scipy.special.chndtr((edge / smoothing) ** 2, freedom, start), axis=1)

    if shift == 0:
        kept, step = np.zeros(rings + 1), across(features)
    else:
        place = np.arange(-rings, rings + 1.0) * width
        border = (np.arange(-rings, rings + 2.0) - 0.5) * width
        along = scipy.special.ndtr((border - (1 - smoothing) * place[:, np.newaxis]) / smoothing - shift)
        kept = np.hypot(place[:, np.newaxis], middle).ravel()
        inside = kept < radius
        steps = np.kron(np.diff(along, axis=1), across(features - 1)).astype(np.float64)
        kept, step = kept[inside], steps[np.ix_(inside, inside)]
    lengths = np.linalg.solve(np.eye(len(step)) - step, np.ones(len(step)))
    return float(lengths[kept.argmin()])


@pytest.mark.parametrize("shift", PUBLISHED)
def test_the_published_chain_has_the_published_run_lengths_to_their_digits(shift: float) -> None:
    # The limit is taken in four digits, .8185 of .81853. With all of them a shift of .5 has 35.06, and 50 rings 199.86
    # in control. Rings of a line are cheaper than cells of the plane: twice as many.
    found = chain(shift, rings=25 if shift else 50, radius=0.8185)

    assert f"{PUBLISHED[shift]:.2f}" == f"{found:.2f}"


def test_the_run_length_in_control_is_the_limit_of_the_published_chain() -> None:
    radius = (12.73 * 0.1 / 1.9) ** 0.5
    coarse, fine = chain(0.0, rings=100, radius=radius), chain(0.0, rings=200, radius=radius)

    # The error falls with the square of the number of rings.
    assert fine + (fine - coarse) / 3 == pytest.approx(
        mewma_run_length(features=4, smoothing=0.1, threshold=12.73).mean, abs=2e-3
    )


@pytest.mark.parametrize(("shift", "features"), [(0.0, 2), (1.0, 4), (2.0, 3)])
def test_run_lengths_are_those_of_simulated_vectors(shift: float, features: int) -> None:
    rng = np.random.default_rng(11)
    runs, threshold = 20_000, 8.0
    level, length = np.zeros((runs, features)), np.zeros(runs)
    running = np.arange(runs)
    mean = np.eye(features)[0] * shift
    while running.size:
        x = rng.standard_normal((running.size, features)) + mean
        level[running] = 0.8 * level[running] + 0.2 * x
        length[running] += 1
        running = running[np.sum(level[running] ** 2, axis=1) * 1.8 / 0.2 <= threshold]

    expected = mewma_run_length(shift, features=features, smoothing=0.2, threshold=threshold).mean

    assert abs(length.mean() - expected) < 4 * length.std() / np.sqrt(runs)


def test_without_smoothing_it_is_hotellings_chart_and_its_run_length_is_geometric() -> None:
    two_squares = mewma_run_length(features=2, smoothing=1.0, threshold=9.0).mean

    assert np.exp(4.5) == pytest.approx(two_squares, rel=1e-6)


def test_statistics_are_those_of_the_recursion_however_the_stream_is_cut() -> None:
    x = np.random.default_rng(3).normal(size=(5, 60, 3))
    level, expected = np.zeros((5, 3)), np.empty((5, 60))
    for n in range(60):
        level = 0.9 * level + 0.1 * x[:, n]
        expected[:, n] = np.sum(level**2, axis=1) * 19

    first = mewma(x[:, :25], smoothing=0.1, threshold=3.0)
    second = mewma(x[:, 25:], smoothing=0.1, threshold=3.0, level=first.level)

    assert expected == pytest.approx(np.concatenate([first.statistic, second.statistic], axis=1), rel=1e-9)
    assert (expected > 3.0).tolist() == np.concatenate([first.alarm, second.alarm], axis=1).tolist()
    assert level == pytest.approx(second.level)


@pytest.mark.parametrize(("wanted", "features"), [(100.0, 2), (10_000.0, 8)])
def test_a_threshold_has_the_run_length_that_was_wanted(wanted: float, features: int) -> None:
    threshold = mewma_threshold(wanted, features=features, smoothing=0.2)

    assert wanted == pytest.approx(
        mewma_run_length(features=features, smoothing=0.2, threshold=threshold).mean, rel=1e-5
    )


def test_whitened_observations_are_uncorrelated() -> None:
    rng = np.random.default_rng(5)
    covariance = np.array([[4.0, 1.8, 0.1], [1.8, 1.0, 0.0], [0.1, 0.0, 0.5]])
    x = rng.multivariate_normal([1.0, 2.0, 3.0], covariance, 50_000)

    found = whiten(x, mean=[1.0, 2.0, 3.0], covariance=covariance)

    assert np.eye(3) == pytest.approx(np.cov(found.T), abs=0.03)


def test_what_it_cannot_use_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"x: found nan at position 0, 1"):
        mewma([[0.0, float("nan")]], smoothing=0.1, threshold=3.0)
    with pytest.raises(ValueError, match=r"smoothing 0\.0"):
        mewma([[0.0, 1.0]], smoothing=0.0, threshold=3.0)
    with pytest.raises(ValueError, match="features: got 1"):
        mewma_run_length(features=1, smoothing=0.1, threshold=3.0)
    with pytest.raises(ValueError, match=r"covariance: .* allowed is a positive definite matrix"):
        whiten([[0.0, 0.0]], mean=[0.0, 0.0], covariance=[[1.0, 2.0], [2.0, 1.0]])
