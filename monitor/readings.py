"""A ledger's windows to readings: volumes, rates, precision with its interval, drift against the reference.

Pure arithmetic over all series of a model at once. `sample` says how much stands behind a value: 0 is "no data".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors import Distance, hajek, jensen_shannon, ks, psi, wasserstein_on_points, wilson
from monitor.cohorts import WINDOWS, Window
from monitor.events import AppealStage
from monitor.layout import ACTIONS, SQUARED_WEIGHT_UNIT, STAGES, WEIGHT_UNIT, Layout, NumericFeature, wide
from monitor.ledger import ModelLedger
from monitor.reference import Baseline
from monitor.snapshot import Floats, Quantity, ReadingColumn
from monitor.summarise import FIRST_BIN, MISSING, OUT_OF_RANGE

Ints = npt.NDArray[np.int64]

ESTIMATOR: Final = "hajek"
SCORE: Final = "score"


def readings(
    ledger: ModelLedger, *, baseline: Baseline | None, thresholds: Mapping[str, float]
) -> tuple[ReadingColumn, ...]:
    """All readings of a model over all windows."""
    columns: list[ReadingColumn] = []
    for window in WINDOWS:
        sums = ledger.cohorts.window(window)
        columns += _rates(sums, window, ledger.layout)
        columns.append(_precision(sums, window, ledger.layout))
        if baseline is not None:
            columns += _drift(ledger, sums, window, baseline, thresholds)
    return tuple(columns)


def acted_on(sums: Ints, layout: Layout) -> Ints:
    """Decisions with a positive action; shape (series,)."""
    positive = np.array([action in layout.positive_actions for action in ACTIONS])
    result: Ints = sums[:, layout.actions.columns][:, positive].sum(axis=1)
    return result


def _rates(sums: Ints, window: Window, layout: Layout) -> list[ReadingColumn]:
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
        ReadingColumn(Quantity.VOLUME, window.name, decisions, decisions),
        ReadingColumn(Quantity.ACTION_RATE, window.name, _ratio(acted, decisions), decisions),
        ReadingColumn(Quantity.APPEAL_RATE, window.name, _ratio(filed, acted), acted),
        ReadingColumn(
            Quantity.OVERTURN_SHARE,
            window.name,
            _ratio(overturned, decided),
            decided,
            lower=share.lower,
            upper=share.upper,
        ),
        ReadingColumn(Quantity.REPORT_RATE, window.name, _ratio(reports, decisions), decisions),
    ]


def _precision(sums: Ints, window: Window, layout: Layout) -> ReadingColumn:
    """Hajek estimate among acted-on decisions with Wilson's interval on the effective sample.

    The effective sample is `interval_n` of `detectors.hajek`: Kish's where weights and verdicts are unrelated, and
    honest where review follows the score, which Kish's is not.
    """
    violating, benign = 2, 3  # columns of the label groups: acted on, by verdict
    weights = wide(sums, layout.weights, WEIGHT_UNIT)
    squares = wide(sums, layout.squared_weights, SQUARED_WEIGHT_UNIT)
    estimate = hajek(
        weights[:, violating],
        weights[:, benign],
        square_violating=squares[:, violating],
        square_benign=squares[:, benign],
    )
    labels = estimate.interval_n
    interval = wilson(np.where(labels > 0, estimate.estimate * labels, 0.0), labels)
    return ReadingColumn(
        Quantity.PRECISION,
        window.name,
        estimate.estimate,
        labels,
        method=ESTIMATOR,
        lower=interval.lower,
        upper=interval.upper,
    )


def _drift(
    ledger: ModelLedger, sums: Ints, window: Window, baseline: Baseline, thresholds: Mapping[str, float]
) -> list[ReadingColumn]:
    layout, series = ledger.layout, ledger.table.series
    current = np.add.reduceat(sums[:, layout.score.columns], baseline.score_bins(layout), axis=1)
    inner = np.asarray(baseline.score_edges)
    edges = np.r_[min(0.0, inner[0]), inner, max(1.0, inner[-1])] if len(inner) else np.array([0.0, 1.0])
    points = 0.5 * (edges[:-1] + edges[1:])
    columns = _distances(SCORE, baseline.counts(None, series), current, window, thresholds, points=points)
    for feature, group in zip(layout.features, layout.feature_groups, strict=True):
        counts = sums[:, group.columns]
        present = counts[:, FIRST_BIN:]
        total = (present.sum(axis=1) + counts[:, MISSING]).astype(np.float64)
        for quantity, column in ((Quantity.MISSING, MISSING), (Quantity.OUT_OF_RANGE, OUT_OF_RANGE)):
            columns.append(
                ReadingColumn(
                    quantity,
                    window.name,
                    _ratio(counts[:, column].astype(np.float64), total),
                    total,
                    input=feature.name,
                )
            )
        reference = baseline.counts(feature.name, series)
        ordered = isinstance(feature, NumericFeature)
        columns += _distances(feature.name, reference, present, window, thresholds, ordered=ordered)
    return columns


def _distances(
    name: str,
    reference: Ints,
    current: Ints,
    window: Window,
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
            window.name,
            distance.statistic,
            sample,
            method=statistic,
            input=name,
            p_value=None if np.isnan(distance.p_value).all() else distance.p_value,
            threshold=thresholds[statistic],
        )
        for statistic, distance in found.items()
    ]


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
