"""What changed a rate between two windows, where, and how sure that is."""

from detectors.attribution.cells import Cells, Dimension, Role, WindowSums, cells, collapse, window_sums
from detectors.attribution.decomposition import Decomposition, Factor, decompose
from detectors.attribution.kitagawa import MixAndRate, kitagawa
from detectors.attribution.search import Cause, Explanation, explain
from detectors.attribution.shapley import shapley

__all__ = [
    "Cause",
    "Cells",
    "Decomposition",
    "Dimension",
    "Explanation",
    "Factor",
    "MixAndRate",
    "Role",
    "WindowSums",
    "cells",
    "collapse",
    "decompose",
    "explain",
    "kitagawa",
    "shapley",
    "window_sums",
]
