"""Control charts: streaming detectors, their thresholds for a wanted average run length, and their run lengths.

`Cusum`, `Ewma`, `BernoulliCusum` and `PoissonCusum` state theirs; that of `PageHinkley` is known from measurement only.
"""

from detectors.charts.bernoulli_cusum import BernoulliCusum, bernoulli_steps
from detectors.charts.cusum import Cusum
from detectors.charts.cusum_family import cusum_family
from detectors.charts.ewma import Ewma
from detectors.charts.ewma_family import ewma_family
from detectors.charts.family import ChartFamily, FamilyReadings, FamilySnapshot
from detectors.charts.lattice import binary_thresholds, lattice_run_length
from detectors.charts.lattice_family import BernoulliCusumFamily, bernoulli_cusum_family, poisson_cusum_family
from detectors.charts.mewma import MewmaReadings, mewma, mewma_run_length, mewma_threshold, whiten
from detectors.charts.normal_run_length import (
    baseline_range,
    cusum_run_length,
    cusum_threshold,
    ewma_run_length,
    ewma_width,
)
from detectors.charts.page_hinkley import PageHinkley
from detectors.charts.poisson_cusum import PoissonCusum, poisson_steps
from detectors.charts.run_length import (
    RunLength,
    absorption,
    eliminated_mean,
    expected_times,
    quiet_distribution,
    two_sided,
)
from detectors.charts.shewhart import RunRule, shewhart_run_length
from detectors.charts.shiryaev_roberts import shiryaev_roberts_run_length
from detectors.charts.simulated import SimulatedRunLength, simulated_run_length

__all__ = [
    "BernoulliCusum",
    "BernoulliCusumFamily",
    "ChartFamily",
    "Cusum",
    "Ewma",
    "FamilyReadings",
    "FamilySnapshot",
    "MewmaReadings",
    "PageHinkley",
    "PoissonCusum",
    "RunLength",
    "RunRule",
    "SimulatedRunLength",
    "absorption",
    "baseline_range",
    "bernoulli_cusum_family",
    "bernoulli_steps",
    "binary_thresholds",
    "cusum_family",
    "cusum_run_length",
    "cusum_threshold",
    "eliminated_mean",
    "ewma_family",
    "ewma_run_length",
    "ewma_width",
    "expected_times",
    "lattice_run_length",
    "mewma",
    "mewma_run_length",
    "mewma_threshold",
    "poisson_cusum_family",
    "poisson_steps",
    "quiet_distribution",
    "shewhart_run_length",
    "shiryaev_roberts_run_length",
    "simulated_run_length",
    "two_sided",
    "whiten",
]
