"""Snapshot to metric families: a pure mapping, in the order of the catalogue.

What is not known has no sample: a reading without data or with NaN is absent, never 0. A model can be there more than
once (`other`, once for each partition of the internal topic that this worker holds): no label set leaves twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from monitor import catalogue
from monitor.catalogue import Kind, Metric
from monitor.export_models import HISTOGRAMS, model_samples
from monitor.export_service import SERVICE_COUNTERS, WHOLE, counter_rows
from monitor.exposition import Family, HistogramSamples, Labels, Samples
from monitor.snapshot import Histogram, ModelSnapshot, SeriesKey, Snapshot


def families(snapshot: Snapshot, *, version: str, config_fingerprint: str) -> list[Family]:
    """Everything that the snapshot says, as families in the order of the catalogue.

    Raises ValueError when the snapshot holds a service counter that the catalogue does not know.
    """
    unknown = sorted(set(snapshot.service.counters) - {metric.name for metric in SERVICE_COUNTERS})
    if unknown:
        raise ValueError(f"Snapshot.service.counters: {unknown} are not counters of monitor.catalogue")
    models = _by_name(snapshot.models)
    samples = _samples(models)
    found = []
    for metric in catalogue.CATALOGUE:
        if metric in HISTOGRAMS:
            found.append(Family(metric, _histograms(models, HISTOGRAMS[metric])))
        elif metric in SERVICE_COUNTERS:
            found.append(_rows(metric, counter_rows(metric, snapshot)))
        elif metric in WHOLE:
            found.append(_rows(metric, WHOLE[metric](snapshot)))
        elif metric is catalogue.BUILD_INFO:
            found.append(_rows(metric, [((version, config_fingerprint), 1)]))
        else:
            found.append(Family(metric, samples.get(metric, [])))
    return found


def _by_name(models: Iterable[ModelSnapshot]) -> list[list[ModelSnapshot]]:
    groups: dict[str, list[ModelSnapshot]] = {}
    for model in models:
        groups.setdefault(model.model, []).append(model)
    return list(groups.values())


def _samples(models: Iterable[Sequence[ModelSnapshot]]) -> dict[Metric, list[Samples]]:
    samples: dict[Metric, list[Samples]] = {}
    for same in models:
        found: dict[Metric, list[Samples]] = {}
        for model in same:
            for metric, part in model_samples(model):
                found.setdefault(metric, []).append(part)
        for metric, parts in found.items():
            samples.setdefault(metric, []).extend(parts if len(same) == 1 else _united(metric, parts))
    return samples


def _united(metric: Metric, parts: Iterable[Samples]) -> list[Samples]:
    """Each label set once: counters are added up, of gauges the first one stands."""
    total: dict[Labels, float] = {}
    for part in parts:
        keys = part.keys if part.rows is None else [part.keys[row] for row in part.rows]
        for key, value in zip(keys, part.values.tolist(), strict=True):
            labels = (*key, *part.tail)
            if labels not in total:
                total[labels] = value
            elif metric.kind is Kind.COUNTER:
                total[labels] += value
    return [Samples(list(total), np.array(list(total.values())))] if total else []


def _histograms(
    models: Iterable[Sequence[ModelSnapshot]], read: Callable[[ModelSnapshot], Histogram]
) -> list[HistogramSamples]:
    """Histograms of the models that have observations at all."""
    parts = []
    for same in models:
        pairs = [(model.series, read(model)) for model in same]
        if any(histogram.counts.any() for _, histogram in pairs):
            series, histogram = pairs[0] if len(pairs) == 1 else _added(pairs)
            parts.append(HistogramSamples(series, histogram.edges, histogram.counts, histogram.total))
    return parts


def _added(pairs: Sequence[tuple[Sequence[SeriesKey], Histogram]]) -> tuple[Sequence[SeriesKey], Histogram]:
    """Equal series added up. Histograms with other bins than the first cannot be, and are left out."""
    edges = pairs[0][1].edges
    alike = [(series, histogram) for series, histogram in pairs if histogram.edges == edges]
    row = {key: index for index, key in enumerate(dict.fromkeys(key for series, _ in alike for key in series))}
    counts, total = np.zeros((len(row), len(edges) + 1), dtype=np.int64), np.zeros(len(row))
    for series, histogram in alike:
        rows = [row[key] for key in series]
        counts[rows] += histogram.counts
        total[rows] += histogram.total
    return list(row), Histogram(edges=edges, counts=counts, total=total)


def _rows(metric: Metric, rows: Iterable[tuple[Labels, float]]) -> Family:
    """A family of a few samples. Of equal label sets the first one stands."""
    found: dict[Labels, float] = {}
    for labels, value in rows:
        found.setdefault(labels, value)
    return Family(metric, [Samples(list(found), np.array(list(found.values())))] if found else [])
