"""Many segments at once: false discovery rates offline and online, and thresholds that keep a budget of false pages."""

from detectors.multiplicity.benjamini_hochberg import benjamini_hochberg
from detectors.multiplicity.benjamini_yekutieli import benjamini_yekutieli
from detectors.multiplicity.calibrators import e_to_p, p_to_e
from detectors.multiplicity.e_bh import e_bh
from detectors.multiplicity.e_lond import ELond, ELondState
from detectors.multiplicity.lord import LordPlusPlus, LordState
from detectors.multiplicity.online import OnlineTests
from detectors.multiplicity.saffron import Saffron, SaffronState

__all__ = [
    "ELond",
    "ELondState",
    "LordPlusPlus",
    "LordState",
    "OnlineTests",
    "Saffron",
    "SaffronState",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "e_bh",
    "e_to_p",
    "p_to_e",
]
