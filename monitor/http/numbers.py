"""Numbers and times as people read them. What is not known is a dash."""

from __future__ import annotations

import math

from monitor.http.readings import instant

DASH = "–"


def count(value: float | None) -> str:
    """A count with thousands separated."""
    return DASH if value is None or math.isnan(value) else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """A ratio as per cent, with more digits where it is small."""
    if value is None or math.isnan(value):
        return DASH
    return f"{100 * value:.{1 if abs(value) >= 0.01 or value == 0 else 2}f}\u00a0%"


def interval(lower: float, upper: float) -> str:
    """The two ends of an interval of ratios, in per cent."""
    return "" if math.isnan(lower) or math.isnan(upper) else f"{100 * lower:.1f}–{100 * upper:.1f}"


def moment(at: float | None, *, now: float) -> str:
    """A time of day in UTC with its distance from now; the date only when it is another day's."""
    shown, today = instant(at), instant(now)
    if at is None or shown is None or today is None:
        return "never"
    form = "%H:%M:%S" if shown.date() == today.date() else "%Y-%m-%d %H:%M:%S"
    distance = now - at
    words = f"{span(distance)} ago" if distance >= 0 else f"in {span(-distance)}"
    return f"{shown.strftime(form)} UTC ({words})"


def span(seconds: float) -> str:
    """A length of time in its largest sensible unit."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
