"""Shares of volumes or labels that did not change, against which a search looks for segments whose share did."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy

from detectors.arrays import Bools, Floats, Ints
from detectors.attribution.cells import Role, ratio
from detectors.attribution.crossings import Crossings
from detectors.attribution.decomposition import Factor
from detectors.attribution.halving import halved
from detectors.attribution.level import Contribution, Level, effective_labels
from detectors.attribution.pursuit import Departure
from detectors.attribution.scans import Scan, half_unit, scan_shares
from detectors.attribution.smooth_rate import smooth_rate
from detectors.estimation import hajek


@dataclass(slots=True, eq=False)
class ShareModel:
    """Expects of each cell of a `group` (say, a segment's traffic) its usual share, tilted where there is an effect.

    A cell's usual intensity is fitted to both windows given the tilt, smoothly where sums are those of few labels.
    """

    level: Level
    candidates: Bools
    observed: Floats
    variance: Floats
    exposure: Floats
    group: Ints
    whole: Ints
    smooth: bool
    tilt: Floats = field(init=False)
    expected: Floats = field(init=False)
    unchanged: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.tilt = np.zeros(self.observed.shape[1])
        self.refit()
        self.unchanged = self.expected

    def reset(self) -> None:
        """Expect no change."""
        self.tilt = np.zeros(self.observed.shape[1])
        self.expected = self.unchanged.copy()

    def refit(self) -> None:
        """Fit the usual intensities given the tilt."""
        tilted = np.stack([self.exposure[0], self.exposure[1] * np.exp(self.tilt + self._scale()[self.group])])
        seen = self.observed.sum(axis=0)
        usual = seen / np.maximum(tilted.sum(axis=0), 1e-300)
        if self.smooth:
            usual = smooth_rate(
                seen,
                tilted.sum(axis=0),
                effective=effective_labels(self.observed, self.variance),
                codes=self.level.cells.codes,
                dimensions=self.level.cells.dimensions,
            )
        self.expected = tilted * usual

    def scan(self) -> Scan:
        """Changes of shares beyond what is expected."""
        return self._scan(self.level.found, self.whole)

    def shift(self, row: int) -> None:
        """Tilt the current share of a segment to where no departure is left; `refit` follows."""
        part = self.level.found.rows_only(row, int(self.whole[row]))
        effect = float(self._scan(part, np.array([1, 1])).effect[0])
        if np.isfinite(effect):
            cell = self.level.found.cells_of(row)
            self.tilt[cell] += effect
            self.expected[1, cell] *= np.exp(effect)

    def contribution(self, row: int, departure: Departure) -> Contribution:
        """The rate with the segment's share as it is now less the rate with it as it was.

        Taken in the window where the effect moves more volume: a new version has none in the reference.
        """
        cell, rate = self.level.found.cells_of(row), self.level.sums.expected[0]
        counts, sizes, moves = self._with_half_units(row), [], []
        for window, sign in ((0, 1.0), (1, -1.0)):
            here = counts[window]
            there = here.copy()
            there[cell] *= np.exp(sign * departure.effect)
            there *= ratio(self._by_group(here), self._by_group(there))[self.group]
            sizes.append(sign * float((there @ rate) / there.sum() - (here @ rate) / here.sum()))
            moves.append(abs(float(there[cell].sum() / there.sum() - here[cell].sum() / here.sum())))
        size, moved = sizes[int(moves[1] > moves[0])], max(moves)
        of_rates = moved * np.sqrt(self._rate_variance(row))
        of_share = abs(size) * departure.standard_error / abs(departure.effect)
        return Contribution(size, float(np.hypot(of_rates, of_share)), float(of_rates))

    def _scale(self) -> Floats:
        """Logarithm of the scale of each group's current exposure, which has none of its own once it is tilted.

        With it a group's expected sum is the observed one in both windows. The part of a cell's sum that is expected in
        the current one, exposure there / exposure in both, grows with the scale: bisection finds it at any tilt.
        """
        reference, current = (self._by_group(row) for row in self.observed)
        seen = self.observed.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = self.tilt + np.nan_to_num(np.diff(np.log(self.exposure), axis=0)[0], posinf=np.inf, neginf=-np.inf)
        # Where a window has nothing of a group, any scale fits.
        reach = np.where((reference > 0) & (current > 0), 40.0 + np.abs(self.tilt).max(initial=0.0), 0.0)
        return halved(
            lambda scale: self._by_group(seen * scipy.special.expit(odds + scale[self.group])) < current, reach
        )

    def _with_half_units(self, row: int) -> Floats:
        """What is observed, and half a unit on either side of a segment, spread over its cells as both windows are.

        The effect that `scan_shares` finds is one between such sums; times a sum of 0 it would move nothing.
        """
        counts, unit = self.observed.copy(), half_unit(self.observed, self.variance)
        inside = self.level.found.cells_of(row)
        outside = np.setdiff1d(self.level.found.cells_of(int(self.whole[row])), inside)
        for side in (inside, outside):
            pooled = self.observed[:, side].sum(axis=0)
            counts[:, side] += unit * ratio(pooled, pooled.sum())
        return counts

    def _by_group(self, values: Floats) -> Floats:
        return np.bincount(self.group, values).astype(np.float64)

    def _rate_variance(self, row: int) -> float:
        """Variance of the difference between the pooled rates inside and outside a segment."""
        sums = self.level.sums
        pooled = (sums.positive, sums.negative, sums.square_positive, sums.square_negative)
        part = self.level.found.rows_only(row, int(self.whole[row])).sums(*(values.sum(axis=0) for values in pooled))
        part[:, 1] = np.maximum(part[:, 1] - part[:, 0], 0.0)
        found = hajek(part[0], part[1], square_violating=part[2], square_benign=part[3])
        size = found.interval_n
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = (found.estimate * size + 0.5) / (size + 1.0)
            return float((rate * (1.0 - rate) / size).sum())

    def _scan(self, found: Crossings, whole: Ints) -> Scan:
        return scan_shares(self.observed, self.variance, expected=self.expected, whole=whole, found=found)


def share_model(level: Level, factor: Factor, *, variation: float) -> ShareModel:
    """For MIX, VERSION (of decisions), SAMPLING, REVIEWER (of label weight); see `decompose` for what each means.

    `variation` is the variance of the logarithm of a volume, see `volume_variation`.
    """
    found, cells, decisions = level.found, level.cells, level.decisions
    everything = np.zeros(len(found.values), dtype=np.int64)
    one_group = np.zeros(len(cells.codes), dtype=np.int64)
    volumes = decisions + variation * decisions**2
    if factor is Factor.MIX:
        exposure = np.broadcast_to(decisions.sum(axis=1, keepdims=True), decisions.shape)
        return ShareModel(level, found.order > 0, decisions, volumes, exposure, one_group, everything, smooth=False)
    if factor is Factor.VERSION:
        group, able = cells.groups(Role.SEGMENT), found.fixing(Role.VERSION) > 0
        exposure, whole = _totals(group, decisions), found.without(Role.VERSION)
        return ShareModel(level, able, decisions, volumes, exposure, group, whole, smooth=False)
    labels, variance = level.labels, level.label_variance
    if factor is Factor.SAMPLING:  # cells of segments
        return ShareModel(level, found.order > 0, labels, variance, decisions, one_group, everything, smooth=True)
    group, able = cells.groups(Role.SEGMENT), found.fixing(Role.REVIEWER) > 0
    exposure, whole = _totals(group, labels), found.without(Role.REVIEWER)
    return ShareModel(level, able, labels, variance, exposure, group, whole, smooth=True)


def _totals(group: Ints, values: Floats) -> Floats:
    """Each window's total of a group, in each of its cells."""
    return np.stack([np.bincount(group, row)[group] for row in values])
