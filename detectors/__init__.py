"""Statistics for monitoring decision models from partial, late and biased labels. Arrays in, results out.

No I/O, no clock, no random numbers. Undefined is NaN, not yet known is None, never 0 for either. SciPy's special
functions are loaded when the first one is used: whoever only reads settings need not wait for them.
"""

from detectors.adwin import Adwin
from detectors.contract import Logic, Reading, Spec, StateMismatch, resume, save
from detectors.distance import Distance
from detectors.hajek import HajekEstimate, hajek, hajek_from_labels
from detectors.jensen_shannon import jensen_shannon, jensen_shannon_divergence
from detectors.ks import ks
from detectors.page_hinkley import PageHinkley
from detectors.psi import psi
from detectors.wasserstein import wasserstein, wasserstein_on_points
from detectors.wilson import Interval, wilson

AnyDetector = Adwin | PageHinkley
"""The streaming detectors: the only list of them. A decoder of this type picks the class by the `kind` of the input."""

__all__ = [
    "Adwin",
    "AnyDetector",
    "Distance",
    "HajekEstimate",
    "Interval",
    "Logic",
    "PageHinkley",
    "Reading",
    "Spec",
    "StateMismatch",
    "hajek",
    "hajek_from_labels",
    "jensen_shannon",
    "jensen_shannon_divergence",
    "ks",
    "psi",
    "resume",
    "save",
    "wasserstein",
    "wasserstein_on_points",
    "wilson",
]
