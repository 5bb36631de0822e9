"""Statistics for monitoring decision models from partial, late and biased labels. Arrays in, results out.

No I/O, no clock, no random numbers. Undefined is NaN, not yet known is None, never 0 for either. This package itself
holds the streaming detectors and their contract, which is what a configuration needs; the families of functions are
packages of it and are imported from there: `from detectors.estimation import hajek`. SciPy's special functions are
loaded when the first one is used: whoever only reads settings need not wait for them.
"""

from detectors.charts import BernoulliCusum, Cusum, Ewma, PageHinkley, PoissonCusum
from detectors.contract import Direction, Domain, Logic, Reading, Readings, Spec, StateMismatch, resume, save
from detectors.river import Adwin, Ddm, Eddm, Fhddm, HddmA, HddmW, Kswin
from detectors.sequential import ConfidenceSequence, ECusum, ESr

AnyDetector = (
    Adwin
    | BernoulliCusum
    | ConfidenceSequence
    | Cusum
    | Ddm
    | ECusum
    | ESr
    | Eddm
    | Ewma
    | Fhddm
    | HddmA
    | HddmW
    | Kswin
    | PageHinkley
    | PoissonCusum
)
"""The streaming detectors: the only list of them. A decoder of this type picks the class by the `kind` of the input."""

__all__ = [
    "Adwin",
    "AnyDetector",
    "BernoulliCusum",
    "ConfidenceSequence",
    "Cusum",
    "Ddm",
    "Direction",
    "Domain",
    "ECusum",
    "ESr",
    "Eddm",
    "Ewma",
    "Fhddm",
    "HddmA",
    "HddmW",
    "Kswin",
    "Logic",
    "PageHinkley",
    "PoissonCusum",
    "Reading",
    "Readings",
    "Spec",
    "StateMismatch",
    "resume",
    "save",
]
