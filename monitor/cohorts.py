"""Cohorts of decision time: minutes while they are young, hours, then days, up to the horizon.

A late label is added to whichever cohort holds its decision's minute by then. Everything is a sum of integers, so the
order of adding, merging and sliding never changes a number. What is added is collected and entered when somebody looks
or the clock moves: once a tick, not once a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.packing import Compressed
from monitor.summarise import sums_of
from monitor.tally import Tally

Ints = npt.NDArray[np.int64]

HOUR: Final = 60
DAY: Final = 24 * HOUR
MINUTE_HOURS: Final = 3
"""Cohorts are minutes in the current hour and the two before."""
HOUR_DAYS: Final = 9
"""Cohorts are hours in the current day and the eight before."""
HORIZON_DAYS: Final = 181
"""Cohorts are days up to 180 days before the current one; what is older is dropped."""

AHEAD: Final = DAY
"""Minutes so far beyond the clock are in no window yet: a host whose clock is a year ahead must not count in each of
them for a year. In sparse traffic the clock itself lags behind the newest decisions, hence so generous."""
ENTER_AT: Final = 500_000
"""Added entries, some 8 MB, that are not kept waiting for somebody to look."""


class Level(IntEnum):
    """Length of a cohort in minutes."""

    MINUTE = 1
    HOUR = HOUR
    DAY = DAY


@dataclass(frozen=True, slots=True)
class Window:
    """A span of decision time that ends now: `minutes` long, its begin rounded down to `grain` minutes.

    With grain 60 the window holds the running hour and whole hours before it. Minutes beyond the clock, which lags
    behind the newest decisions, are in it as far as AHEAD.
    """

    name: str
    minutes: int
    grain: int

    def start(self, now: int) -> int:
        """First minute of the window when the clock stands in minute `now`."""
        last = now - now % self.grain + self.grain
        return last - self.minutes

    def span(self, now: int) -> range:
        """The minutes of the window when the clock stands in minute `now`."""
        return range(self.start(now), now + AHEAD + 1)


WINDOWS: Final = (
    Window("5m", 5, 1),
    Window("1h", HOUR, 1),
    Window("24h", DAY, HOUR),
    Window("7d", 7 * DAY, HOUR),
)


class Cohorts:
    """Sums by cohort for the rows of one model, and running sums over the windows.

    `width` is the number of columns, `daily` the columns that day cohorts keep (shape (width,)).
    """

    def __init__(self, *, width: int, daily: npt.NDArray[np.bool_]) -> None:
        self._width = width
        self._daily = daily
        self._held: dict[Level, dict[int, Tally]] = {level: {} for level in Level}
        self._now: int | None = None
        self._rows = 0
        self._windows = {window: np.zeros((0, width), dtype=np.int64) for window in WINDOWS}
        self._added: dict[int, list[tuple[Ints, Ints]]] = {}
        """by minute, what has not been entered into cohorts and windows"""
        self._waiting = 0
        """entries of it"""
        self.touched: set[tuple[Level, int]] = set()
        """Cohorts that changed since the owner last cleared this."""

    @property
    def now(self) -> int | None:
        """Minute of the clock; None before the first `advance`."""
        return self._now

    def window(self, window: Window) -> Ints:
        """Sums of all rows over a window; shape (rows, width). A view: read it before the next change."""
        self._enter()
        return self._windows[window][: self._rows]

    def resize(self, rows: int) -> None:
        """Make room for more rows."""
        self._rows = max(self._rows, rows)
        for window, dense in self._windows.items():
            if len(dense) < rows:
                grown = np.zeros((max(rows, 2 * len(dense), 64), self._width), dtype=np.int64)
                grown[: len(dense)] = dense
                self._windows[window] = grown

    def add(self, minute: int, place: Ints, value: Ints) -> None:
        """Add values at places (row * width + column, without repeats) to the cohort of a minute of decision time."""
        if self._now is None:
            raise ValueError("cohorts: expected a clock before the first sum")
        level, start = self._cohort(minute)
        if start + level <= self._horizon():
            return
        self.touched.add((level, start))
        self._added.setdefault(minute, []).append((place, value))
        self._waiting += len(place)
        if self._waiting > ENTER_AT:
            self._enter()

    def advance(self, now: int) -> None:
        """Move the clock to minute `now`: slide the windows, merge cohorts that have aged, drop the oldest."""
        if self._now is not None and now <= self._now:
            return
        self._enter()
        before, self._now = self._now, now
        if before is None:
            return
        for window, dense in self._windows.items():
            self._slide(dense, window.span(before), window.span(now))
        self._coarsen(Level.MINUTE, Level.HOUR, self._minute_floor())
        self._coarsen(Level.HOUR, Level.DAY, self._hour_floor())
        for start in [start for start in self._held[Level.DAY] if start + DAY <= self._horizon()]:
            del self._held[Level.DAY][start]
            self.touched.add((Level.DAY, start))

    def cohort(self, level: Level, start: int) -> tuple[Ints, Ints] | None:
        """Places and values of one cohort; None when it is not held."""
        self._enter()
        tally = self._held[level].get(start)
        return None if tally is None else tally.items()

    def compressed(self, level: Level, start: int) -> Compressed | None:
        """Places and values of one cohort as `tally.sums` reads them; None when it is not held."""
        self._enter()
        tally = self._held[level].get(start)
        return None if tally is None else tally.compressed()

    def cohorts(self) -> Iterator[tuple[Level, int]]:
        """All cohorts held, in order."""
        self._enter()
        for level in Level:
            for start in sorted(self._held[level]):
                yield level, start

    def minutes(self) -> set[int]:
        """The cohorts held that are minutes."""
        self._enter()
        return set(self._held[Level.MINUTE])

    def restore(self, now: int, rows: int, cohorts: dict[tuple[Level, int], tuple[Ints, Ints]]) -> None:
        """Take over cohorts as they were when the clock stood at `now`; the windows follow from them."""
        self._now = now
        self.resize(rows)
        for (level, start), (place, value) in cohorts.items():
            self._held[level][start] = Tally(place, value)
            for window, dense in self._windows.items():
                if start in window.span(now):
                    dense.reshape(-1)[place] += value

    def _enter(self) -> None:
        """Enter what has been added into cohorts and windows."""
        added, self._added, self._waiting = self._added, {}, 0
        for minute, parts in added.items():
            place, value = parts[0]
            if len(parts) > 1:
                places, values = zip(*parts, strict=True)
                place, value = sums_of(np.concatenate(places), np.concatenate(values), self._rows * self._width)
            for window, dense in self._windows.items():
                if minute in window.span(self._now or 0):
                    dense.reshape(-1)[place] += value
            level, start = self._cohort(minute)
            if level is Level.DAY:
                keep = self._daily[place % self._width]
                place, value = place[keep], value[keep]
            self._tally(level, start).add(place, value)

    def _cohort(self, minute: int) -> tuple[Level, int]:
        if minute >= self._minute_floor():
            return Level.MINUTE, minute
        if minute >= self._hour_floor():
            return Level.HOUR, minute - minute % HOUR
        return Level.DAY, minute - minute % DAY

    def _minute_floor(self) -> int:
        now = self._now or 0
        return now - now % HOUR - (MINUTE_HOURS - 1) * HOUR

    def _hour_floor(self) -> int:
        now = self._now or 0
        return now - now % DAY - (HOUR_DAYS - 1) * DAY

    def _horizon(self) -> int:
        now = self._now or 0
        return now - now % DAY - (HORIZON_DAYS - 1) * DAY

    def _tally(self, level: Level, start: int) -> Tally:
        held = self._held[level]
        tally = held.get(start)
        if tally is None:
            tally = held[start] = Tally()
        return tally

    def _slide(self, dense: Ints, before: range, after: range) -> None:
        """Make the sums of a window that held the minutes `before` those of the minutes `after`.

        Windows are shorter than the time for which their histograms are held, so no day cohort is ever inside one.
        """
        flat = dense.reshape(-1)
        for level in (Level.MINUTE, Level.HOUR):
            for start, tally in self._held[level].items():
                sign = (start in after) - (start in before)
                if sign:
                    place, value = tally.items()
                    flat[place] += sign * value

    def _coarsen(self, fine: Level, coarse: Level, floor: int) -> None:
        held = self._held[fine]
        for start in sorted(start for start in held if start < floor):
            place, value = held.pop(start).items()
            if coarse is Level.DAY:
                keep = self._daily[place % self._width]
                place, value = place[keep], value[keep]
            into = start - start % coarse
            self._tally(coarse, into).add(place, value)
            self.touched |= {(fine, start), (coarse, into)}
