"""Tests that may be looked at any time: e-detectors with a stated run length, and confidence sequences."""

from detectors.sequential.alternatives import Alternatives, alternatives
from detectors.sequential.e_cusum import ECusum
from detectors.sequential.e_sr import ESr

__all__ = [
    "Alternatives",
    "ECusum",
    "ESr",
    "alternatives",
]
