"""Control charts: streaming detectors with a stated average run length, and those run lengths."""

from detectors.charts.bernoulli_cusum import BernoulliCusum, bernoulli_steps
from detectors.charts.lattice import binary_thresholds, lattice_run_length, lattice_threshold
from detectors.charts.page_hinkley import PageHinkley
from detectors.charts.run_length import RunLength, absorption, expected_times, quiet_distribution, two_sided

__all__ = [
    "BernoulliCusum",
    "PageHinkley",
    "RunLength",
    "absorption",
    "bernoulli_steps",
    "binary_thresholds",
    "expected_times",
    "lattice_run_length",
    "lattice_threshold",
    "quiet_distribution",
    "two_sided",
]
