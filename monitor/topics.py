"""The source topics and which event each carries: the one list that transport, contract and commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from monitor.events import Appeal, Decision, Event, Launch, Report, Review


@dataclass(frozen=True, slots=True)
class SourceTopic:
    """A source topic: its short name, its Kafka name and the type of its events."""

    name: str
    topic: str
    event: type[Event]
    description: str

    @property
    def dead_letters(self) -> str:
        """Kafka name of the topic that takes what cannot be accepted."""
        return f"{self.topic}.dlq"


DECISIONS: Final = SourceTopic("decision", "moderation.decisions", Decision, "Every decision of every model.")
REVIEWS: Final = SourceTopic("review", "moderation.reviews", Review, "Judgements of human reviewers.")
APPEALS: Final = SourceTopic("appeal", "moderation.appeals", Appeal, "Each step of each appeal.")
REPORTS: Final = SourceTopic("report", "moderation.reports", Report, "Reports by users.")
LAUNCHES: Final = SourceTopic("launch", "moderation.launches", Launch, "Launches and roll-backs of model versions.")

SOURCES: Final = (DECISIONS, REVIEWS, APPEALS, REPORTS, LAUNCHES)
BY_TOPIC: Final = {source.topic: source for source in SOURCES}

BLOCKS: Final = "moderation.blocks"
"""Internal: block summaries, keyed by model."""
JOIN: Final = "moderation.join"
"""Internal: decisions that can get feedback and feedback without context, partitioned by decision id."""
STATE: Final = "moderation.state"
"""Internal, compacted: checkpoints of the ledger. Has as many partitions as BLOCKS."""
