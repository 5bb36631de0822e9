"""Launch comparison from disagreements: evidence valid at any time, the gate, labels needed, label budget."""

from detectors.launch.allocation import allocate, precision_second_moment, recall_second_moment
from detectors.launch.contrast import Contrast, false_positives, precision, true_positives, value
from detectors.launch.evidence import Design, confidence_sequence, log_e_value
from detectors.launch.gate import Endpoint, EndpointEvidence, Gate, GateState, Verdict
from detectors.launch.labels_needed import (
    LabelsNeeded,
    labels_needed,
    paired_labels_needed,
    two_sample_labels_needed,
)
from detectors.launch.outcomes import Outcomes, outcomes

__all__ = [
    "Contrast",
    "Design",
    "Endpoint",
    "EndpointEvidence",
    "Gate",
    "GateState",
    "LabelsNeeded",
    "Outcomes",
    "Verdict",
    "allocate",
    "confidence_sequence",
    "false_positives",
    "labels_needed",
    "log_e_value",
    "outcomes",
    "paired_labels_needed",
    "precision",
    "precision_second_moment",
    "recall_second_moment",
    "true_positives",
    "two_sample_labels_needed",
    "value",
]
