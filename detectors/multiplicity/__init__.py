"""Many segments at once: false discovery rates offline and online, and thresholds that keep a budget of false pages."""

from detectors.multiplicity.benjamini_hochberg import benjamini_hochberg
from detectors.multiplicity.benjamini_yekutieli import benjamini_yekutieli
from detectors.multiplicity.calibrators import e_to_p, p_to_e
from detectors.multiplicity.e_bh import e_bh
from detectors.multiplicity.e_lond import ELond, ELondState
from detectors.multiplicity.lord import LordPlusPlus, LordState
from detectors.multiplicity.online import OnlineTests
from detectors.multiplicity.page_plan import (
    PagePlan,
    bernoulli_cusum_plan,
    bernoulli_information,
    confidence_sequence_alpha,
    e_detector_plan,
)
from detectors.multiplicity.page_shares import delay_weights, page_shares
from detectors.multiplicity.saffron import Saffron, SaffronState

__all__ = [
    "ELond",
    "ELondState",
    "LordPlusPlus",
    "LordState",
    "OnlineTests",
    "PagePlan",
    "Saffron",
    "SaffronState",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bernoulli_cusum_plan",
    "bernoulli_information",
    "confidence_sequence_alpha",
    "delay_weights",
    "e_bh",
    "e_detector_plan",
    "e_to_p",
    "p_to_e",
    "page_shares",
]
