"""Rates that did not change, against which a search looks for segments whose rate did."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy

from detectors.arrays import Bools, Floats
from detectors.attribution.crossings import Crossings
from detectors.attribution.level import Contribution, Level
from detectors.attribution.pursuit import Departure
from detectors.attribution.scans import RateSums, Scan, scan_rates


@dataclass(slots=True, eq=False)
class RateModel:
    """Expects the pooled rate of each cell in both windows, shifted in the current one where there is an effect."""

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
        """Rates are pooled over both windows; a shift moves the current ones only and leaves them as they are."""

    def scan(self) -> Scan:
        """Changes of rates beyond what is expected."""
        return self._scan(self.level.found)

    def shift(self, row: int) -> None:
        """Move the current rates of a segment's cells, by one number on the logit scale, to where none is left."""
        effect = float(self._scan(self.level.found.rows_only(row)).effect[0])
        if not np.isfinite(effect):
            return
        cell = self.level.found.cells_of(row)
        labels, rate = self.level.labels[1, cell], self.expected[1, cell]
        total = float(labels.sum())
        target = float(np.clip(labels @ rate + total * effect, 1e-6 * total, (1.0 - 1e-6) * total))
        logit, low, high = scipy.special.logit(rate), -40.0, 40.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            if labels @ scipy.special.expit(logit + middle) < target:
                low = middle
            else:
                high = middle
        self.expected[1, cell] = scipy.special.expit(logit + low)

    def contribution(self, row: int, departure: Departure) -> Contribution:
        """Mean share of the segment in both windows' label weight x change of its rate."""
        labels = self.level.labels
        share = float(np.mean(labels[:, self.level.found.cells_of(row)].sum(axis=1) / labels.sum(axis=1)))
        error = share * departure.standard_error
        return Contribution(share * departure.effect, error, error)

    def _scan(self, found: Crossings) -> Scan:
        sums = self.level.sums
        observed = (sums.positive, sums.negative, sums.square_positive, sums.square_negative)
        return scan_rates(RateSums(*observed, self.expected), found, least_labels=self.least_labels)


def rate_model(level: Level, *, least_labels: float) -> RateModel:
    """For WITHIN: every segment, and everything at once, is a candidate."""
    return RateModel(level, least_labels, np.ones(len(level.found.values), dtype=np.bool_))
