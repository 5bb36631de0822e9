"""Events as a producer would write them, for tests that change one thing at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from tests.e2e.published import Headers, Published

NOON_MS: Final = 1_736_164_800_000
"""2025-01-06T12:00Z"""

DECISIONS: Final = "moderation.decisions"
REVIEWS: Final = "moderation.reviews"


def iso(ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def decision(identifier: str, *, at_ms: int = NOON_MS, **fields: Any) -> dict[str, Any]:
    """A decision with the required fields, and others on top."""
    event: dict[str, Any] = {
        "decision_id": identifier,
        "occurred_at": iso(at_ms),
        "model": "steady",
        "model_version": "1",
        "policy": "spam",
        "action": "allow",
        "score": 0.25,
        "language": "en",
    }
    return event | fields


def review(identifier: str, about: dict[str, Any], *, at_ms: int, **fields: Any) -> dict[str, Any]:
    """An audit of a decision that it carries the context of."""
    context = {name: value for name, value in about.items() if name not in {"decision_id", "latency_seconds"}}
    event: dict[str, Any] = {
        "review_id": identifier,
        "decision_id": about["decision_id"],
        "reviewed_at": iso(at_ms),
        "verdict": "violating",
        "source": "audit",
        "inclusion_probability": 0.5,
        "decision": context,
    }
    return event | fields


def record(
    event: dict[str, Any] | bytes | None,
    *,
    topic: str = DECISIONS,
    at_ms: int = NOON_MS,
    key: bytes | None = None,
    headers: Headers | None = None,
) -> Published:
    """A record that carries an event, or any bytes. Keyed by the decision's id unless a key is given."""
    if isinstance(event, dict):
        key = key or str(event.get("decision_id", "")).encode("utf-8", "replace") or None
        return Published(topic, key, json.dumps(event).encode(), at_ms, headers)
    return Published(topic, key, event, at_ms, headers)
