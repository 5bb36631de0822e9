"""Scripted incidents, in minutes of event time after the scenario's origin.

Each incident draws from a random stream of its own, so a model that an incident does not touch publishes the same
bytes with and without it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from monitor.simulate.spec import Label, Logit, Share, Spec, check_dimensions


class Incident(Spec, frozen=True, kw_only=True):
    """When, and for which model and segment. `minutes` None: until the end; `model` None: every model."""

    start_minute: Annotated[int, Meta(ge=0)]
    minutes: Annotated[int, Meta(gt=0)] | None = None
    model: Label | None = None
    where: dict[str, Label] = msgspec.field(default_factory=dict)
    """Segment, for example `{language: es}`; empty: all traffic of the model."""

    def __post_init__(self) -> None:
        check_dimensions(self.where)

    def active(self, model: str, minute: int) -> bool:
        """Whether it touches `model` in the `minute` after the origin."""
        ends = None if self.minutes is None else self.start_minute + self.minutes
        return self.model in (None, model) and self.start_minute <= minute and (ends is None or minute < ends)


class PrecisionDrop(Incident, frozen=True, kw_only=True, tag="precision_drop", tag_field="kind"):
    """Pure concept drift: a share of what looks violating is benign in truth (a word changes its meaning).

    Scores and volumes stay as they are, so only labels can show it. Precision falls to `1 - benign_share` of its value.
    """

    benign_share: Share


class MissingFeature(Incident, frozen=True, kw_only=True, tag="missing_feature", tag_field="kind"):
    """A feature arrives as null for a share of the decisions."""

    feature: Label
    share: Share = 1.0


class BrokenDesign(Incident, frozen=True, kw_only=True, tag="broken_design", tag_field="kind"):
    """The real inclusion probability is `factor` times the declared one (at most 1) for scores in the given range."""

    factor: Annotated[float, Meta(ge=0.0)]
    minimum_score: Share = 0.0
    maximum_score: Share = 1.0


class VolumeDrop(Incident, frozen=True, kw_only=True, tag="volume_drop", tag_field="kind"):
    """Only the share `factor` of the decisions happens."""

    factor: Share


class RepostStorm(Incident, frozen=True, kw_only=True, tag="repost_storm", tag_field="kind"):
    """One actor posts near-copies of one item: many decisions, one cause. Unset dimensions take the first value."""

    per_minute: Annotated[int, Meta(gt=0, le=100_000)]
    score: Annotated[float, Meta(gt=0.0, lt=1.0)]
    violating: bool = True


class Rollout(Spec, frozen=True, kw_only=True, tag="rollout", tag_field="kind"):
    """A version of a model takes a share of the traffic, announced by a launch event.

    `champion` and `challenger` take their share from the versions that serve already; `shadow` decides on a share of
    the traffic once more, without effect (no appeals, no reports). `score_shift` moves its scores (logits).
    """

    start_minute: Annotated[int, Meta(ge=0)]
    model: Label
    version: Label
    traffic_share: Share = 1.0
    variant: Literal["champion", "challenger", "shadow"] = "champion"
    stage: Label = "live"
    score_shift: Logit = 0.0
    separation: Annotated[float, Meta(gt=0.0)] | None = None
    """How well it separates violating from benign; None: like the version before."""


AnyIncident = PrecisionDrop | MissingFeature | BrokenDesign | VolumeDrop | RepostStorm | Rollout
