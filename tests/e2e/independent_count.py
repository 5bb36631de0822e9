"""Counts of what was published, by plain dicts and the standard library's JSON: nothing of the service is used.

Valid events are told from invalid ones by the test that made them (`refused`), not by decoding here.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final

from tests.e2e.published import Published

DAY_MS: Final = 24 * 3_600_000
FUTURE_MS: Final = 300_000
POSITIVE: Final = frozenset({"remove", "restrict", "label", "age_gate"})

DECISIONS: Final = "moderation.decisions"
REVIEWS: Final = "moderation.reviews"
APPEALS: Final = "moderation.appeals"
REPORTS: Final = "moderation.reports"
LAUNCHES: Final = "moderation.launches"

Series = tuple[str, str, str, str, str]
"""(model, model_version, variant, policy, segment)"""
Cell = tuple[str | None, ...]
"""(model, model_version, variant, policy, language, region, modality) of a decision"""
Event = dict[str, Any]


@dataclass
class Label:
    """A review of known inclusion probability: weight of one over it."""

    minute: int
    acted: bool
    violating: bool
    weight: float


@dataclass
class Count:
    """Everything that the counters of `/metrics` should say, and the rows that windows are made of."""

    records: Counter[tuple[str, ...]] = field(default_factory=Counter)
    tombstones: Counter[tuple[str, ...]] = field(default_factory=Counter)
    duplicates: Counter[tuple[str, ...]] = field(default_factory=Counter)
    waiting: int = 0
    """feedback without context whose decision is not known, or can get no feedback: neither acted on nor sampled"""
    joined: int = 0
    """feedback without context whose decision is known"""
    late: Counter[tuple[str, ...]] = field(default_factory=Counter)
    future: Counter[tuple[str, ...]] = field(default_factory=Counter)
    dead: Counter[tuple[str, ...]] = field(default_factory=Counter)
    decisions: Counter[tuple[str, ...]] = field(default_factory=Counter)
    reviews: Counter[tuple[str, ...]] = field(default_factory=Counter)
    appeals: Counter[tuple[str, ...]] = field(default_factory=Counter)
    reports: Counter[tuple[str, ...]] = field(default_factory=Counter)
    scores: dict[Series, list[float]] = field(default_factory=lambda: defaultdict(list))
    latencies: dict[Series, list[float]] = field(default_factory=lambda: defaultdict(list))
    by_minute: Counter[tuple[Series, str, int]] = field(default_factory=Counter)
    """(series, what, minute of the decision): `decisions`, `acted`, `reports` and the stages of appeals"""
    labels: dict[Series, list[Label]] = field(default_factory=lambda: defaultdict(list))
    features: dict[Series, list[tuple[int, float, Mapping[str, Any]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """(minute, score, features) of the decisions of the models that were asked for"""
    cells: Counter[tuple[Cell, str, int]] = field(default_factory=Counter)
    """(cell, action, minute of the decision), before they are spread over series"""
    cell_scores: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    cell_latencies: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))

    def spread(self) -> None:
        """Let each cell count in its series."""
        for (cell, action, minute), number in self.cells.items():
            for series in series_of(cell):
                self.decisions[(*series, action)] += number
                self.by_minute[series, "decisions", minute] += number
                if action in POSITIVE:
                    self.by_minute[series, "acted", minute] += number
        for own, spread in ((self.cell_scores, self.scores), (self.cell_latencies, self.latencies)):
            for cell, values in own.items():
                for series in series_of(cell):
                    spread[series] += values


def count(records: Iterable[Published], *, refused: Mapping[bytes, str], featured: Collection[str] = ()) -> Count:
    """Count records in the order of publishing. `refused`: value -> reason; `featured`: models to keep features of."""
    result = Count()
    seen: dict[str, set[str]] = defaultdict(set)
    decided: dict[str, Event] = {}  # those that can get feedback
    without_context: list[tuple[str, Event, int]] = []
    take: dict[str, Callable[[Count, Event, int], None]] = {
        REVIEWS: _review,
        APPEALS: _appeal,
        REPORTS: _report,
        LAUNCHES: lambda *_: None,
    }
    for topic, _, value, timestamp, _ in records:
        here = (topic,)
        result.records[here] += 1
        if value is None:
            result.tombstones[here] += 1
        elif value in refused:
            result.dead[topic, refused[value]] += 1
        else:
            event = json.loads(value)
            identity = _identity(topic, event)
            if identity is not None and identity in seen[topic]:
                result.duplicates[here] += 1
                continue
            seen[topic].add(identity or "")
            if topic == DECISIONS:
                _decision(result, event, timestamp, featured)
                if event["action"] in POSITIVE or event.get("sampled"):
                    decided[event["decision_id"]] = event
            elif topic != LAUNCHES and event.get("decision") is None:
                without_context.append((topic, event, timestamp))
            else:
                take[topic](result, event, timestamp)
    for topic, event, timestamp in without_context:
        decision = decided.get(event["decision_id"])
        if decision is None:
            result.waiting += 1
        else:
            result.joined += 1
            take[topic](result, event | {"decision": decision}, timestamp)
    result.spread()
    return result


def cell_of(context: Event) -> Cell:
    """What tells the series of a decision."""
    told = context.get
    return (
        context["model"],
        context["model_version"],
        told("variant", "champion"),
        context["policy"],
        told("language"),
        told("region"),
        told("modality"),
    )


@cache
def series_of(cell: Cell) -> tuple[Series, ...]:
    """The series that a cell counts in: the whole, then language, region and modality."""
    model, version, variant, policy, *values = cell
    told = zip(("language", "region", "modality"), values, strict=True)
    segments = ["all", *(f"{name}={value or 'unknown'}" for name, value in told)]
    return tuple((str(model), str(version), str(variant), str(policy), segment) for segment in segments)


@cache
def _start_of_minute_ms(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}:00+00:00").timestamp() * 1000)


def milliseconds(text: str) -> int:
    """An RFC 3339 time in UTC with `Z`, as the simulator writes it, to milliseconds since the epoch."""
    return _start_of_minute_ms(text[:16]) + round(float(text[17:-1]) * 1000)


def _identity(topic: str, event: Event) -> str | None:
    if topic == APPEALS:
        return f"{event['appeal_id']} {event['stage']}"
    names = {DECISIONS: "decision_id", REVIEWS: "review_id", REPORTS: "report_id"}
    return event[names[topic]] if topic in names else None


def _decision(result: Count, event: Event, timestamp: int, featured: Collection[str]) -> None:
    occurred = milliseconds(event["occurred_at"])
    if timestamp - occurred > DAY_MS:
        result.late[DECISIONS,] += 1
        return
    if occurred - timestamp > FUTURE_MS:
        result.future[DECISIONS,] += 1
        occurred = timestamp
    cell, latency = cell_of(event), event.get("latency_seconds")
    result.cells[cell, event["action"], occurred // 60_000] += 1
    result.cell_scores[cell].append(event["score"])
    if latency is not None:
        result.cell_latencies[cell].append(latency)
    if event["model"] in featured:
        row = (occurred // 60_000, event["score"], event.get("features") or {})
        for series in series_of(cell):
            result.features[series].append(row)


def _review(result: Count, event: Event, _timestamp: int) -> None:
    context = event["decision"]
    source, verdict = event["source"], event["verdict"]
    probability = event.get("inclusion_probability")
    if probability is None and source == "audit":
        probability = context.get("inclusion_probability")
    labelled = source != "golden" and verdict in {"violating", "benign"}
    minute = milliseconds(context["occurred_at"]) // 60_000
    for series in series_of(cell_of(context)):
        result.reviews[(*series, source, verdict)] += 1
        if labelled and probability is not None:
            label = Label(minute, context["action"] in POSITIVE, verdict == "violating", 1 / probability)
            result.labels[series].append(label)


def _appeal(result: Count, event: Event, _timestamp: int) -> None:
    minute = milliseconds(event["decision"]["occurred_at"]) // 60_000
    for series in series_of(cell_of(event["decision"])):
        result.appeals[(*series, event["stage"])] += 1
        result.by_minute[series, event["stage"], minute] += 1


def _report(result: Count, event: Event, _timestamp: int) -> None:
    minute = milliseconds(event["decision"]["occurred_at"]) // 60_000
    for series in series_of(cell_of(event["decision"])):
        result.reports[series] += 1
        result.by_minute[series, "reports", minute] += 1
