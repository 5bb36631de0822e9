"""Rates that did not change, against which a search looks for segments whose rate did."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy

from detectors.arrays import Bools, Floats, Ints
from detectors.attribution.crossings import Crossings
from detectors.attribution.halving import halved
from detectors.attribution.level import Contribution, Level
from detectors.attribution.pursuit import Departure
from detectors.attribution.scans import RateSums, Scan, scan_rates


@dataclass(slots=True, eq=False)
class RateModel:
    """Expects the pooled rate of each cell in both windows, shifted apart where there is an effect."""

    level: Level
    least_labels: float
    candidates: Bools
    expected: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Expect no change."""
        self.expected = self.level.sums.expected.copy()

    def refit(self) -> None:
        """Nothing to fit: usual rates are pooled over both windows, and only differences between these are tested."""

    def scan(self) -> Scan:
        """Changes of rates beyond what is expected."""
        return self._scan(self.level.found)

    def shift(self, row: int) -> None:
        """Move the rates of a segment's cells in both windows, opposite ways, to where no departure is left."""
        effect = float(self._scan(self.level.found.rows_only(row)).effect[0])
        if not np.isfinite(effect):
            return
        cell = self.level.found.cells_of(row)
        # A pooled rate is the mean of both windows' rates by labels: each is as far from it as the other has labels.
        # The whole effect in one window could carry it out of [0, 1]. What one cannot take even so, the other does.
        labels = self.level.labels[:, cell].sum(axis=1)
        rest = self._move(1, cell, effect * labels[0] / labels.sum())
        rest = self._move(0, cell, -effect * labels[1] / labels.sum() - rest)
        if rest:
            self._move(1, cell, -rest)

    def contribution(self, row: int, departure: Departure) -> Contribution:
        """Mean share of the segment in both windows' label weight x change of its rate."""
        labels = self.level.labels
        share = float(np.mean(labels[:, self.level.found.cells_of(row)].sum(axis=1) / labels.sum(axis=1)))
        error = share * departure.standard_error
        return Contribution(share * departure.effect, error, error)

    def _move(self, window: int, cell: Ints, step: float) -> float:
        """Move the mean rate of cells by `step`, all logits by one number; returns the part that is out of reach."""
        labels, rate = self.level.labels[window, cell], self.expected[window, cell]
        mean = float(labels @ rate / labels.sum())
        possible = float(np.clip(step, 1e-6 - mean, 1.0 - 1e-6 - mean))
        target = (mean + possible) * float(labels.sum())
        logit = scipy.special.logit(rate)
        by = halved(lambda shift: np.asarray(labels @ scipy.special.expit(logit + shift) < target), 40.0)
        self.expected[window, cell] = scipy.special.expit(logit + by)
        return step - possible

    def _scan(self, found: Crossings) -> Scan:
        sums = self.level.sums
        observed = (sums.positive, sums.negative, sums.square_positive, sums.square_negative)
        return scan_rates(RateSums(*observed, self.expected), found, least_labels=self.least_labels)


def rate_model(level: Level, *, least_labels: float) -> RateModel:
    """For WITHIN: every segment, and everything at once, is a candidate."""
    return RateModel(level, least_labels, np.ones(len(level.found.values), dtype=np.bool_))
