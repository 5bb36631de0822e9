"""MMD by random features against its closed form and the exact kernel estimate; its level, and that of `mean_shift`."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from detectors.arrays import Floats
from detectors.embedding import mean_shift, median_bandwidth, merge, mmd, moments, random_features


def test_two_normals_one_apart_have_the_closed_form_of_the_guide() -> None:
    rng = np.random.default_rng(50)
    features = random_features(1, bandwidth=1.0, pairs=400, seed=51)
    found = mmd(features.moments(rng.normal(0, 1, (8_000, 1))), features.moments(rng.normal(1, 1, (8_000, 1))))

    # Of 400 pairs the terms have a standard deviation near .17: the error is near .17 / 20.
    assert 0.17726763 == pytest.approx(2 / np.sqrt(3) * (1 - np.exp(-1 / 6)), abs=1e-8)
    assert 0.17726763 == pytest.approx(float(found.statistic), abs=0.03)
    assert np.sqrt(0.17726763) == pytest.approx(float(found.effect_size), abs=0.04)


def test_it_approaches_the_unbiased_estimate_with_the_kernel_itself() -> None:
    rng = np.random.default_rng(52)
    x, y = rng.normal(size=(120, 3)), rng.normal(0.5, 1.3, (100, 3))

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.exp(-distance.cdist(left, right, "sqeuclidean") / (2 * 1.5**2))

    within = [
        (values.sum() - len(values)) / (len(values) * (len(values) - 1)) for values in (kernel(x, x), kernel(y, y))
    ]
    exact = sum(within) - 2 * kernel(x, y).mean()
    found = []
    for seed in range(10):
        features = random_features(3, bandwidth=1.5, pairs=300, seed=seed)
        found.append(float(mmd(features.moments(x), features.moments(y)).statistic))

    assert exact == pytest.approx(np.mean(found), abs=4 * np.std(found) / np.sqrt(10))
    assert np.std(found) < 0.1 * exact


def test_merged_features_are_those_of_all_vectors() -> None:
    rng = np.random.default_rng(53)
    x, y = rng.normal(size=(80, 4)), rng.normal(size=(90, 4))
    features = random_features(4, bandwidth=2.0, pairs=32, seed=54)

    whole = mmd(features.moments(x), features.moments(y))
    parts = mmd(merge(features.moments(x[:30]), features.moments(x[30:])), features.moments(y))

    assert float(whole.statistic) == pytest.approx(float(parts.statistic), abs=1e-12)
    assert float(whole.p_value) == pytest.approx(float(parts.p_value), abs=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(50, 50, 2), (400, 60, 20)])
def test_without_drift_the_kernel_test_keeps_its_level(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(55)
    features = random_features(d, bandwidth=np.sqrt(2 * d), pairs=32, seed=56)
    found = [
        float(mmd(features.moments(rng.normal(size=(n, d))), features.moments(rng.normal(size=(m, d)))).p_value)
        for _ in range(800)
    ]

    assert 0.03 <= np.mean(np.array(found) < 0.05) <= 0.075
    assert 0.07 <= np.mean(np.array(found) < 0.1) <= 0.13


def test_a_change_of_spread_alone_is_found_where_the_means_are_equal() -> None:
    rng = np.random.default_rng(57)
    x, y = rng.normal(size=(600, 4)), rng.normal(0.0, 1.5, (600, 4))
    features = random_features(4, bandwidth=median_bandwidth(x), pairs=64, seed=58)

    assert mmd(features.moments(x), features.moments(y)).p_value < 1e-6
    assert mean_shift(moments(x), moments(y)).p_value > 0.001


SPECTRA = {"flat": np.ones(60), "steep": 2.0 ** -np.arange(60), "one direction": np.r_[30.0, np.full(59, 0.1)]}


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(("n", "m"), [(30, 30), (200, 40)])
def test_without_a_shift_the_test_of_means_keeps_its_level_for_any_spectrum(spectrum: str, n: int, m: int) -> None:
    rng = np.random.default_rng(59)
    scale = np.sqrt(SPECTRA[spectrum])
    found = [
        mean_shift(moments(rng.normal(size=(n, 60)) * scale), moments(rng.normal(size=(m, 60)) * scale))
        for _ in range(1000)
    ]
    p_values = np.array([float(one.p_value) for one in found])

    assert 0.033 <= np.mean(p_values < 0.05) <= 0.07
    assert (p_values < 0.05).tolist() == [bool(one.statistic > one.threshold) for one in found]


def test_the_statistic_is_unbiased_with_a_shift_and_without() -> None:
    rng = np.random.default_rng(60)
    for shift in (0.0, 0.2):
        found = [
            float(mean_shift(moments(rng.normal(size=(20, 30))), moments(rng.normal(shift, 1.5, (30, 30)))).statistic)
            for _ in range(1500)
        ]

        assert 30 * shift**2 == pytest.approx(np.mean(found), abs=4 * np.std(found) / np.sqrt(1500))


def test_an_even_shift_is_found_at_the_minimum_sample_with_four_fifths_probability() -> None:
    rng = np.random.default_rng(61)
    n, d, effect = 1000, 20, 0.15
    reference = moments(rng.normal(size=(n, d)))
    m = int(mean_shift(reference, reference, smallest_effect=effect).minimum_sample)
    found = [
        float(mean_shift(moments(rng.normal(size=(n, d))), moments(rng.normal(effect, 1.0, (m, d)))).p_value) < 0.05
        for _ in range(800)
    ]

    assert 0.74 <= np.mean(found) <= 0.86


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_for_single_numbers_and_equal_samples_the_test_is_students(n: int) -> None:
    rng = np.random.default_rng(63)
    x, y = rng.normal(size=(n, 1)), rng.normal(2.0, 3.0, (n, 1))

    found = mean_shift(moments(x), moments(y))

    expected = stats.ttest_ind(x[:, 0], y[:, 0])
    assert float(found.p_value) == pytest.approx(float(expected.pvalue))
    assert bool(expected.pvalue < 0.05) is bool(found.statistic > found.threshold)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (10, 10), (5, 50)])
@pytest.mark.parametrize("spectrum", [np.r_[10.0, np.full(19, 0.05)], 1 / np.arange(1, 21), np.ones(5)])
def test_few_vectors_keep_the_stated_level_for_any_spectrum(n: int, m: int, spectrum: Floats) -> None:
    rng, runs, scale = np.random.default_rng(64), 3000, np.sqrt(spectrum)
    found = [
        mean_shift(moments(rng.normal(size=(n, scale.size)) * scale), moments(rng.normal(size=(m, scale.size)) * scale))
        for _ in range(runs)
    ]
    p_values = np.array([float(one.p_value) for one in found])

    for alpha, stated in ((0.05, 0.07 if n == m == 5 else 0.06), (0.01, 0.03 if n == m == 5 else 0.017)):
        assert np.mean(p_values < alpha) <= stated + 3 * np.sqrt(stated / runs)
    assert (p_values < 0.05).tolist() == [bool(one.statistic > one.threshold) for one in found]


@pytest.mark.parametrize("exponent", [-150, -100, -60, -28, 26, 60, 99])
def test_the_unit_of_the_vectors_changes_no_p_value(exponent: int) -> None:
    rng = np.random.default_rng(65)
    x, y, unit = rng.normal(size=(60, 8)), rng.normal(0.2, 1.0, (50, 8)), 10.0**exponent
    plain, scaled = mean_shift(moments(x), moments(y)), mean_shift(moments(x * unit), moments(y * unit))

    assert float(scaled.p_value) == pytest.approx(float(plain.p_value))
    assert float(scaled.effect_size) == pytest.approx(float(plain.effect_size))
    assert float(scaled.threshold) / unit / unit == pytest.approx(float(plain.threshold))
    assert scaled.minimum_sample == plain.minimum_sample


def test_vectors_that_do_not_vary_offer_no_test() -> None:
    same = moments(np.ones((5, 3)))

    found = mean_shift(same, same)
    assert np.isnan([found.statistic, found.p_value, found.threshold, found.effect_size, found.minimum_sample]).all()


def test_the_median_bandwidth_is_the_median_of_the_distances() -> None:
    vectors = np.random.default_rng(62).normal(1e3, 1.0, (60, 5))

    assert np.median(distance.pdist(vectors)) == pytest.approx(median_bandwidth(vectors))
    with pytest.raises(ValueError, match="more than half of the pairs are equal"):
        median_bandwidth(np.ones((4, 2)))


def test_features_have_length_one_and_the_seed_decides_them() -> None:
    vectors = np.random.default_rng(63).normal(size=(10, 3))
    first, again, other = (random_features(3, bandwidth=1.0, pairs=16, seed=seed)(vectors) for seed in (1, 1, 2))

    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1.0)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    with pytest.raises(ValueError, match=r"allowed is \(n, 3\)"):
        random_features(3, bandwidth=1.0, seed=1)(np.ones((2, 4)))


@pytest.mark.parametrize("wrong", [{"bandwidth": 0.0}, {"bandwidth": float("nan")}, {"pairs": 0}])
def test_impossible_features_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="random features"):
        random_features(3, **{"bandwidth": 1.0, "seed": 1, **wrong})  # type: ignore[arg-type]


def test_the_mean_of_many_p_values_is_a_half() -> None:
    rng = np.random.default_rng(64)
    features = random_features(3, bandwidth=2.0, pairs=16, seed=65)
    found = [
        float(mmd(features.moments(rng.normal(size=(100, 3))), features.moments(rng.normal(size=(100, 3)))).p_value)
        for _ in range(600)
    ]

    assert stats.kstest(found, "uniform").pvalue > 0.001


@pytest.mark.parametrize("bandwidth", [0.001, 1.0])
def test_equal_vectors_offer_no_test_whatever_their_arithmetic_leaves(bandwidth: float) -> None:
    features = random_features(40, bandwidth=bandwidth, seed=23)
    same = np.full((333, 40), 0.1) + np.arange(40) / 7

    found = mmd(features.moments(same), features.moments(np.repeat(same, 5, axis=0)[:1201]))

    assert np.isnan([found.p_value, found.effect_size, found.statistic]).all()
    assert np.isnan(mean_shift(moments(np.full((1000, 2), 0.1)), moments(np.full((700, 2), 0.1))).p_value)


@pytest.mark.parametrize("seed", range(8))
def test_rounding_between_equal_vectors_is_no_bandwidth(seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(100, 5))
    vectors[10:] = vectors[0]
    with pytest.raises(ValueError, match="more than half of the pairs are equal"):
        median_bandwidth(vectors)

    vectors += 1e-9 * np.random.default_rng(seed + 100).normal(size=(100, 5))
    expected = np.median([math.dist(*pair) for pair in itertools.combinations(vectors.tolist(), 2)])
    assert float(expected) == pytest.approx(median_bandwidth(vectors), rel=1e-12)
