"""What a search expects of cells: rates that did not change, and shares of volumes or labels that did not change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import scipy

from detectors.arrays import Bools, Floats, Ints
from detectors.attribution.cells import Cells, Role
from detectors.attribution.crossings import Crossings, crossings
from detectors.attribution.decomposition import Factor
from detectors.attribution.pursuit import Departure
from detectors.attribution.scans import RateSums, Scan, scan_rates, scan_shares
from detectors.attribution.smooth_rate import smooth_rate
from detectors.estimation import hajek

MOST_STRATA: Final = 32
"""Bounds memory: sums are kept for each segment and stratum."""
CHI_SQUARE_MEDIAN: Final = 0.454936


@dataclass(frozen=True, slots=True)
class Contribution:
    """Part of the change of the whole rate; `of_rates` is the error that comes from rates alone, shares being known."""

    size: float
    standard_error: float
    of_rates: float


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Cells of some dimensions, their crossings, and sums of both windows as arrays (2, cells)."""

    cells: Cells
    found: Crossings
    sums: RateSums
    decisions: Floats
    labels: Floats
    label_variance: Floats


def level_of(cells: Cells, *, order: int) -> Level:
    """Cells ready to search: mature sums, and in each cell the rate that both windows' labels together suggest.

    Squares are scaled to mature sums: a label's weight is w / G.
    """
    windows = (cells.reference, cells.current)
    positive, negative = (np.stack([getattr(w, f"mature_{verdict}") for w in windows]) for verdict in _VERDICTS)
    arrived = [np.stack([getattr(w, verdict) for w in windows]) for verdict in _VERDICTS]
    square = [np.stack([getattr(w, f"square_{verdict}") for w in windows]) for verdict in _VERDICTS]
    squares = [
        raw * np.divide(sums, came, out=np.ones_like(sums), where=came > 0) ** 2
        for raw, sums, came in zip(square, (positive, negative), arrived, strict=True)
    ]
    labels, variance = positive + negative, squares[0] + squares[1]
    rarer = negative.sum(axis=0) if negative.sum() <= positive.sum() else positive.sum(axis=0)
    rate = smooth_rate(
        rarer,
        labels.sum(axis=0),
        effective=_effective(labels, variance),
        codes=cells.codes,
        dimensions=cells.dimensions,
    )
    rate = np.clip(rate, 1e-6, 1.0 - 1e-6)
    rate = 1.0 - rate if negative.sum() <= positive.sum() else rate
    return Level(
        cells=cells,
        found=crossings(cells, order=order, strata=_strata(cells, labels.sum(axis=0))),
        sums=RateSums(positive, negative, squares[0], squares[1], np.stack([rate, rate])),
        decisions=np.stack([w.decisions for w in windows]),
        labels=labels,
        label_variance=variance,
    )


def sampled(cells: Cells) -> bool:
    """Whether labels stand for decisions that are counted apart from them."""
    group = cells.groups(Role.SEGMENT, Role.VERSION)
    return any(
        not np.allclose(np.bincount(group, w.decisions), np.bincount(group, w.mature_positive + w.mature_negative))
        for w in (cells.reference, cells.current)
    )


def volume_variation(cells: Cells) -> float:
    """Variance of the logarithm of a cell's volume in one window, beyond that of a count; robust: half may move.

    The value at which the median of d^2 / (1/n0 + 1/n1 + 2 variance) is that of chi-square with one degree of freedom,
    d being the logarithm of the ratio of both volumes less its median. 0 with fewer than 5 cells.
    """
    volumes = np.stack([cells.reference.decisions, cells.current.decisions])
    before, after = volumes[:, volumes.sum(axis=0) >= 20] + 0.5
    if len(before) < 5:
        return 0.0
    moved = np.log(after / before)
    squares, counting = (moved - np.median(moved)) ** 2, 1.0 / before + 1.0 / after
    low, high = 0.0, float(squares.max())
    for _ in range(50):
        middle = 0.5 * (low + high)
        if np.median(squares / (counting + 2.0 * middle)) > CHI_SQUARE_MEDIAN:
            low = middle
        else:
            high = middle
    return low


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
        tilted = np.stack([self.exposure[0], self.exposure[1] * np.exp(self.tilt)])
        totals = [self._by_group(row) for row in self.observed]
        usual = self.observed.sum(axis=0) / np.maximum(tilted.sum(axis=0), 1e-300)
        for _ in range(2):  # The tilted exposure has no scale of its own: that of the group's total.
            scale = [_ratio(total, self._by_group(usual * row)) for total, row in zip(totals, tilted, strict=True)]
            tilted = np.stack([row * by[self.group] for row, by in zip(tilted, scale, strict=True)])
            usual = self.observed.sum(axis=0) / np.maximum(tilted.sum(axis=0), 1e-300)
        if self.smooth:
            usual = smooth_rate(
                self.observed.sum(axis=0),
                tilted.sum(axis=0),
                effective=_effective(self.observed, self.variance),
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
        sizes, moves = [], []
        for window, sign in ((0, 1.0), (1, -1.0)):
            here = self.observed[window]
            there = here.copy()
            there[cell] *= np.exp(sign * departure.effect)
            there *= _ratio(self._by_group(here), self._by_group(there))[self.group]
            sizes.append(sign * float((there @ rate) / there.sum() - (here @ rate) / here.sum()))
            moves.append(abs(float(there[cell].sum() / there.sum() - here[cell].sum() / here.sum())))
        size, moved = sizes[int(moves[1] > moves[0])], max(moves)
        of_rates = moved * np.sqrt(self._rate_variance(row))
        of_share = abs(size) * departure.standard_error / abs(departure.effect)
        return Contribution(size, float(np.hypot(of_rates, of_share)), float(of_rates))

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


def _strata(cells: Cells, labels: Floats) -> Ints:
    """The combinations of version and reviewer, those with few labels together in the last one."""
    group = cells.groups(Role.VERSION, Role.REVIEWER)
    rank = np.argsort(np.argsort(-np.bincount(group, labels), kind="stable"))
    return np.minimum(rank, MOST_STRATA - 1)[group]


def _totals(group: Ints, values: Floats) -> Floats:
    """Each window's total of a group, in each of its cells."""
    return np.stack([np.bincount(group, row)[group] for row in values])


_VERDICTS: Final = ("positive", "negative")


def _effective(labels: Floats, variance: Floats) -> Floats:
    """Effective number of labels of each cell, both windows together."""
    return _ratio(labels.sum(axis=0) ** 2, variance.sum(axis=0))


def _ratio(above: Floats, below: Floats) -> Floats:
    found: Floats = np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0)
    return found
