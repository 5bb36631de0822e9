"""Distances of a current histogram from a reference: effect size, sampling law and the sample that they need."""

from detectors.comparison.binning import bin_counts
from detectors.comparison.chi_square import chi_square
from detectors.comparison.cramer_von_mises import cramer_von_mises
from detectors.comparison.distance import Distance
from detectors.comparison.hellinger import hellinger
from detectors.comparison.jensen_shannon import jensen_shannon, jensen_shannon_divergence
from detectors.comparison.ks import ks
from detectors.comparison.permutation import permutation_test
from detectors.comparison.psi import psi
from detectors.comparison.total_variation import total_variation
from detectors.comparison.wasserstein import wasserstein, wasserstein_on_points

__all__ = [
    "Distance",
    "bin_counts",
    "chi_square",
    "cramer_von_mises",
    "hellinger",
    "jensen_shannon",
    "jensen_shannon_divergence",
    "ks",
    "permutation_test",
    "psi",
    "total_variation",
    "wasserstein",
    "wasserstein_on_points",
]
