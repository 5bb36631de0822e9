"""Performance estimated without labels, from calibrated scores: a flag and a proxy, never the reported precision."""

from detectors.label_free.calibration_gap import CalibrationGap, calibration_gap
from detectors.label_free.calibrator import Calibrator, isotonic, isotonic_from_labels
from detectors.label_free.cbpe import LabelFreeEstimate, ReferenceBand, cbpe, precision_sampling_error, reference_band

__all__ = [
    "CalibrationGap",
    "Calibrator",
    "LabelFreeEstimate",
    "ReferenceBand",
    "calibration_gap",
    "cbpe",
    "isotonic",
    "isotonic_from_labels",
    "precision_sampling_error",
    "reference_band",
]
