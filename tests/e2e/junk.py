"""Records that are refused, each with the reason, and feedback about decisions that nobody made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.e2e.independent_count import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS

DECISION: Final = (
    b'{"decision_id":"%b","type":"%b","occurred_at":"2025-01-06T12:00:00Z","model":"%b","model_version":"1","policy":"p",'
    b'"action":"allow","score":0.5}'
)
JUNK: Final[Mapping[str, list[tuple[bytes, str]]]] = {
    DECISIONS: [
        (b"not json", "malformed"),
        (b'{"decision_id":"incomplete"}', "invalid"),
        (b'{"schema_version":"2.0","decision":{}}', "unsupported_schema"),
        (DECISION % (b"astray", b"review", b"text-guard"), "wrong_type"),
        (DECISION % (b"named", b"decision", b"text guard"), "invalid"),
    ],
    REVIEWS: [(b"[]", "invalid"), (b"\xff\xfe", "malformed")],
    APPEALS: [(b'{"appeal_id":1}', "invalid")],
    REPORTS: [(b"{", "malformed")],
    LAUNCHES: [(b'{"model":"m"}', "invalid")],
}
"""Values that are refused, and why."""
ORPHAN: Final = (
    b'{"review_id":"orphan-%d","decision_id":"nobody-%d","reviewed_at":"2025-01-06T12:00:00Z","verdict":"benign",'
    b'"source":"audit"}'
)
"""A review of a decision that is not known; takes a number twice."""


def refused() -> dict[bytes, str]:
    """Value -> reason of all junk."""
    return {value: reason for junk in JUNK.values() for value, reason in junk}
