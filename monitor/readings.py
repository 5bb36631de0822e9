"""A ledger's windows to readings: volumes, rates, precision with its interval, drift against the reference.

Pure arithmetic over all series of a model and all windows at once: the windows are stacked, computed as if they were
that many series, and told apart at the end. `sample` says how much stands behind a value: 0 is "no data".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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


def readings(
    ledger: ModelLedger, *, baseline: Baseline | None, thresholds: Mapping[str, float]
) -> tuple[ReadingColumn, ...]:
    """All readings of a model over all windows."""
    stacked = np.concatenate([ledger.cohorts.window(window) for window in WINDOWS])
    columns = [*_rates(stacked, ledger.layout), _precision(stacked, ledger.layout)]
    if baseline is not None:
        columns += _drift(ledger, stacked, baseline, thresholds)
    series = len(stacked) // len(WINDOWS)
    return tuple(
        _of_window(column, window.name, slice(number * series, (number + 1) * series))
        for number, window in enumerate(WINDOWS)
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


def acted_on(sums: Ints, layout: Layout) -> Ints:
    """Decisions with a positive action; shape (series,)."""
    positive = np.array([action in layout.positive_actions for action in ACTIONS])
    result: Ints = sums[:, layout.actions.columns][:, positive].sum(axis=1)
    return result


def _rates(sums: Ints, layout: Layout) -> list[ReadingColumn]:
    decisions = sums[:, layout.actions.columns].sum(axis=1).astype(np.float64)
    acted = acted_on(sums, layout).astype(np.float64)
    stages = sums[:, layout.appeals.columns].astype(np.float64)
    filed, upheld, overturned = (
        stages[:, STAGES.index(stage)] for stage in (AppealStage.FILED, AppealStage.UPHELD, AppealStage.OVERTURNED)
    )
    decided = upheld + overturned
    reports = sums[:, layout.reports.start].astype(np.float64)
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


def _precision(sums: Ints, layout: Layout) -> ReadingColumn:
    """Hajek estimate among acted-on decisions with its score interval, for windows stacked in the order of WINDOWS.

    The sample is `interval_n` of `detectors.estimation.hajek`. What a label of either verdict typically weighs is
    taken from the longest window: of the series, or of the whole model where the series has none.
    """
    violating, benign = 2, 3  # columns of the label groups: acted on, by verdict
    weights = wide(sums, layout.weights, WEIGHT_UNIT)
    squares = wide(sums, layout.squared_weights, SQUARED_WEIGHT_UNIT)
    weight_violating, weight_benign = weights[:, violating], weights[:, benign]
    square_violating, square_benign = squares[:, violating], squares[:, benign]
    estimate = hajek(weight_violating, weight_benign, square_violating=square_violating, square_benign=square_benign)
    typical = _typical(weight_violating, weight_benign, square_violating, square_benign)
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


def _typical(*sums: Floats) -> TypicalWeights:
    """Typical weights by verdict from the longest window, for each row of stacked windows.

    `sums` are the weights of violating and of benign labels and their squares. A verdict that a series has no label of
    weighs what it does in the whole model.
    """
    series = len(sums[0]) // len(WINDOWS)
    longest = [told[_LONGEST * series : (_LONGEST + 1) * series] for told in sums]
    own, pooled = (
        typical_weights(violating, benign, square_violating=square_violating, square_benign=square_benign)
        for violating, benign, square_violating, square_benign in (longest, [told.sum() for told in longest])
    )
    return TypicalWeights(
        *(
            np.tile(np.where(weight > 0, of_series, of_model), len(WINDOWS))
            for weight, of_series, of_model in zip(longest[:2], own, pooled, strict=True)
        )
    )


def _drift(ledger: ModelLedger, sums: Ints, baseline: Baseline, thresholds: Mapping[str, float]) -> list[ReadingColumn]:
    layout, series = ledger.layout, ledger.table.series
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
