"""Distances of a current histogram from a reference: effect size and sampling law."""

from detectors.comparison.distance import Distance
from detectors.comparison.jensen_shannon import jensen_shannon, jensen_shannon_divergence
from detectors.comparison.ks import ks
from detectors.comparison.psi import psi
from detectors.comparison.wasserstein import wasserstein, wasserstein_on_points

__all__ = [
    "Distance",
    "jensen_shannon",
    "jensen_shannon_divergence",
    "ks",
    "psi",
    "wasserstein",
    "wasserstein_on_points",
]
