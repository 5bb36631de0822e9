"""The labels of one verdict that a window of decisions will have in the end, from those that have come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from detectors.arrays import Bools, Floats, Ints
from detectors.delay.arrival_curve import Triangle


@dataclass(frozen=True, slots=True, eq=False)
class Ultimate:
    """One value for each series.

    `total` is the sum of u = w / G(age) over the window's labels and `square` that of u^2. `variance_of_curve` is what
    not knowing G adds to the variance of log total. `usual_weight` is the u a label of this verdict has here, from
    the w of all cohorts; `matured_n` the effective number of its labels in cohorts as old as the last bin.
    """

    total: Floats
    square: Floats
    variance_of_curve: Floats
    usual_weight: Floats
    matured_n: Floats
    not_arriving: Bools

    def weight_of_a_label(self, otherwise: Floats) -> Floats:
        """sum u^2 / sum u, shrunk by one label of the usual weight: known where the window has no such label, too.

        `otherwise` is taken for the usual weight where no cohort has a label of the verdict.
        """
        usual: Floats = np.where(np.isnan(self.usual_weight), otherwise, self.usual_weight)
        weight: Floats = (self.square + usual**2) / (self.total + usual)
        return weight


def ultimate(table: Triangle, ages: Ints, inside: Bools, mature: Bools, selected: Floats) -> Ultimate:
    """Sums of w / G(age) over the cohorts `inside`; G is the arrival curve of `table`, which holds one verdict.

    `ages`, `inside`, `mature` and `selected` are (..., cohorts). A cohort of age 0 has no label and is left out, and so
    is one of which nothing was selected: no label is to come, whatever its age.
    """
    came, came2 = table.sums.sum(axis=-1), table.squares.sum(axis=-1)
    began = inside & (ages > 0) & (selected > 0)
    log_arrived = table.log_arrived()
    shape = np.broadcast_shapes(came.shape, ages.shape)
    by_age = np.broadcast_to(log_arrived, (*shape[:-1], log_arrived.shape[-1]))
    arrived = np.exp(np.take_along_axis(by_age, np.broadcast_to(ages, shape), axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        per_label = np.where(began, 1.0 / arrived, 0.0)
        total = np.sum(came * per_label, axis=-1)
        square = np.sum(came2 * per_label**2, axis=-1)
        share = np.where(total[..., None] > 0, came * per_label / total[..., None], 0.0)
        usual = came2.sum(axis=-1) / came.sum(axis=-1)
        usual_weight = usual * np.sum(selected * per_label, axis=-1) / total_of(selected, began)
        matured = total_of(came, mature)
        matured_n = np.where(matured > 0, matured**2 / total_of(came2, mature), 0.0)

    # Bins that have not passed for the cohorts of the window, by the share of the total that each cohort holds.
    ahead = (np.arange(table.sums.shape[-1]) >= ages[..., None]).astype(np.float64)
    pending = np.einsum("...cb,...c->...b", ahead, share)
    curve = table.influence(pending)
    with np.errstate(divide="ignore", invalid="ignore"):
        direct = np.where(total > 0, 1.0 / total, 0.0)[..., None] * per_label
        # log total moves by direct - curve: the window's own labels are in both, and the cross term belongs here.
        weighted = table.squares * curve
        crossed = np.sum(weighted.sum(axis=-1) * direct, axis=-1)
        added = np.einsum("...cb,...cb->...", weighted, curve) - 2.0 * crossed
        arrived_share = np.where(total > 0, total_of(came, began) / total, 1.0)
    return Ultimate(
        total=total,
        square=square,
        variance_of_curve=np.where(np.any(pending > 0, axis=-1), _cautious(added, arrived_share, matured_n), 0.0),
        usual_weight=usual_weight,
        matured_n=matured_n,
        not_arriving=np.any(began & (selected > 0) & ~(arrived > 0), axis=-1),
    )


def total_of(values: Floats, where: Bools) -> Floats:
    """The sum over the cohorts that are marked."""
    total: Floats = np.sum(np.where(where, values, 0.0), axis=-1)
    return total


def _cautious(variance: Floats, arrived: Floats, matured_n: Floats) -> Floats:
    """The variance of log G as it would be with two labels more on either side of the age (Agresti and Coull 1998).

    A few matured labels may all be early by chance, and the plain variance is 0 just then.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where((variance > 0) & (arrived < 1), (1.0 - arrived) / (arrived * variance), matured_n)
        share = (size * arrived + 2.0) / (size + 4.0)
        return np.maximum(variance, (1.0 - share) / (share * (size + 4.0)))


def student_factor(sampling: Floats, violating: Ultimate, benign: Ultimate, confidence: float) -> Floats:
    """How much wider, as a factor on the variance, the limits are because the curves' variances are estimated too.

    (t / z)^2 with Satterthwaite's degrees of freedom: each curve brings one less than its matured labels. All variances
    are those of log odds.
    """
    parts = ((part.variance_of_curve, part.matured_n - 1.0) for part in (violating, benign))
    total, rough = sampling, np.zeros_like(sampling)
    for variance, freedom in parts:
        total = total + variance
        rough = rough + variance**2 / np.maximum(freedom, 1.0)
    level = 0.5 + 0.5 * confidence
    return np.where(rough > 0, scipy.special.stdtrit(total**2 / rough, level) / scipy.special.ndtri(level), 1.0) ** 2
