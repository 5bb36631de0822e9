"""An independent count of files of events: JSON, dictionaries and fractions, nothing of the service."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

ACTED = {"remove", "restrict", "label", "age_gate"}
WINDOW_MINUTES = {"5m": 5, "1h": 60, "24h": 24 * 60, "7d": 7 * 24 * 60}

Series = tuple[str, str, str, str, str]
"""model, version, variant, policy, segment"""


@dataclass
class Counts:
    """What counts for one series in one window."""

    actions: Counter[str] = field(default_factory=Counter)
    reviews: Counter[tuple[str, str]] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    reports: int = 0
    violating: Fraction = Fraction(0)
    labelled: Fraction = Fraction(0)

    @property
    def acted(self) -> int:
        return sum(count for action, count in self.actions.items() if action in ACTED)


def recount(directory: Path, *, at: datetime | None = None, window: str | None = None) -> dict[Series, Counts]:
    """Counts of everything that happened before `at`, about decisions of the window that ends there; None: no limit."""
    found: dict[Series, Counts] = {}
    kinds: tuple[tuple[str, str | None, str, Callable[[Counts, dict[str, Any]], None]], ...] = (
        ("decisions.jsonl", "decision_id", "occurred_at", _add_decision),
        ("reviews.jsonl", "review_id", "reviewed_at", _add_review),
        ("appeals.jsonl", None, "at", _add_appeal),
        ("reports.jsonl", "report_id", "at", _add_report),
    )
    for name, identity, time, add in kinds:
        for event in _events(directory / name, identity, time, at):
            decision = event.get("decision", event)
            if at is None or window is None or _inside(_minute(decision["occurred_at"]), at, window):
                for series in _series(decision):
                    add(found.setdefault(series, Counts()), event)
    return found


def _series(decision: dict[str, Any]) -> list[Series]:
    segments = ["all", *(f"{name}={decision[name]}" for name in ("language", "region", "modality"))]
    return [
        (decision["model"], decision["model_version"], decision["variant"], decision["policy"], segment)
        for segment in segments
    ]


def _add_decision(counts: Counts, decision: dict[str, Any]) -> None:
    counts.actions[decision["action"]] += 1


def _add_appeal(counts: Counts, appeal: dict[str, Any]) -> None:
    counts.stages[appeal["stage"]] += 1


def _add_report(counts: Counts, report: dict[str, Any]) -> None:
    counts.reports += 1


def _add_review(counts: Counts, review: dict[str, Any]) -> None:
    counts.reviews[review["source"], review["verdict"]] += 1
    known = review.get("inclusion_probability") is not None and review["verdict"] in {"violating", "benign"}
    if known and review["decision"]["action"] in ACTED:
        weight = 1 / Fraction(review["inclusion_probability"])
        counts.labelled += weight
        counts.violating += weight * (review["verdict"] == "violating")


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def _events(path: Path, identity: str | None, time: str, at: datetime | None) -> list[dict[str, Any]]:
    """Events before `at`, each id once."""
    told = [event for event in _parsed(path) if at is None or datetime.fromisoformat(event[time]) < at]
    return told if identity is None else list({event[identity]: event for event in told}.values())


@cache
def _parsed(path: Path) -> list[dict[str, Any]]:
    return lines(path)


@cache
def _minute(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp()) // 60


def _inside(minute: int, at: datetime, window: str) -> bool:
    """Windows end with the minute before `at`; those of a day and more begin with a whole hour."""
    now = int(at.timestamp()) // 60 - 1
    last = now if WINDOW_MINUTES[window] <= 60 else now - now % 60 + 59
    return minute > last - WINDOW_MINUTES[window]
