"""The status pages for people: plain HTML, no scripts, nothing from elsewhere; a snapshot and the time in, text out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from monitor.http.markup import Markup, joined, tag
from monitor.http.numbers import moment, percent
from monitor.http.readings import WHOLE
from monitor.http.series_table import MAX_ROWS, pill, series_table, standing_pill
from monitor.http.service_card import service_card
from monitor.http.standing import SeriesStatus, Standing, series_status, worst
from monitor.http.style import STYLE
from monitor.http.text import printable
from monitor.snapshot import ModelSnapshot, Snapshot

REFRESH_SECONDS = 10
STALE_SECONDS = 60.0
SEGMENTS_SHOWN = 5
"""Segments with something wrong that the overview shows of a model beside its policies."""


def status_page(snapshot: Snapshot, *, now: float, version: str) -> str:
    """All models, the worst first, each with its policies and its worst segments, and the service."""
    cards = []
    for name, parts in _by_name(snapshot.models).items():
        rows = _statuses(snapshot, parts)
        cards.append((worst(rows), name, _model_card(parts, rows, now=now)))
    cards.sort(key=lambda card: card[:2])
    nothing = tag("section", tag("p", "No decisions have been seen yet.", class_="none"))
    body = [*([card for _, _, card in cards] or [nothing]), service_card(snapshot, now=now)]
    return _page("moderation-monitor", body, snapshot, now=now, version=version)


def model_page(snapshot: Snapshot, name: str, *, now: float, version: str) -> str | None:
    """One model, each policy by each segment, the worst first; None when there is no such model."""
    parts = _by_name(snapshot.models).get(name)
    if parts is None:
        return None
    rows = _statuses(snapshot, parts)
    top = _top(tag("h2", name), worst(rows), f"last decision {moment(_last(parts), now=now)}")
    card = tag("section", top, series_table(rows, _windows(parts)))
    body = [tag("p", tag("a", "All models", href="/")), card, _changes_card(parts, now=now)]
    return _page(f"{name} · moderation-monitor", body, snapshot, now=now, version=version)


def missing_page(name: str, *, version: str) -> str:
    """What a link to a model leads to that this worker does not hold."""
    text = tag("p", f"This worker holds no model named {printable(name)!r}. Another worker may.", class_="none")
    return _document(
        "Not found", [tag("main", tag("section", text), tag("p", tag("a", "All models", href="/")))], version
    )


def _by_name(models: Iterable[ModelSnapshot]) -> dict[str, list[ModelSnapshot]]:
    found: defaultdict[str, list[ModelSnapshot]] = defaultdict(list)
    for model in models:
        found[model.model].append(model)
    return dict(found)


def _statuses(snapshot: Snapshot, parts: Sequence[ModelSnapshot]) -> list[SeriesStatus]:
    objectives = {(one.model, one.policy): one for one in snapshot.objectives}
    found = [series_status(part, row, objectives) for part in parts for row in range(len(part.series))]
    return sorted(found, key=lambda status: status.order)


def _last(parts: Sequence[ModelSnapshot]) -> float | None:
    return max((part.last_decision_at for part in parts if part.last_decision_at is not None), default=None)


def _windows(parts: Sequence[ModelSnapshot]) -> list[str]:
    return list(dict.fromkeys(column.window for part in parts for column in part.readings))


def _page(title: str, body: Sequence[Markup], snapshot: Snapshot, *, now: float, version: str) -> str:
    ready = pill("ready", "good") if snapshot.ready else pill(f"not ready: {snapshot.reason}", "bad")
    stale = snapshot.taken_at is not None and now - snapshot.taken_at > STALE_SECONDS
    taken = f"readings taken {moment(snapshot.taken_at, now=now)}"
    header = tag(
        "header",
        tag("h1", tag("a", "moderation-monitor", href="/")),
        ready,
        pill("stale", "bad") if stale else None,
        tag("span", f"{taken}; event time {moment(snapshot.clock, now=now)}", class_="soft"),
    )
    return _document(title, [header, tag("main", body)], version)


def _document(title: str, body: Sequence[Markup], version: str) -> str:
    links = [tag("a", text, href=href) for text, href in (("metrics", "/metrics"), ("API", "/api/v1/models"))]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", title),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="refresh", content=str(REFRESH_SECONDS)),
        tag("link", rel="icon", href="data:,"),
        tag("style", Markup(STYLE)),
    )
    foot = tag("footer", tag("p", "version ", version, " · ", links[0], " · ", links[1], class_="soft"))
    return f"<!doctype html>\n{tag('html', head, tag('body', body, foot), lang='en')}\n"


def _top(title: Markup, standing: Standing, aside: str) -> Markup:
    return tag("div", title, standing_pill(standing), tag("span", aside, class_="soft"), class_="top")


def _model_card(parts: Sequence[ModelSnapshot], rows: Sequence[SeriesStatus], *, now: float) -> Markup:
    name = parts[0].model
    link = tag("a", name, href=f"/models/{quote(name, safe='', errors='replace')}")
    segmented = [row for row in rows if row.key.segment != WHOLE and not row.shadow]
    troubled = [row for row in segmented if row.standing <= Standing.DRIFT]
    shown = [row for row in rows if row.key.segment == WHOLE or row in troubled[:SEGMENTS_SHOWN]]
    segments = len({row.key.segment for row in rows if row.key.segment != WHOLE})
    trouble = f"{len(troubled)} series below objective or drifting" if troubled else "none in trouble"
    aside = f"{segments} segments, {trouble}; last decision {moment(_last(parts), now=now)}"
    return tag("section", _top(tag("h2", link), worst(rows), aside), series_table(shown, _windows(parts)))


def _changes_card(parts: Sequence[ModelSnapshot], *, now: float) -> Markup:
    launches = sorted((one for part in parts for one in part.launches), key=lambda one: -one.at)
    detections = sorted(
        ((one, part.series[one.series]) for part in parts for one in part.detections if one.count),
        key=lambda pair: -(pair[0].last_at or 0.0),
    )
    return tag(
        "section",
        tag("div", tag("h2", "Launches and changes found"), class_="top"),
        tag(
            "dl",
            (
                _entry(
                    f"{one.model_version} · {one.variant}",
                    f"{one.stage}, {percent(one.traffic_share)} of traffic, {moment(one.at, now=now)}",
                )
                for one in launches[:MAX_ROWS]
            ),
            (
                _entry(
                    f"{one.detector} on {one.input}",
                    f"{one.count} times in {key.policy}, {key.segment}, {key.model_version}; "
                    f"last {moment(one.last_at, now=now)}",
                )
                for one, key in detections[:MAX_ROWS]
            ),
        )
        if launches or detections
        else tag("p", "None.", class_="none"),
    )


def _entry(term: str, text: str) -> Markup:
    return joined([tag("dt", term), tag("dd", text)])
