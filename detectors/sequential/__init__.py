"""Tests that may be looked at any time: e-detectors with a stated run length, and confidence sequences."""

from detectors.sequential.alternatives import Alternatives, alternatives
from detectors.sequential.bernoulli import bernoulli_e_value, bernoulli_sequence
from detectors.sequential.beta_binomial import beta_binomial, beta_binomial_bound
from detectors.sequential.confidence_sequence import ConfidenceSequence
from detectors.sequential.e_cusum import ECusum
from detectors.sequential.e_sr import ESr
from detectors.sequential.empirical_bernstein import BernsteinReadings, BernsteinState, empirical_bernstein
from detectors.sequential.family import EDetectors
from detectors.sequential.gamma_mixture import (
    gamma_exponential,
    gamma_exponential_bound,
    gamma_poisson,
    gamma_poisson_bound,
)
from detectors.sequential.normal_mixture import mixture_precision, normal_mixture, normal_mixture_bound
from detectors.sequential.stitching import stitched_bound
from detectors.sequential.weighted import weighted_observations
from detectors.sequential.weighted_sequence import weighted_sequence

__all__ = [
    "Alternatives",
    "BernsteinReadings",
    "BernsteinState",
    "ConfidenceSequence",
    "ECusum",
    "EDetectors",
    "ESr",
    "alternatives",
    "bernoulli_e_value",
    "bernoulli_sequence",
    "beta_binomial",
    "beta_binomial_bound",
    "empirical_bernstein",
    "gamma_exponential",
    "gamma_exponential_bound",
    "gamma_poisson",
    "gamma_poisson_bound",
    "mixture_precision",
    "normal_mixture",
    "normal_mixture_bound",
    "stitched_bound",
    "weighted_observations",
    "weighted_sequence",
]
