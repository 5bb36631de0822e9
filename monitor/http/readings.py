"""Snapshot to readings: selection and paging by index, so that a page costs what it holds and not what there is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.http.schemas import Reading, State
from monitor.http.text import printable
from monitor.snapshot import Floats, ModelSnapshot, Quantity, ReadingColumn, SeriesKey, Snapshot

WHOLE = "all"
"""The segment that is the whole of a policy."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which readings are wanted; None is any."""

    model: str | None = None
    version: str | None = None
    variant: str | None = None
    policy: str | None = None
    segment: str | None = None
    window: str | None = None
    quantity: Quantity | None = None

    def takes_series(self, key: SeriesKey) -> bool:
        """Whether the readings of a series are wanted."""
        wanted = (self.model, self.version, self.variant, self.policy, self.segment)
        return all(want is None or want == value for want, value in zip(wanted, key, strict=True))

    def takes_column(self, column: ReadingColumn) -> bool:
        """Whether the readings of a column are wanted."""
        return self.window in (None, column.window) and self.quantity in (None, column.quantity)


def select(snapshot: Snapshot, selection: Selection, *, limit: int, offset: int) -> tuple[int, list[Reading]]:
    """The number of readings that match, and those from `offset` on, series by series."""
    total = 0
    found: list[Reading] = []
    for model in snapshot.models:
        rows = [row for row, key in enumerate(model.series) if selection.takes_series(key)]
        columns = [column for column in model.readings if selection.takes_column(column)]
        here = len(rows) * len(columns)
        first = max(0, offset - total)
        for index in range(first, min(here, first + limit - len(found))):
            row, column = divmod(index, len(columns))
            found.append(reading(model, rows[row], columns[column]))
        total += here
    return total, found


def readings_of(model: ModelSnapshot, rows: Sequence[int]) -> Iterator[Reading]:
    """All readings of some series."""
    return (reading(model, row, column) for row in rows for column in model.readings)


def reading(model: ModelSnapshot, row: int, column: ReadingColumn) -> Reading:
    """One reading."""
    state = state_of(column, row)
    return Reading(
        **series_fields(model.series[row]),
        window=column.window,
        quantity=column.quantity,
        method=column.method,
        input=printable(column.input),
        state=state,
        value=_at(column.value, row) if state is State.KNOWN else None,
        lower=_at(column.lower, row),
        upper=_at(column.upper, row),
        p_value=_at(column.p_value, row),
        threshold=column.threshold,
        sample=_at(column.sample, row),
    )


def state_of(column: ReadingColumn, row: int) -> State:
    """Known, without data, or undefined in spite of data. A volume of zero is known."""
    sample = float(column.sample[row])
    if column.quantity is not Quantity.VOLUME and not sample > 0:
        return State.NO_DATA
    return State.KNOWN if math.isfinite(column.value[row]) else State.UNDEFINED


def series_fields(key: SeriesKey) -> dict[str, str]:
    """The names of a series, fit to be shown."""
    return {name: printable(value) for name, value in key._asdict().items()}


def instant(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as a time in UTC; None where a calendar has no such day."""
    if seconds is None or not math.isfinite(seconds):
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _at(values: Floats | None, row: int) -> float | None:
    if values is None:
        return None
    value = float(values[row])
    return value if math.isfinite(value) else None
