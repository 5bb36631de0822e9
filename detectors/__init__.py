"""Statistics for monitoring decision models from partial, late and biased labels. Arrays in, results out.

No I/O, no clock, no random numbers. Undefined is NaN, not yet known is None, never 0 for either. This package itself
holds the streaming detectors and their contract, which is what a configuration needs; the families of functions are
packages of it and are imported from there: `from detectors.estimation import hajek`. SciPy's special functions are
loaded when the first one is used: whoever only reads settings need not wait for them.
"""

from detectors.charts import PageHinkley
from detectors.contract import Direction, Domain, Logic, Reading, Readings, Spec, StateMismatch, resume, save
from detectors.river import Adwin
from detectors.sequential import ConfidenceSequence, ECusum, ESr

AnyDetector = Adwin | ConfidenceSequence | ECusum | ESr | PageHinkley
"""The streaming detectors: the only list of them. A decoder of this type picks the class by the `kind` of the input."""

__all__ = [
    "Adwin",
    "AnyDetector",
    "ConfidenceSequence",
    "Direction",
    "Domain",
    "ECusum",
    "ESr",
    "Logic",
    "PageHinkley",
    "Reading",
    "Readings",
    "Spec",
    "StateMismatch",
    "resume",
    "save",
]
