"""River's detectors under the contract of this library, as they were measured."""

from detectors.river.adwin import Adwin
from detectors.river.ddm import Ddm
from detectors.river.eddm import Eddm
from detectors.river.fhddm import Fhddm
from detectors.river.hddm_a import HddmA
from detectors.river.hddm_w import HddmW
from detectors.river.kswin import Kswin

__all__ = [
    "Adwin",
    "Ddm",
    "Eddm",
    "Fhddm",
    "HddmA",
    "HddmW",
    "Kswin",
]
