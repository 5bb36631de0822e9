"""Labels helped by a proxy that every decision has, such as a calibrated score, without its bias."""

from detectors.prediction_powered.difference import ProxySums, difference, proxy_sums_from_labels
from detectors.prediction_powered.gate import Gate, PredictionPowered, proxy_helps
from detectors.prediction_powered.ppi import PairSums, pair_sums_from_labels, ppi

__all__ = [
    "Gate",
    "PairSums",
    "PredictionPowered",
    "ProxySums",
    "difference",
    "pair_sums_from_labels",
    "ppi",
    "proxy_helps",
    "proxy_sums_from_labels",
]
