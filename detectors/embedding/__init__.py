"""Drift of embeddings (text, image, several modes) from sums that merge: means, covariances, and MMD."""

from detectors.embedding.blocks import block_permutation_test
from detectors.embedding.frechet import Frechet, frechet
from detectors.embedding.hotelling import hotelling
from detectors.embedding.mean_shift import mean_shift
from detectors.embedding.mmd import RandomFeatures, median_bandwidth, mmd, random_features
from detectors.embedding.moments import Moments, merge, moments
from detectors.embedding.principal_subspace import PrincipalSubspace, principal_subspace
from detectors.embedding.reconstruction import Reconstruction, reconstruction

__all__ = [
    "Frechet",
    "Moments",
    "PrincipalSubspace",
    "RandomFeatures",
    "Reconstruction",
    "block_permutation_test",
    "frechet",
    "hotelling",
    "mean_shift",
    "median_bandwidth",
    "merge",
    "mmd",
    "moments",
    "principal_subspace",
    "random_features",
    "reconstruction",
]
