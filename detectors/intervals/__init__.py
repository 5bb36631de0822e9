"""Binomial confidence intervals on (effective) sample sizes."""

from detectors.intervals.interval import Interval
from detectors.intervals.wilson import wilson

__all__ = [
    "Interval",
    "wilson",
]
