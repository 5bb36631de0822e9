"""Models of one name from several partitions as one: what exceeds the cap on models is `other` in each of them.

Any other model lives in one partition. A merged copy is for reading only: it does not know which blocks it has taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from monitor.ledger import ModelLedger
from monitor.model import Model
from monitor.readings import readings
from monitor.snapshot import Detection, ModelSnapshot


def snapshots(models: Iterable[Model]) -> tuple[ModelSnapshot, ...]:
    """Snapshots of models, one of each name, in order of name."""
    by_name: dict[str, list[Model]] = {}
    for model in models:
        by_name.setdefault(model.name, []).append(model)
    each = [by_name[name][0] if len(by_name[name]) == 1 else _merged(by_name[name]) for name in sorted(by_name)]
    return tuple(
        model.snapshot(found)
        if len(by_name[model.name]) == 1
        else replace(model.snapshot(found), detections=_detections(model, by_name[model.name]))
        for model, found in zip(each, readings([model.watched() for model in each]), strict=True)
    )


def _merged(models: Sequence[Model]) -> Model:
    """Their sums as those of one; it has seen no minutes, so it detects nothing."""
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
    return merged


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


def _detections(merged: Model, models: Sequence[Model]) -> tuple[Detection, ...]:
    row = {key: index for index, key in enumerate(merged.ledger.table.series)}
    found: dict[tuple[int, str, str], Detection] = {}
    for model in models:
        series = model.ledger.table.series
        for one in model.streams.detections():
            key = (row[series[one.series]], one.input, one.detector)
            known = found.get(key, Detection(*key, count=0, last_at=None))
            times = [at for at in (known.last_at, one.last_at) if at is not None]
            found[key] = Detection(*key, count=known.count + one.count, last_at=max(times, default=None))
    return tuple(found[key] for key in sorted(found))
