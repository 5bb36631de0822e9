"""How a series stands, for people: what its readings say, put into one of a few words, and the worst first.

As the alerts judge: an interval decides, never a point estimate, over the windows that they look at; few decisions are
no drift; a shadow version, which acts on nobody, says nothing of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from monitor.bounds import DRIFT_DECISIONS, JUDGED_WINDOWS, SIGNIFICANT_P_VALUE
from monitor.events import Variant
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
    decisions: float
    """with the input, in the window"""

    @property
    def found(self) -> bool:
        """Above the threshold, with enough decisions, and not by chance: a distance without a p-value never is."""
        significant = self.value > self.threshold and self.p_value < SIGNIFICANT_P_VALUE
        return significant and self.decisions >= DRIFT_DECISIONS


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
    def shadow(self) -> bool:
        """Whether it is of a version that acts on nobody."""
        return self.key.variant == Variant.SHADOW.value

    @property
    def order(self) -> tuple[bool, int, float, float, SeriesKey]:
        """Sorts the worst first, shadow versions behind the others."""
        values = [one.value for one in self.precision.values() if not math.isnan(one.value)]
        drift = -self.drift.value / self.drift.threshold if self.drift else 0.0
        return (self.shadow, self.standing, min(values, default=2.0), drift, self.key)


def series_status(model: ModelSnapshot, row: int, objectives: Objectives) -> SeriesStatus:
    """The status of one series of a model."""
    key = model.series[row]
    status = SeriesStatus(key, objectives.get((key.model, key.policy)))
    for column in model.readings:
        _take(status, column, row)
    status.standing = standing_of(status)
    return status


def worst(statuses: Iterable[SeriesStatus]) -> Standing:
    """The standing of a whole: of what acts on somebody, or else of shadow versions."""
    found = list(statuses)
    acting = [status for status in found if not status.shadow]
    return min((status.standing for status in acting or found), default=Standing.SILENT)


def standing_of(status: SeriesStatus) -> Standing:
    """What the readings of a series say."""
    minimum = status.objective.minimum_labels if status.objective else 1.0
    # Windows come from short to long.
    known = {
        window: one for window, one in status.precision.items() if one.labels >= minimum and not math.isnan(one.value)
    }
    judged = [known[window] for window in JUDGED_WINDOWS if window in known] or [*known.values()][-1:]
    goal = status.objective.precision if status.objective else math.nan
    if judged and judged[0].upper < goal:
        return Standing.BELOW
    if status.drift is not None and status.drift.found:
        return Standing.DRIFT
    if not any(value > 0 for (quantity, _), value in status.plain.items() if quantity is Quantity.VOLUME):
        return Standing.SILENT
    if not judged:
        return Standing.STARVED
    return Standing.UNCERTAIN if judged[-1].lower < goal else Standing.GOOD  # the longest has the most labels


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
    sample = _at(column.sample, row)
    return Drift(column.window, column.input, column.method, value, column.threshold, p_value, sample)


def _severity(drift: Drift) -> tuple[bool, float]:
    return drift.found, drift.value / drift.threshold


def _at(values: Floats | None, row: int) -> float:
    return math.nan if values is None else float(values[row])
