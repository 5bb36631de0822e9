"""Shares, rates and volumes from labels that were sampled with known probabilities."""

from detectors.estimation.hajek import HajekEstimate, hajek, hajek_from_labels

__all__ = [
    "HajekEstimate",
    "hajek",
    "hajek_from_labels",
]
