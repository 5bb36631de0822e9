"""Models of one name from several partitions as one: what exceeds the cap on models is `other` in each of them.

Any other model lives in one partition. A merged copy is for reading only: it does not know which blocks it has taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from monitor.ledger import ModelLedger
from monitor.model import Model
from monitor.snapshot import Detection, ModelSnapshot, SeriesKey


def snapshots(models: Iterable[Model]) -> tuple[ModelSnapshot, ...]:
    """Snapshots of models, one of each name, in order of name."""
    by_name: dict[str, list[Model]] = {}
    for model in models:
        by_name.setdefault(model.name, []).append(model)
    return tuple(_snapshot(by_name[name]) for name in sorted(by_name))


def _snapshot(models: Sequence[Model]) -> ModelSnapshot:
    if len(models) == 1:
        return models[0].snapshot()
    merged = Model(models[0].name, models[0].settings)
    series = list(dict.fromkeys(key for model in models for key in model.ledger.table.series))
    row = {key: index for index, key in enumerate(series)}
    merged.ledger.table.restore(series)
    totals = np.zeros((len(series), merged.ledger.layout.width), dtype=np.int64)
    clocks = [model.ledger.cohorts.now for model in models if model.ledger.cohorts.now is not None]
    if clocks:
        merged.ledger.cohorts.advance(max(clocks))
        merged.ledger.cohorts.resize(len(series))
    for model in models:
        rows = np.array([row[key] for key in model.ledger.table.series], dtype=np.int64)
        totals[rows] += model.ledger.totals
        _add(merged.ledger, model.ledger, rows)
    merged.ledger.restore_totals(totals)
    return replace(merged.snapshot(), detections=_detections(models, row))


def _add(merged: ModelLedger, ledger: ModelLedger, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    width = ledger.layout.width
    for level, start in ledger.cohorts.cohorts():
        sums = ledger.cohorts.cohort(level, start)
        if sums is not None:
            merged.cohorts.add(start, rows[sums[0] // width] * width + sums[0] % width, sums[1])
    for key, launch in ledger.launches.items():
        known = merged.launches.get(key)
        if known is None or known.at <= launch.at:
            merged.launches[key] = launch
    latest = [at for at in (merged.last_decision_ms, ledger.last_decision_ms) if at is not None]
    merged.last_decision_ms = max(latest, default=None)


def _detections(models: Sequence[Model], row: dict[SeriesKey, int]) -> tuple[Detection, ...]:
    found: dict[tuple[int, str, str], Detection] = {}
    for model in models:
        series = model.ledger.table.series
        for one in model.streams.detections():
            key = (row[series[one.series]], one.input, one.detector)
            known = found.get(key, Detection(*key, count=0, last_at=None))
            times = [at for at in (known.last_at, one.last_at) if at is not None]
            found[key] = Detection(*key, count=known.count + one.count, last_at=max(times, default=None))
    return tuple(found[key] for key in sorted(found))
