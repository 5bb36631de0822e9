"""The event contract: what services publish to Kafka, as types that decode and validate at once.

Unknown fields are ignored and an unknown enumeration value becomes `other`, so that a newer producer of the same
major version is read without loss; only a newer major version is refused (`monitor.decode`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

SCHEMA_VERSION: Final = "1.0"
SUPPORTED_MAJOR: Final = 1

MAX_ID_LENGTH: Final = 200
MAX_NAME_LENGTH: Final = 64
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:/+-]*$"
MAX_LATENCY_SECONDS: Final = 86_400.0
MIN_INCLUSION_PROBABILITY: Final = 1e-5
"""Below this a single label would stand for more than 100 thousand decisions: a broken design, not a sample."""

Identifier = Annotated[
    str, Meta(min_length=1, max_length=MAX_ID_LENGTH, description="Opaque identifier. No personal data.")
]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description=f"Becomes a label of metrics. Has to match {NAME_PATTERN}",
    ),
]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 time with an offset.")]
Probability = Annotated[float, Meta(ge=MIN_INCLUSION_PROBABILITY, le=1.0)]
UnitInterval = Annotated[float, Meta(ge=0.0, le=1.0)]
LatencySeconds = Annotated[float, Meta(ge=0.0, le=MAX_LATENCY_SECONDS)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
FeatureValue = float | str | None


class OpenEnum(StrEnum):
    """An enumeration that newer producers may extend: a value not known here reads as `other`."""

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        return cls.__members__.get("OTHER") if isinstance(value, str) else None


class Action(OpenEnum):
    """What was done to the item."""

    ALLOW = "allow"
    REMOVE = "remove"
    RESTRICT = "restrict"
    LABEL = "label"
    AGE_GATE = "age_gate"
    ESCALATE = "escalate"
    OTHER = "other"


class Modality(OpenEnum):
    """What the model looked at."""

    VIDEO = "video"
    IMAGE = "image"
    AUDIO = "audio"
    TEXT = "text"
    MULTIMODAL = "multimodal"
    OTHER = "other"


class Variant(OpenEnum):
    """The role of the model version: serving, candidate with effect, candidate without effect."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"
    OTHER = "other"


class Verdict(OpenEnum):
    """A reviewer's judgement of the item under the policy."""

    VIOLATING = "violating"
    BENIGN = "benign"
    UNSURE = "unsure"
    OTHER = "other"


class ReviewSource(OpenEnum):
    """Why the item was reviewed. Only an audit is a random sample by intent."""

    AUDIT = "audit"
    QUEUE = "queue"
    GOLDEN = "golden"
    ESCALATION = "escalation"
    OTHER = "other"


class AppealStage(OpenEnum):
    """Where an appeal stands. `overturned` means that the decision was wrong."""

    FILED = "filed"
    UPHELD = "upheld"
    OVERTURNED = "overturned"
    WITHDRAWN = "withdrawn"
    OTHER = "other"


class Message(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """What every event may carry."""

    type: str | None = None
    schema_version: str = SCHEMA_VERSION


class DecisionContext(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """The decision that feedback speaks of, as far as counting needs it."""

    occurred_at: Instant
    model: Name
    model_version: Name
    policy: Name
    action: Action
    policy_version: Name | None = None
    modality: Modality | None = None
    language: Name | None = None
    region: Name | None = None
    surface: Name | None = None
    variant: Variant = Variant.CHAMPION
    score: UnitInterval | None = None
    inclusion_probability: Probability | None = None
    design_id: Name | None = None


class IdentifiedContext(DecisionContext, kw_only=True, frozen=True, gc=False):
    """A decision as far as feedback needs it that does not carry its context: by its id it is found."""

    decision_id: Identifier


class CountedDecision(Message, kw_only=True, frozen=True, gc=False):
    """What counting needs of a decision. The first stage decodes no more than this: the rest it does not look at."""

    decision_id: Identifier
    occurred_at: Instant
    model: Name
    model_version: Name
    policy: Name
    action: Action
    score: UnitInterval
    modality: Modality | None = None
    region: Name | None = None
    language: Name | None = None
    surface: Name | None = None
    variant: Variant = Variant.CHAMPION
    sampled: bool | None = None
    inclusion_probability: Probability | None = None
    latency_seconds: LatencySeconds | None = None


class FeaturedDecision(CountedDecision, kw_only=True, frozen=True, gc=False):
    """What counting needs where features are compared with a reference."""

    features: dict[str, FeatureValue] | None = None


class Decision(FeaturedDecision, kw_only=True, frozen=True, gc=False):
    """One decision of a model on one item under one policy."""

    policy_version: Name | None = None
    automated: bool | None = None
    threshold: UnitInterval | None = None
    actor_key: Identifier | None = None
    design_id: Name | None = None
    views: Count | None = None
    embedding_sketch: list[float] | None = None


class Feedback(Message, kw_only=True, frozen=True, gc=False):
    """What all feedback carries: the decision's id and, best, its context."""

    decision_id: Identifier
    decision: DecisionContext | None = None


class Review(Feedback, kw_only=True, frozen=True, gc=False):
    """A person's later judgement of a decision."""

    review_id: Identifier
    reviewed_at: Instant
    verdict: Verdict
    source: ReviewSource
    inclusion_probability: Probability | None = None
    design_id: Name | None = None
    reviewer: Identifier | None = None
    policy_version: Name | None = None
    blind: bool | None = None
    reason: Name | None = None


class Appeal(Feedback, kw_only=True, frozen=True, gc=False):
    """A step of an appeal: filed, then decided or withdrawn."""

    appeal_id: Identifier
    at: Instant
    stage: AppealStage


class Report(Feedback, kw_only=True, frozen=True, gc=False):
    """A user's report about an item."""

    report_id: Identifier
    at: Instant
    reason: Name | None = None
    reporter_key: Identifier | None = None


class Launch(Message, kw_only=True, frozen=True, gc=False):
    """A model version takes a role and a share of the traffic."""

    model: Name
    model_version: Name
    variant: Variant
    stage: Name
    at: Instant
    traffic_share: UnitInterval | None = None


Event = Decision | Review | Appeal | Report | Launch
