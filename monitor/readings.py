"""A ledger's windows to readings: volumes, rates, precision with its interval, drift against the reference.

Pure arithmetic over all series of all models and all windows at once: they are stacked, computed as if they were that
many series, and told apart at the end. `sample` says how much stands behind a value: 0 is "no data".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.comparison import Distance, jensen_shannon, ks, psi, wasserstein_on_points
from detectors.estimation import hajek
from detectors.intervals import TypicalWeights, typical_weights, weighted_score, wilson
from monitor.cohorts import WINDOWS
from monitor.events import AppealStage
from monitor.layout import ACTIONS, SCORE, SQUARED_WEIGHT_UNIT, STAGES, WEIGHT_UNIT, Layout, NumericFeature, wide
from monitor.ledger import ModelLedger
from monitor.reference import Baseline
from monitor.snapshot import Floats, Quantity, ReadingColumn
from monitor.summarise import FIRST_BIN, MISSING, OUT_OF_RANGE

Ints = npt.NDArray[np.int64]

ESTIMATOR: Final = "hajek"
_LONGEST: Final = max(range(len(WINDOWS)), key=lambda index: WINDOWS[index].minutes)
STACKED: Final = ""
"""The window of columns that hold all windows, one below the other in the order of WINDOWS."""


class Watched(NamedTuple):
    """One model: its sums, what its inputs are compared with, and the effect sizes that count as drift by statistic."""

    ledger: ModelLedger
    baseline: Baseline | None
    thresholds: Mapping[str, float]


def readings(models: Sequence[Watched]) -> list[tuple[ReadingColumn, ...]]:
    """All readings of each model over all windows: series, window and model differ only in which rows are theirs."""
    if not models:
        return []
    counts = _Counts(models)
    shared = [*_rates(counts), _precision(counts)]
    return [_of_model(model, shared, begin) for model, begin in zip(models, counts.begins, strict=True)]


def _of_model(model: Watched, shared: Sequence[ReadingColumn], begin: int) -> tuple[ReadingColumn, ...]:
    """Its rows of the columns of all models, which begin there, and what only it has."""
    own = [] if model.baseline is None else _drift(model.ledger, model.baseline, model.thresholds)
    series = len(model.ledger.table.series)
    return tuple(
        _of_window(column, window.name, slice(first + number * series, first + (number + 1) * series))
        for number, window in enumerate(WINDOWS)
        for columns, first in ((shared, begin), (own, 0))
        for column in columns
    )


def _of_window(column: ReadingColumn, window: str, rows: slice) -> ReadingColumn:
    def own(values: Floats | None) -> Floats | None:
        return None if values is None else values[rows]

    p_value = own(column.p_value)
    return ReadingColumn(
        column.quantity,
        window,
        column.value[rows],
        column.sample[rows],
        method=column.method,
        input=column.input,
        lower=own(column.lower),
        upper=own(column.upper),
        p_value=None if p_value is None or np.isnan(p_value).all() else p_value,
        threshold=column.threshold,
    )


class _Counts:
    """What rates and precision are made of. Rows: model by model, in each window by window, in each the series."""

    def __init__(self, models: Sequence[Watched]) -> None:
        layouts = [model.ledger.layout for model in models]
        columns = [_columns(layout) for layout in layouts]
        sums = np.concatenate(
            [
                np.take(model.ledger.cohorts.window(window), chosen, axis=1)
                for model, chosen in zip(models, columns, strict=True)
                for window in WINDOWS
            ]
        )
        self.series: list[int] = [len(model.ledger.table.series) for model in models]
        """of each model"""
        rows = [len(WINDOWS) * series for series in self.series]
        self.begins: list[int] = [0, *accumulate(rows)][:-1]
        """first row of each model"""
        ends = list(accumulate(group.width for group in layouts[0].judged))
        actions, stages, reports, weights, squares = np.split(sums, ends[:-1], axis=1)
        positive = np.array([[action in layout.positive_actions for action in ACTIONS] for layout in layouts])
        self.decisions = actions.sum(axis=1).astype(np.float64)
        self.acted = (actions * np.repeat(positive, rows, axis=0)).sum(axis=1).astype(np.float64)
        self.stages = stages.astype(np.float64)
        self.reports = reports[:, 0].astype(np.float64)
        self.weights = wide(weights, WEIGHT_UNIT)
        self.squares = wide(squares, SQUARED_WEIGHT_UNIT)

    def stage(self, stage: AppealStage) -> Floats:
        """Appeals that reached it; shape (rows,)."""
        return self.stages[:, STAGES.index(stage)]


def _columns(layout: Layout) -> Ints:
    return np.concatenate([np.arange(group.start, group.start + group.width) for group in layout.judged])


def _rates(counts: _Counts) -> list[ReadingColumn]:
    decisions, acted, reports = counts.decisions, counts.acted, counts.reports
    filed, upheld, overturned = map(counts.stage, (AppealStage.FILED, AppealStage.UPHELD, AppealStage.OVERTURNED))
    decided = upheld + overturned
    share = wilson(overturned, decided)
    return [
        ReadingColumn(Quantity.VOLUME, STACKED, decisions, decisions),
        ReadingColumn(Quantity.ACTION_RATE, STACKED, _ratio(acted, decisions), decisions),
        ReadingColumn(Quantity.APPEAL_RATE, STACKED, _ratio(filed, acted), acted),
        ReadingColumn(
            Quantity.OVERTURN_SHARE,
            STACKED,
            _ratio(overturned, decided),
            decided,
            lower=share.lower,
            upper=share.upper,
        ),
        ReadingColumn(Quantity.REPORT_RATE, STACKED, _ratio(reports, decisions), decisions),
    ]


def _precision(counts: _Counts) -> ReadingColumn:
    """Hajek estimate among acted-on decisions with its score interval.

    The sample is `interval_n` of `detectors.estimation.hajek`. What a label of either verdict typically weighs is
    taken from the longest window: of the series, or of the whole model where the series has none.
    """
    violating, benign = 2, 3  # columns of the label groups: acted on, by verdict
    weight_violating, weight_benign = counts.weights[:, violating], counts.weights[:, benign]
    square_violating, square_benign = counts.squares[:, violating], counts.squares[:, benign]
    estimate = hajek(weight_violating, weight_benign, square_violating=square_violating, square_benign=square_benign)
    typical = _typical(counts, weight_violating, weight_benign, square_violating, square_benign)
    interval = weighted_score(
        weight_violating,
        weight_benign,
        square_violating=square_violating,
        square_benign=square_benign,
        typical_violating=typical.violating,
        typical_benign=typical.benign,
    )
    return ReadingColumn(
        Quantity.PRECISION,
        STACKED,
        estimate.estimate,
        estimate.interval_n,
        method=ESTIMATOR,
        lower=interval.lower,
        upper=interval.upper,
    )


def _typical(counts: _Counts, *sums: Floats) -> TypicalWeights:
    """Typical weights by verdict from the longest window, for each row.

    `sums` are the weights of violating and of benign labels and their squares. A verdict that a series has no label of
    weighs what it does in the whole model.
    """
    cuts = [0, *accumulate(counts.series)]
    places = list(zip(counts.begins, counts.series, cuts, strict=False))
    longest = np.concatenate([np.arange(series) + begin + _LONGEST * series for begin, series, _ in places])
    of_row = np.concatenate([np.tile(np.arange(series) + first, len(WINDOWS)) for _, series, first in places])
    of_series = np.stack(sums)[:, longest]
    of_model = np.stack([of_series[:, first:end].sum(axis=1) for first, end in pairwise(cuts)], axis=1)
    own, pooled = (
        typical_weights(violating, benign, square_violating=square_violating, square_benign=square_benign)
        for violating, benign, square_violating, square_benign in (of_series, of_model)
    )
    return TypicalWeights(
        *(
            np.where(weight > 0, known, np.repeat(assumed, counts.series))[of_row]
            for weight, known, assumed in zip(of_series[:2], own, pooled, strict=True)
        )
    )


def _drift(ledger: ModelLedger, baseline: Baseline, thresholds: Mapping[str, float]) -> list[ReadingColumn]:
    layout, series = ledger.layout, ledger.table.series
    sums = np.concatenate([ledger.cohorts.window(window) for window in WINDOWS])
    current = np.add.reduceat(sums[:, layout.score.columns], baseline.score_bins(layout), axis=1)
    inner = np.asarray(baseline.score_edges)
    edges = np.r_[min(0.0, inner[0]), inner, max(1.0, inner[-1])] if len(inner) else np.array([0.0, 1.0])
    points = 0.5 * (edges[:-1] + edges[1:])
    columns = _distances(SCORE, _stacked(baseline.counts(None, series)), current, thresholds, points=points)
    for feature, group in zip(layout.features, layout.feature_groups, strict=True):
        counts = sums[:, group.columns]
        present = counts[:, FIRST_BIN:]
        total = (present.sum(axis=1) + counts[:, MISSING]).astype(np.float64)
        for quantity, column in ((Quantity.MISSING, MISSING), (Quantity.OUT_OF_RANGE, OUT_OF_RANGE)):
            columns.append(
                ReadingColumn(
                    quantity,
                    STACKED,
                    _ratio(counts[:, column].astype(np.float64), total),
                    total,
                    input=feature.name,
                )
            )
        reference = _stacked(baseline.counts(feature.name, series))
        ordered = isinstance(feature, NumericFeature)
        columns += _distances(feature.name, reference, present, thresholds, ordered=ordered)
    return columns


def _distances(
    name: str,
    reference: Ints,
    current: Ints,
    thresholds: Mapping[str, float],
    *,
    points: Floats | None = None,
    ordered: bool = True,
) -> list[ReadingColumn]:
    """Distances of one input; KS only where bins have an order, Wasserstein only where they have a place as well."""
    found: dict[str, Distance] = {
        "psi": psi(reference, current),
        "jensen_shannon": jensen_shannon(reference, current),
    }
    if ordered:
        found["ks"] = ks(reference, current)
    if points is not None:
        found["wasserstein"] = wasserstein_on_points(reference, current, points=points)
    sample = np.where(reference.sum(axis=1) > 0, current.sum(axis=1), 0).astype(np.float64)
    return [
        ReadingColumn(
            Quantity.DRIFT,
            STACKED,
            distance.statistic,
            sample,
            method=statistic,
            input=name,
            p_value=distance.p_value,
            threshold=thresholds[statistic],
        )
        for statistic, distance in found.items()
    ]


def _stacked(reference: Ints) -> Ints:
    """The reference of each series, once for each window."""
    return np.tile(reference, (len(WINDOWS), 1))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
