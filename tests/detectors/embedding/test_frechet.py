"""The Frechet distance against SciPy's matrix root and closed forms."""

import numpy as np
import pytest
from scipy import linalg

from detectors.embedding import Moments, frechet, moments


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_formula_with_the_matrix_root_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = 2 + 3 * seed
    left = rng.normal(size=(60, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    right = rng.normal(size=(90, d)) @ rng.normal(size=(d, d))
    first, second = np.cov(left.T), np.cov(right.T)
    expected = ((left.mean(axis=0) - right.mean(axis=0)) ** 2).sum() + np.trace(
        first + second - 2 * np.real(linalg.sqrtm(first @ second))
    )

    found = frechet(moments(left), moments(right))

    assert expected == pytest.approx(found.squared, rel=1e-9)
    assert found.squared == pytest.approx(frechet(moments(right), moments(left)).squared, rel=1e-9)


def test_covariances_that_commute_differ_by_their_standard_deviations() -> None:
    first, second = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    sides = [Moments(101, np.zeros(3), np.diag(100 * variances)) for variances in (first, second)]

    assert 1.0 + 0.0 + 4.0 == pytest.approx(frechet(*sides).covariance_part)


def test_equal_samples_are_at_distance_zero_even_with_fewer_vectors_than_dimensions() -> None:
    vectors = np.random.default_rng(42).normal(size=(5, 20))

    assert 0.0 == pytest.approx(frechet(moments(vectors), moments(vectors)).distance, abs=1e-6)


@pytest.mark.parametrize("scale", [2.0, 1.001, 1.0001])
@pytest.mark.parametrize("seed", range(4))
def test_stretched_vectors_are_as_far_as_they_are_stretched_also_with_fewer_vectors_than_dimensions(
    scale: float, seed: int
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(10, 200))
    expected = (scale - 1) ** 2 * np.trace(np.cov(vectors.T))
    near, far = moments(vectors), moments(scale * vectors)

    assert expected == pytest.approx(frechet(near, far).covariance_part, rel=2e-6)
    assert expected == pytest.approx(frechet(far, near).covariance_part, rel=2e-6)


def test_the_mean_part_without_drift_is_on_average_its_noise() -> None:
    rng = np.random.default_rng(43)
    scales = np.array([1.0, 2.0, 0.1, 0.5])
    found = [
        frechet(moments(rng.normal(size=(40, 4)) * scales), moments(rng.normal(size=(25, 4)) * scales))
        for _ in range(1500)
    ]

    noise = np.mean([one.mean_noise for one in found])
    assert (scales**2).sum() * (1 / 40 + 1 / 25) == pytest.approx(noise, rel=0.02)
    assert noise == pytest.approx(np.mean([one.mean_part for one in found]), rel=0.1)


@pytest.mark.parametrize("exponent", [-150, -100, -30, 30, 80, 99])
def test_the_unit_of_the_vectors_is_that_of_the_distance(exponent: int) -> None:
    rng = np.random.default_rng(69)
    x, y, unit = rng.normal(size=(60, 5)), rng.normal(0.2, 2.0, (50, 5)), 10.0**exponent
    first, second = np.cov(x.T), np.cov(y.T)
    bures = np.trace(first + second - 2 * np.real(linalg.sqrtm(first @ second)))

    found = frechet(moments(x * unit), moments(y * unit))

    assert bures == pytest.approx(found.covariance_part / unit / unit, rel=1e-9)
    assert frechet(moments(x), moments(y)).distance == pytest.approx(found.distance / unit)


def test_vectors_that_do_not_vary_are_as_far_as_their_means() -> None:
    found = frechet(moments(np.ones((5, 3))), moments(np.zeros((4, 3))))

    assert (3.0, 0.0, 0.0) == (found.squared, found.covariance_part, found.mean_noise)
