"""The table of the status pages: series in rows, the worst first, with intervals drawn beside their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from monitor.bounds import JUDGED_WINDOWS
from monitor.http.markup import Child, Markup, joined, tag
from monitor.http.numbers import DASH, count, interval, percent
from monitor.http.readings import WHOLE
from monitor.http.standing import Drift, Precision, SeriesStatus, Standing
from monitor.snapshot import Quantity

MAX_ROWS = 300
"""Rows of one table; a page with more helps nobody, and the API has them all."""

_WORDS: Mapping[Standing, tuple[str, str]] = {
    Standing.BELOW: ("below objective", "bad"),
    Standing.DRIFT: ("drift", "warn"),
    Standing.UNCERTAIN: ("uncertain", "mute"),
    Standing.GOOD: ("good", "good"),
    Standing.STARVED: ("few labels", "mute"),
    Standing.SILENT: ("no decisions", "mute"),
}


def series_table(rows: Sequence[SeriesStatus], windows: Sequence[str]) -> Markup:
    """One row a series, precision by window. Bars of intervals share one axis, so that they can be compared by eye."""
    main = _headline(windows)
    lows = [one.lower for row in rows for one in row.precision.values() if not math.isnan(one.lower)]
    goals = [row.objective.precision for row in rows if row.objective]
    axis = math.floor(10 * min([*lows, *goals, 0.9])) / 10
    titles = [
        ("Policy", "l"),
        (f"Decisions {main}", ""),
        (f"Acted on {main}", ""),
        *((f"Precision {window}", "") for window in windows),
        (f"Appeals {main}", ""),
        ("Drift, highest", ""),
    ]
    head = tag("thead", tag("tr", (tag("th", title, class_=kind or None, scope="col") for title, kind in titles)))
    body = [_row(row, windows, main, [title for title, _ in titles], axis) for row in rows[:MAX_ROWS]]
    left = len(rows) - len(body)
    more = (
        tag("p", f"{left} further rows are left out here; /api/v1/readings has all.", class_="soft") if left else None
    )
    return joined([tag("div", tag("table", head, tag("tbody", body)), class_="scroll"), more])


def standing_pill(standing: Standing) -> Markup:
    """A standing in words and colour."""
    return pill(*_WORDS[standing])


def pill(text: str, kind: str) -> Markup:
    """A short word that stands out; `kind` is one of bad, warn, good and mute."""
    return tag("span", text, class_=f"pill {kind}")


def _headline(windows: Sequence[str]) -> str:
    """The window of the columns that are shown for one window only."""
    return JUDGED_WINDOWS[0] if JUDGED_WINDOWS[0] in windows else (windows[0] if windows else "")


def _row(status: SeriesStatus, windows: Sequence[str], main: str, titles: Sequence[str], axis: float) -> Markup:
    goal = status.objective.precision if status.objective else math.nan
    cells: list[Child] = [
        count(status.plain.get((Quantity.VOLUME, main))),
        percent(status.plain.get((Quantity.ACTION_RATE, main))),
        *(_precision(status.precision.get(window), goal, axis) for window in windows),
        _appeals(status, main),
        _drift(status.drift),
    ]
    rest = (tag("td", cell, data_label=title) for cell, title in zip(cells, titles[1:], strict=True))
    return tag("tr", _name(status), rest)


def _name(status: SeriesStatus) -> Markup:
    key = status.key
    segment = None if key.segment == WHOLE else tag("small", tag("b", key.segment))
    role = tag("small", f"{key.model_version} · {key.variant}")
    return tag("td", key.policy, segment, role, standing_pill(status.standing), class_="l")


def _precision(one: Precision | None, goal: float, axis: float) -> list[Markup | str]:
    if one is None or math.isnan(one.value):
        return [DASH, tag("small", "no labels")]
    labels = tag("small", f"n {count(one.labels)}")
    ends = interval(one.lower, one.upper)
    if not ends:
        return [percent(one.value), labels]
    return [percent(one.value), _drawn(one, goal, axis), tag("small", ends), labels]


def _drawn(one: Precision, goal: float, axis: float) -> Markup:
    """The interval as a bar, the estimate as a dot, the objective as a dashed line."""
    width = 96

    def x(value: float) -> float:
        return round(2 + (width - 4) * (min(max(value, axis), 1.0) - axis) / (1.0 - axis), 1)

    return tag(
        "svg",
        tag("line", class_="axis", x1=0, x2=width, y1=7, y2=7),
        None if math.isnan(goal) else tag("line", class_="goal", x1=x(goal), x2=x(goal), y1=0, y2=14),
        tag("line", class_="range", x1=x(one.lower), x2=x(one.upper), y1=7, y2=7),
        tag("circle", class_="point", cx=x(one.value), cy=7, r=3),
        width=width,
        height=14,
        role="img",
        aria_label=f"interval {interval(one.lower, one.upper)} %",
    )


def _appeals(status: SeriesStatus, window: str) -> list[Markup | str]:
    overturned = status.plain.get((Quantity.OVERTURN_SHARE, window))
    note = [] if overturned is None else [tag("small", f"{percent(overturned)} overturned")]
    return [percent(status.plain.get((Quantity.APPEAL_RATE, window))), *note]


def _drift(drift: Drift | None) -> list[Markup | str]:
    if drift is None:
        return [DASH]
    value = f"{drift.value:.3f} / {drift.threshold:g}"
    shown = pill(value, "warn") if drift.found else value
    chance = "" if math.isnan(drift.p_value) else f" · p {drift.p_value:.2g}"
    return [shown, tag("small", f"{drift.statistic} of {drift.input}, {drift.window}{chance}")]
