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
    orphans: Counter[tuple[str, ...]] = field(default_factory=Counter)
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


def count(records: Iterable[Published], *, refused: Mapping[bytes, str], featured: Collection[str] = ()) -> Count:
    """Count records in the order of publishing. `refused`: value -> reason; `featured`: models to keep features of."""
    result = Count()
    seen: dict[str, set[str]] = defaultdict(set)
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
            elif topic != LAUNCHES and event.get("decision") is None:
                result.orphans[here] += 1
            else:
                take[topic](result, event, timestamp)
    return result


def series_of(context: Event) -> list[Series]:
    """The series that a decision counts in: the whole, then language, region and modality."""
    head = (context["model"], context["model_version"], context.get("variant", "champion"), context["policy"])
    segments = ["all", *(f"{name}={context.get(name) or 'unknown'}" for name in ("language", "region", "modality"))]
    return [(*head, segment) for segment in segments]


@cache
def _minute_start_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def milliseconds(text: str) -> int:
    """RFC 3339 in UTC, as the simulator writes it, to milliseconds since the epoch."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return _minute_start_ms(f"{whole}+00:00") + int((fraction + "000")[:3])


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
    minute, action, latency = occurred // 60_000, event["action"], event.get("latency_seconds")
    for series in series_of(event):
        result.decisions[(*series, action)] += 1
        result.scores[series].append(event["score"])
        if latency is not None:
            result.latencies[series].append(latency)
        result.by_minute[series, "decisions", minute] += 1
        if action in POSITIVE:
            result.by_minute[series, "acted", minute] += 1
        if event["model"] in featured:
            result.features[series].append((minute, event["score"], event.get("features") or {}))


def _review(result: Count, event: Event, _timestamp: int) -> None:
    context = event["decision"]
    source, verdict = event["source"], event["verdict"]
    probability = event.get("inclusion_probability")
    if probability is None and source == "audit":
        probability = context.get("inclusion_probability")
    labelled = probability is not None and source != "golden" and verdict in {"violating", "benign"}
    minute = milliseconds(context["occurred_at"]) // 60_000
    for series in series_of(context):
        result.reviews[(*series, source, verdict)] += 1
        if labelled:
            label = Label(minute, context["action"] in POSITIVE, verdict == "violating", 1 / probability)
            result.labels[series].append(label)


def _appeal(result: Count, event: Event, _timestamp: int) -> None:
    minute = milliseconds(event["decision"]["occurred_at"]) // 60_000
    for series in series_of(event["decision"]):
        result.appeals[(*series, event["stage"])] += 1
        result.by_minute[series, event["stage"], minute] += 1


def _report(result: Count, event: Event, _timestamp: int) -> None:
    minute = milliseconds(event["decision"]["occurred_at"]) // 60_000
    for series in series_of(event["decision"]):
        result.reports[series] += 1
        result.by_minute[series, "reports", minute] += 1
