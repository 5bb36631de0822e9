"""Bounds that readings, rules, pages and the demo share: the one home of these numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DRIFT_THRESHOLDS: Final[Mapping[str, float]] = {
    "psi": 0.2,
    "ks": 0.15,
    "jensen_shannon": 0.15,
    "wasserstein": 0.05,
}
"""Effect sizes above which a significant distance counts as drift, unless configured. Conventions, not tests."""

SIGNIFICANT_P_VALUE: Final = 1e-6
"""Below this a distance is no chance, also when ten thousand pairs of segment and input are looked at (0.01 expected
by chance at one look). Where PSI exceeds a usable threshold in a window of some size, p is far below: strictness costs
small windows only. A statistic without a sampling law never counts alone."""

DRIFT_DECISIONS: Final = 500
"""Decisions in the window below which a distance of histograms is mostly noise."""

JUDGED_WINDOWS: Final = ("1h", "24h")
"""Windows that precision is judged by: the second where the first has too few labels. Drift by the first."""
