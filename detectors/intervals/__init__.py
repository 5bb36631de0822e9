"""Confidence intervals: of proportions on (effective) sample sizes and on weighted labels, and of rates of events."""

from detectors.intervals.clopper_pearson import clopper_pearson
from detectors.intervals.interval import Interval
from detectors.intervals.jeffreys import jeffreys
from detectors.intervals.mid_p import mid_p
from detectors.intervals.modified_wilson import modified_wilson
from detectors.intervals.poisson_rate import PoissonRate, poisson_rate
from detectors.intervals.typical_weights import TypicalWeights, typical_weights
from detectors.intervals.weighted_score import weighted_score
from detectors.intervals.wilson import wilson
from detectors.intervals.wilson_continuity import wilson_continuity

__all__ = [
    "Interval",
    "PoissonRate",
    "TypicalWeights",
    "clopper_pearson",
    "jeffreys",
    "mid_p",
    "modified_wilson",
    "poisson_rate",
    "typical_weights",
    "weighted_score",
    "wilson",
    "wilson_continuity",
]
