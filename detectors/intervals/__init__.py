"""Confidence intervals of proportions on (effective) sample sizes and on weighted labels."""

from detectors.intervals.clopper_pearson import clopper_pearson
from detectors.intervals.interval import Interval
from detectors.intervals.jeffreys import jeffreys
from detectors.intervals.mid_p import mid_p
from detectors.intervals.weighted_score import weighted_score
from detectors.intervals.wilson import wilson
from detectors.intervals.wilson_continuity import wilson_continuity

__all__ = [
    "Interval",
    "clopper_pearson",
    "jeffreys",
    "mid_p",
    "weighted_score",
    "wilson",
    "wilson_continuity",
]
