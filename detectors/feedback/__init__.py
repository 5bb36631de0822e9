"""What appeals and reviewers say: identified bounds, combinations with audits, and correction for reviewers' errors."""

from detectors.feedback.appeals import AppealShares, AppealsWithAudit, appeal_shares, appeals_with_audit
from detectors.feedback.bbse import LabelShift, bbse
from detectors.feedback.kappa import cohens_kappa
from detectors.feedback.reason import Reason
from detectors.feedback.rogan_gladen import CorrectedShare, rogan_gladen
from detectors.feedback.saerens import saerens

__all__ = [
    "AppealShares",
    "AppealsWithAudit",
    "CorrectedShare",
    "LabelShift",
    "Reason",
    "appeal_shares",
    "appeals_with_audit",
    "bbse",
    "cohens_kappa",
    "rogan_gladen",
    "saerens",
]
