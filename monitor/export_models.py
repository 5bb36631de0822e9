"""What is exported of one model: pairs of a metric and samples, each column of readings visited once.

All samples of a model share the sequence `ModelSnapshot.series` as their keys; the renderer escapes it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor import catalogue
from monitor.catalogue import Metric
from monitor.exposition import Labels, Samples
from monitor.snapshot import Counters, Floats, Histogram, ModelSnapshot, Quantity, ReadingColumn

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Exported:
    """One array of a column of readings and the metric that carries it.

    `tail` gives the values of the labels that follow the series labels.
    """

    metric: Metric
    array: Callable[[ReadingColumn], Floats | None]
    tail: Callable[[ReadingColumn], Labels]


def _window(column: ReadingColumn) -> Labels:
    return (column.window,)


def _estimator(column: ReadingColumn) -> Labels:
    return (column.window, column.method)


def _input(column: ReadingColumn) -> Labels:
    return (column.window, column.input)


def _statistic(column: ReadingColumn) -> Labels:
    return (column.window, column.input, column.method)


def _value(column: ReadingColumn) -> Floats:
    return column.value


READINGS: Final[Mapping[Quantity, tuple[Exported, ...]]] = MappingProxyType(
    {
        Quantity.VOLUME: (Exported(catalogue.WINDOW_DECISIONS, _value, _window),),
        Quantity.ACTION_RATE: (Exported(catalogue.ACTION_RATIO, _value, _window),),
        Quantity.PRECISION: (
            Exported(catalogue.PRECISION, _value, _estimator),
            Exported(catalogue.PRECISION_LOWER, lambda column: column.lower, _estimator),
            Exported(catalogue.PRECISION_UPPER, lambda column: column.upper, _estimator),
        ),
        Quantity.APPEAL_RATE: (Exported(catalogue.APPEAL_RATIO, _value, _window),),
        Quantity.OVERTURN_SHARE: (Exported(catalogue.OVERTURNED_RATIO, _value, _window),),
        Quantity.REPORT_RATE: (Exported(catalogue.REPORT_RATIO, _value, _window),),
        Quantity.DRIFT: (
            Exported(catalogue.DRIFT_STATISTIC, _value, _statistic),
            Exported(catalogue.DRIFT_P_VALUE, lambda column: column.p_value, _statistic),
        ),
        Quantity.MISSING: (Exported(catalogue.FEATURE_MISSING_RATIO, _value, _input),),
        Quantity.OUT_OF_RANGE: (Exported(catalogue.FEATURE_OUT_OF_RANGE_RATIO, _value, _input),),
    }
)

COUNTERS: Final[Mapping[Metric, Callable[[ModelSnapshot], Counters]]] = MappingProxyType(
    {
        catalogue.DECISIONS: lambda model: model.decisions,
        catalogue.REVIEWS: lambda model: model.reviews,
        catalogue.APPEALS: lambda model: model.appeals,
        catalogue.REPORTS: lambda model: model.reports,
    }
)

HISTOGRAMS: Final[Mapping[Metric, Callable[[ModelSnapshot], Histogram]]] = MappingProxyType(
    {catalogue.SCORE: lambda model: model.score, catalogue.LATENCY: lambda model: model.latency}
)


def model_samples(model: ModelSnapshot) -> Iterator[tuple[Metric, Samples]]:
    """All samples of a model but its histograms."""
    for metric, counters in COUNTERS.items():
        yield from _counted(metric, model.series, counters(model))
    yield from _readings(model)
    for one in model.detections:
        counts = np.array([one.count])
        yield catalogue.DRIFT_DETECTED, Samples(model.series, counts, (one.input, one.detector), [one.series])
    for launch in model.launches:
        key = (model.model, launch.model_version, launch.variant, launch.stage)
        yield catalogue.LAUNCH_TIMESTAMP, Samples([key], np.array([launch.at]))
        if launch.traffic_share is not None:
            yield catalogue.LAUNCH_TRAFFIC, Samples([key], np.array([launch.traffic_share]))
    if model.last_decision_at is not None:
        yield catalogue.MODEL_LAST_DECISION, Samples([(model.model,)], np.array([model.last_decision_at]))


def known(column: ReadingColumn) -> Mask:
    """Which series have this reading; shape (series,). A volume of zero is a fact, not a gap."""
    mask: Mask = ~np.isnan(column.value)
    if column.quantity is not Quantity.VOLUME:
        mask &= column.sample > 0
    return mask


def _counted(metric: Metric, series: Sequence[Labels], counters: Counters) -> Iterator[tuple[Metric, Samples]]:
    """Label combinations that at least one series of the model has: all of its series get them, from 0."""
    for column, tail in enumerate(counters.labels):
        values = counters.values[:, column]
        if not tail or values.any():
            yield metric, Samples(series, values, tail)


def _readings(model: ModelSnapshot) -> Iterator[tuple[Metric, Samples]]:
    volumes = {column.window: column.value for column in model.readings if column.quantity is Quantity.VOLUME}
    for column in model.readings:
        mask = known(column)
        for exported in READINGS[column.quantity]:
            values = exported.array(column)
            if values is column.value:
                yield exported.metric, _present(model.series, values, exported.tail(column), mask)
            elif values is not None:
                yield exported.metric, _present(model.series, values, exported.tail(column), mask & ~np.isnan(values))
        if column.quantity is Quantity.PRECISION:
            # 0 where there were decisions but no labels: a rule can tell a starved series from one that has gone.
            labels = np.nan_to_num(column.sample, nan=0.0)
            starved = volumes.get(column.window, labels) > 0
            samples = _present(model.series, labels, _estimator(column), starved | (labels > 0))
            yield catalogue.PRECISION_EFFECTIVE_LABELS, samples


def _present(keys: Sequence[Labels], values: Floats, tail: Labels, mask: Mask) -> Samples:
    if mask.all():
        return Samples(keys, values, tail)
    rows = np.flatnonzero(mask)
    return Samples(keys, values[rows], tail, rows.tolist())
