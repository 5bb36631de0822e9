"""What a summary depends on besides the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from monitor.cells import Limits
from monitor.layout import Layout
from monitor.segments import DEFAULT_KINDS


@dataclass(frozen=True, slots=True)
class SummariseSettings:
    """Times in ms, `block_size` in records, `horizon` in blocks."""

    layout: Callable[[str], Layout]
    limits: Limits = field(default_factory=Limits)
    kinds: Sequence[tuple[str, ...]] = DEFAULT_KINDS
    """dimensions of each kind of segment"""
    features: bool = True
    """whether any layout counts features: decisions are decoded without them otherwise"""
    block_size: int = 16_384
    horizon: int = 16
    lateness_ms: int = 24 * 3_600_000
    """Decisions older than this when they reach Kafka are late."""
    retention_ms: int = 180 * 24 * 3_600_000
    """Feedback about decisions older than this is late."""
    future_ms: int = 300_000
    """Decisions dated further ahead of Kafka's timestamp are clamped to it."""
    join: bool = False
    """Whether feedback without context, and the decisions that it may speak of, are forwarded to the join."""
