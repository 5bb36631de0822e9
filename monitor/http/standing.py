"""How a series stands, for people: what its readings say, put into one of a few words, and the worst first.

An interval decides, never a point estimate: a precision is below its objective only when the whole interval is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from monitor.bounds import SIGNIFICANT_P_VALUE
from monitor.http.readings import state_of
from monitor.http.schemas import State
from monitor.snapshot import Floats, ModelSnapshot, Objective, Quantity, ReadingColumn, SeriesKey

Objectives = Mapping[tuple[str, str], Objective]


class Standing(IntEnum):
    """What a person should look at first comes first."""

    BELOW = 0
    DRIFT = 1
    UNCERTAIN = 2
    GOOD = 3
    STARVED = 4
    SILENT = 5


@dataclass(frozen=True, slots=True)
class Precision:
    """Precision over one window with its interval and its effective labels. NaN: not known."""

    value: float
    lower: float
    upper: float
    labels: float


@dataclass(frozen=True, slots=True)
class Drift:
    """The distance that lies highest in terms of its threshold."""

    window: str
    input: str
    statistic: str
    value: float
    threshold: float
    p_value: float

    @property
    def found(self) -> bool:
        """Above the threshold, and not by chance; a distance without a p-value is never found alone."""
        return self.value > self.threshold and self.p_value < SIGNIFICANT_P_VALUE


@dataclass(slots=True)
class SeriesStatus:
    """The readings of one series, by window."""

    key: SeriesKey
    objective: Objective | None
    plain: dict[tuple[Quantity, str], float] = field(default_factory=dict)
    precision: dict[str, Precision] = field(default_factory=dict)
    drift: Drift | None = None
    standing: Standing = Standing.SILENT

    @property
    def order(self) -> tuple[int, float, float, SeriesKey]:
        """Sorts the worst first."""
        values = [one.value for one in self.precision.values() if not math.isnan(one.value)]
        drift = -self.drift.value / self.drift.threshold if self.drift else 0.0
        return (self.standing, min(values, default=2.0), drift, self.key)


def series_status(model: ModelSnapshot, row: int, objectives: Objectives) -> SeriesStatus:
    """The status of one series of a model."""
    key = model.series[row]
    status = SeriesStatus(key, objectives.get((key.model, key.policy)))
    for column in model.readings:
        _take(status, column, row)
    status.standing = _standing(status)
    return status


def worst(statuses: Iterable[SeriesStatus]) -> Standing:
    """The standing of a whole."""
    return min((status.standing for status in statuses), default=Standing.SILENT)


def _take(status: SeriesStatus, column: ReadingColumn, row: int) -> None:
    if column.quantity is Quantity.PRECISION:
        # The first estimator of a window is the one that the configuration names first.
        status.precision.setdefault(
            column.window,
            Precision(
                _at(column.value, row) if state_of(column, row) is State.KNOWN else math.nan,
                _at(column.lower, row),
                _at(column.upper, row),
                _at(column.sample, row),
            ),
        )
    elif state_of(column, row) is not State.KNOWN:
        return
    elif column.quantity is Quantity.DRIFT:
        drift = _drift(column, row)
        if drift is not None and (status.drift is None or _severity(drift) > _severity(status.drift)):
            status.drift = drift
    else:
        status.plain.setdefault((column.quantity, column.window), _at(column.value, row))


def _drift(column: ReadingColumn, row: int) -> Drift | None:
    if not column.threshold:
        return None
    value, p_value = _at(column.value, row), _at(column.p_value, row)
    return Drift(column.window, column.input, column.method, value, column.threshold, p_value)


def _severity(drift: Drift) -> tuple[bool, float]:
    return drift.found, drift.value / drift.threshold


def _standing(status: SeriesStatus) -> Standing:
    minimum = status.objective.minimum_labels if status.objective else 1.0
    known = [one for one in status.precision.values() if one.labels >= minimum and not math.isnan(one.value)]
    goal = status.objective.precision if status.objective else math.nan
    if any(one.upper < goal for one in known):
        return Standing.BELOW
    if status.drift is not None and status.drift.found:
        return Standing.DRIFT
    if not any(value > 0 for (quantity, _), value in status.plain.items() if quantity is Quantity.VOLUME):
        return Standing.SILENT
    if not known:
        return Standing.STARVED
    # Windows come from short to long; the longest has the most labels.
    return Standing.UNCERTAIN if known[-1].lower < goal else Standing.GOOD


def _at(values: Floats | None, row: int) -> float:
    return math.nan if values is None else float(values[row])
