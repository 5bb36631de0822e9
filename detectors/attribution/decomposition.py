"""What changed a rate between two windows: an exact decomposition into six factors.

It says which mechanism moved, not why. Two changes that came together in time and place (a model and the policy version
of its labels, launched the same hour everywhere) cannot be told apart; the order of conditioning decides, see below.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from detectors.arrays import Bools, Floats, Ints
from detectors.attribution.cells import Cells, Role, WindowSums, ratio
from detectors.attribution.shapley import shapley


class Factor(StrEnum):
    """The parts of a change."""

    MIX = "mix"
    """how traffic is spread over segments"""
    VERSION = "version"
    """which model version or threshold decides within a segment"""
    SAMPLING = "sampling"
    """how many labels, in their weights, stand for a decision"""
    REVIEWER = "reviewer"
    """which reviewers, by which policy version, judge within segment and version"""
    WITHIN = "within"
    """the rate inside the cells"""
    MATURITY = "maturity"
    """which share of the labels of either verdict has arrived"""


FACTORS: Final = tuple(Factor)


@dataclass(frozen=True, slots=True, eq=False)
class Decomposition:
    """`components` and `standard_errors` are in the order of `factors`; components + residual = change.

    `reference` and `current` are the rates as reported, `change` the observed change (the one handed in, or current -
    reference). `residual` is what the cells do not explain of it: rounding of 1e-16, unless the observed change comes
    from another estimator. All but the rate of the other window are NaN where one has no labels.
    """

    factors: tuple[Factor, ...]
    reference: float
    current: float
    change: float
    components: Floats
    standard_errors: Floats
    residual: float

    def component(self, factor: Factor) -> float:
        """The part of one factor."""
        return float(self.components[self.factors.index(factor)])

    def standard_error(self, factor: Factor) -> float:
        """The standard error of the part of one factor."""
        return float(self.standard_errors[self.factors.index(factor)])


def decompose(cells: Cells, *, observed_change: float | None = None) -> Decomposition:
    """Split the change of a rate into mix, version, sampling, reviewer, within and maturity, exactly.

    With s a segment, v what decided, r who judged, a window's rate is A / (A + B), where

        A = sum n(s) n(v|s) k(s,v) q(r|s,v) p(s,v,r) g1(s,v,r)
        B = sum n(s) n(v|s) k(s,v) q(r|s,v) (1 - p(s,v,r)) g0(s,v,r)

    n(s) counts decisions, n(v|s) is the share of a version in them, k the weight of (mature) labels for each decision,
    q(r|s,v) the share of a reviewer in that weight, p the share of positive verdicts, g1 and g0 the shares of positive
    and negative verdicts that have arrived. Each factor is one of these conditional distributions, taken as a whole
    from the reference or from the current window; v(S) is the rate with those of S from the current one. The component
    of a factor is its Shapley value over the 64 mixtures (Das Gupta's standardisation; with two factors, Kitagawa's),
    so components add up to current - reference, swapping the windows flips signs, and no order of factors is preferred.

    The order of *conditioning* is: segment, version, sampling, reviewer, verdict, arrival. A conditional that a window
    has not (a new version's precision before its launch, anything inside a new segment) is borrowed from the other
    window: it then does not change, and the whole effect goes to the factor that brought the cell in. A new version is
    thus VERSION, with all that is new inside it; a change of rule-book at the same moment is hidden in it.

    SAMPLING is about 0 if weights are right: changed inclusion probabilities that are known change k nowhere. It moves
    if weights are wrong, if strata are no longer reviewed (k = 0), or if w = 1 is passed for the naive rate. Without
    `decisions` it is 0. A mixture in which no labelled traffic is left has no rate; it counts as the mid-point of both
    windows' rates (only where the windows' labels cover disjoint parts; read the components as arbitrary there).

    Sparse cells mislead: a cell with labels in one window only has a borrowed rate, so WITHIN is drawn towards 0 and
    the rest shows as SAMPLING or REVIEWER. `collapse` to cells that both windows label; `explain` does that.

    Standard errors: delta method, each label an independent (Poisson) draw with the variance that the sums of w^2 say;
    decisions and maturity are taken as known. They are for the model behind the labels, without finite population
    correction, and too small where few labels carry most of the weight. VERSION, SAMPLING and REVIEWER of sparse cells
    are noisy, but their errors say so.

    `observed_change`, if given, is the change that was reported, perhaps by another estimator; the difference is the
    residual. Sources: Kitagawa 1955; Das Gupta 1993; Zhang et al. 2023 (arXiv 2210.10769) for distributions as players.

    >>> from detectors.attribution import Dimension, Role, cells, window_sums
    >>> language, model = Dimension("language", ("en", "pt")), Dimension("model", ("v1", "v2"), Role.VERSION)
    >>> before = window_sums([95, 0, 85, 0], [5, 0, 15, 0], decisions=[1000, 0, 1000, 0])
    >>> after = window_sums([95, 0, 42.5, 40], [5, 0, 7.5, 10], decisions=[1000, 0, 500, 500])
    >>> rows = cells([language, model], [[0, 0], [0, 1], [1, 0], [1, 1]], reference=before, current=after)
    >>> found = decompose(rows)
    >>> round(found.change, 6), round(found.component(Factor.VERSION), 6), abs(found.residual) < 1e-12
    (-0.0125, -0.0125, True)
    """
    parts = _Parts.of(cells)
    both = (cells.reference.rate, cells.current.rate)
    subsets = np.arange(1 << len(FACTORS))
    block = max(1, 400_000 // max(len(cells.codes), 1))  # bounds memory to some 100 MB
    found = [parts.mixtures(subsets[at : at + block]) for at in range(0, len(subsets), block)]
    rates, gradients = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    # A mixture in which nothing labelled is left; the reported rates themselves are NaN only with a window empty.
    lost = np.isnan(rates)
    rates[lost] = 0.5 * (both[0] + both[1])
    gradients[lost] = 0.5 * (gradients[0] + gradients[-1])
    components, slopes = shapley(rates), shapley(gradients)
    change = both[1] - both[0] if observed_change is None else float(observed_change)
    variance = (slopes**2 * parts.variances).sum(axis=(1, 2, 3))
    return Decomposition(
        factors=FACTORS,
        reference=both[0],
        current=both[1],
        change=change,
        components=components,
        standard_errors=np.where(np.isnan(components), np.nan, np.sqrt(variance)),
        residual=change - float(components.sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The conditional distributions of both windows, axis 0 the window; `from_*` is the window each was taken from."""

    segment: Floats
    version: Floats
    coverage: Floats
    reviewer: Floats
    verdict: Floats
    arrival: Floats
    from_decided: Ints
    from_judged: Ints
    from_labelled: Ints
    labels: Floats
    decided_labels: Floats
    decided: Ints
    variances: Floats

    @classmethod
    def of(cls, cells: Cells) -> _Parts:
        segment, decided = cells.groups(Role.SEGMENT), cells.groups(Role.SEGMENT, Role.VERSION)
        windows = (cells.reference, cells.current)
        mature = np.stack([[w.mature_positive, w.mature_negative] for w in windows])
        labels = mature.sum(axis=1)
        decided_labels, decisions = _within(decided, labels), _within(decided, _each(windows))
        traffic = _within(segment, _each(windows))
        version, _ = _borrowed(ratio(decisions, traffic), traffic > 0)
        coverage, from_decided = _borrowed(ratio(decided_labels, decisions), decisions > 0)
        reviewer, from_judged = _borrowed(ratio(labels, decided_labels), decided_labels > 0)
        verdict, from_labelled = _borrowed(ratio(mature[:, 0], labels), labels > 0)
        arrived = np.stack([[w.positive, w.negative] for w in windows])
        squares = np.stack([[w.square_positive, w.square_negative] for w in windows])
        share = ratio(arrived, mature)
        arrival = np.where(mature > 0, share, np.where(mature[::-1] > 0, share[::-1], 1.0))
        return cls(
            segment=traffic / np.maximum(_each(windows).sum(axis=1), 1e-300)[:, None],
            version=version,
            coverage=coverage,
            reviewer=reviewer,
            verdict=verdict,
            arrival=arrival,
            from_decided=from_decided,
            from_judged=from_judged,
            from_labelled=from_labelled,
            labels=labels,
            decided_labels=decided_labels,
            decided=decided,
            variances=ratio(squares, np.where(share > 0, share, 1.0) ** 2),
        )

    def mixtures(self, subsets: Ints) -> tuple[Floats, Floats]:
        """Rates (mixtures,) with the factors of each subset from the current window, and their derivatives by the sums
        of labels, (mixtures, window, verdict, cells); NaN and 0 where no labelled traffic is left.
        """
        mix, version, sampling, reviewer, within, maturity = (subsets[None] >> np.arange(len(FACTORS))[:, None]) & 1
        volume = self.segment[mix] * self.version[version] * self.coverage[sampling] * self.reviewer[reviewer]
        share, yes, no = self.verdict[within], self.arrival[maturity, 0], self.arrival[maturity, 1]
        arrived = share * yes + (1.0 - share) * no
        total = (volume * arrived).sum(axis=1)
        rate = np.where(total > 0, ratio((volume * share * yes).sum(axis=1), total), np.nan)
        # By the logarithm of a cell's volume, by its verdict, and from there to sums of labels.
        volume = ratio(volume, total[:, None])
        level = np.nan_to_num(rate)[:, None]
        by_volume = volume * (share * yes - level * arrived)
        by_share = volume * (yes - level * (yes - no))
        in_decided = _within(self.decided, by_volume)
        slope = np.zeros((len(subsets), 2, 2, volume.shape[1]))
        for window in range(2):
            decided = ratio(in_decided, self.decided_labels[window])
            each = decided * (self.from_decided[sampling] == window)
            each += (ratio(by_volume, self.labels[window]) - decided) * (self.from_judged[reviewer] == window)
            verdict = ratio(by_share, self.labels[window]) * (self.from_labelled[within] == window)
            slope[:, window, 0] = each + verdict * (1.0 - share)
            slope[:, window, 1] = each - verdict * share
        return rate, slope


def _each(windows: tuple[WindowSums, WindowSums]) -> Floats:
    return np.stack([window.decisions for window in windows])


def _within(group: Ints, values: Floats) -> Floats:
    """Sums over the cells of each cell's group, for each row of `values` (rows, cells)."""
    rows, count = len(values), int(group.max(initial=-1)) + 1
    place = group + count * np.arange(rows)[:, None]
    sums: Floats = np.bincount(place.ravel(), values.ravel(), rows * count).astype(np.float64)[place]
    return sums


def _borrowed(values: Floats, known: Bools) -> tuple[Floats, Ints]:
    """Values of both windows with those unknown taken from the other window, and the window each is from."""
    here = np.arange(2)[:, None]
    source = np.where(known | ~known[::-1], here, 1 - here)
    return np.take_along_axis(values, source, axis=0), source
