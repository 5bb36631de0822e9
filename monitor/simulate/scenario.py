"""What a simulation is made of: models and their traffic, reviews, appeals, reports, incidents.

Scores are calibrated by construction: the evidence for one item is normal with mean `+separation/2` if it violates and
`-separation/2` if not, so its exact posterior has the logit `logit(prevalence) + separation * evidence` (equal-variance
signal detection; AUC = Phi(separation / sqrt 2)). `Calibration` then distorts that logit where a model should be wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from monitor import strict_yaml
from monitor.simulate.delays import Delay, Exponential, Lognormal
from monitor.simulate.designs import AnyDesign
from monitor.simulate.incidents import AnyIncident, Incident, MissingFeature, Rollout
from monitor.simulate.spec import Label, Logit, Share, Shares, Spec

Positive = Annotated[float, Meta(gt=0.0)]
OpenShare = Annotated[float, Meta(gt=0.0, lt=1.0)]


class Policy(Spec, frozen=True, kw_only=True):
    """A policy a model enforces. `share` is its weight in the model's traffic, `prevalence` the share that violates."""

    name: Label
    share: Positive = 1.0
    prevalence: OpenShare = 0.05
    threshold: OpenShare = 0.5
    action: Literal["remove", "restrict", "label", "age_gate"] = "remove"
    version: Label = "2026-01"
    escalate_from: OpenShare | None = None
    """Scores from here up to the threshold are escalated to people; None: they are allowed."""

    def __post_init__(self) -> None:
        if self.escalate_from is not None and self.escalate_from >= self.threshold:
            raise ValueError(f"policy {self.name!r}: escalate_from has to be below the threshold {self.threshold}")


class Calibration(Spec, frozen=True, kw_only=True):
    """Published logit = intercept + slope * true logit. (0, 1) is calibrated; slope above 1 is overconfident."""

    intercept: Logit = 0.0
    slope: Positive = 1.0


class Latency(Spec, frozen=True, kw_only=True):
    """Lognormal decision latency, at most 9.999 seconds."""

    median_ms: Positive = 40.0
    sigma: Annotated[float, Meta(gt=0.0, le=3.0)] = 0.5


class NumberFeature(Spec, frozen=True, kw_only=True, tag="number", tag_field="kind"):
    """A normal number within four standard deviations; `missing` is its usual share of nulls."""

    name: Label
    mean: float = 0.0
    sd: Positive = 1.0
    missing: Share = 0.0


class CategoryFeature(Spec, frozen=True, kw_only=True, tag="category", tag_field="kind"):
    """A category with the given weights; `missing` is its usual share of nulls."""

    name: Label
    shares: Annotated[Shares, Meta(min_length=1)]
    missing: Share = 0.0


Feature = NumberFeature | CategoryFeature


class Model(Spec, frozen=True, kw_only=True):
    """A watched model and its traffic. Dimensions are independent of each other; weights need not add up to one."""

    name: Label
    modality: Literal["video", "image", "audio", "text", "multimodal"]
    policies: Annotated[tuple[Policy, ...], Meta(min_length=1)]
    version: Label = "1.0.0"
    decisions_per_minute: Annotated[float, Meta(ge=0.0, le=10_000_000)] = 600.0
    languages: Annotated[Shares, Meta(min_length=1)] = msgspec.field(default_factory=lambda: {"en": 1.0})
    regions: Annotated[Shares, Meta(min_length=1)] = msgspec.field(default_factory=lambda: {"us-east": 1.0})
    surfaces: Annotated[Shares, Meta(min_length=1)] = msgspec.field(default_factory=lambda: {"feed": 1.0})
    separation: Positive = 3.0
    separation_by_language: dict[Label, Positive] = msgspec.field(default_factory=dict)
    calibration: Calibration = Calibration()
    latency: Latency = Latency()
    features: tuple[Feature, ...] = ()
    audit: AnyDesign | None = None
    actors: Annotated[int, Meta(ge=1, le=10_000_000)] = 50_000

    def __post_init__(self) -> None:
        _distinct(f"model {self.name!r}: policy", [policy.name for policy in self.policies])
        _distinct(f"model {self.name!r}: feature", [feature.name for feature in self.features])

    def names(self, dimension: str) -> tuple[str, ...]:
        """The values of one of `spec.DIMENSIONS` in this model's traffic."""
        return {
            "policy": tuple(policy.name for policy in self.policies),
            "language": tuple(self.languages),
            "region": tuple(self.regions),
            "surface": tuple(self.surfaces),
        }[dimension]


class Rhythm(Spec, frozen=True, kw_only=True):
    """Volume by day and week (UTC): `1 + daily * cos(hour - peak)`, on Saturday and Sunday times `weekend`."""

    daily: Share = 0.0
    peak_hour: Annotated[float, Meta(ge=0.0, lt=24.0)] = 18.0
    weekend: Annotated[float, Meta(gt=0.0, le=100.0)] = 1.0


class Reviewers(Spec, frozen=True, kw_only=True):
    """Who judges audited and queued items, and how well."""

    people: Annotated[int, Meta(ge=1, le=10_000)] = 20
    sensitivity: Share = 1.0
    specificity: Share = 1.0
    unsure: Share = 0.0
    blind: Share = 1.0
    """Share of audits where the reviewer does not see the model's verdict. Queue reviews never are blind."""
    delay: Delay = Lognormal(median_minutes=4.0, sigma=0.8)


class Queue(Spec, frozen=True, kw_only=True):
    """A risk-ranked review queue: chance `share * score ** steepness`, which no event tells. A trap for naive rates."""

    share: Share = 0.05
    steepness: Annotated[float, Meta(ge=0.0)] = 2.0
    delay: Delay = Exponential(mean_minutes=10.0)


class Appeals(Spec, frozen=True, kw_only=True):
    """Appeals against acted-on decisions. `wrong`: the item was benign; `right`: it did violate."""

    filed_if_wrong: Share = 0.30
    filed_if_right: Share = 0.04
    overturned_if_wrong: Share = 0.85
    overturned_if_right: Share = 0.03
    withdrawn: Share = 0.05
    filing_delay: Delay = Lognormal(median_minutes=15.0, sigma=1.0)
    upheld_delay: Delay = Lognormal(median_minutes=10.0, sigma=0.7)
    overturned_delay: Delay = Lognormal(median_minutes=30.0, sigma=0.7)
    """Later than upheld: reversing takes a second opinion."""


class Reports(Spec, frozen=True, kw_only=True):
    """User reports about items that stayed up."""

    if_violating: Share = 0.10
    if_benign: Share = 0.002
    violating_delay: Delay = Exponential(mean_minutes=5.0)
    benign_delay: Delay = Exponential(mean_minutes=20.0)


class Scenario(Spec, frozen=True, kw_only=True):
    """A whole simulation. Feedback kinds that are None do not happen."""

    name: Label
    models: Annotated[tuple[Model, ...], Meta(min_length=1, max_length=255)]
    rhythm: Rhythm = Rhythm()
    reviewers: Reviewers = Reviewers()
    queue: Queue | None = None
    appeals: Appeals | None = None
    reports: Reports | None = None
    incidents: tuple[AnyIncident, ...] = ()
    context_share: Share = 1.0
    """Share of the feedback that carries its decision's context."""
    retry_share: Share = 0.0
    """Share of the decisions that their producer publishes twice, byte for byte, within the same minute."""
    retry_seconds: Annotated[float, Meta(gt=0.0, le=60.0)] = 5.0

    def __post_init__(self) -> None:
        _distinct("model", [model.name for model in self.models])
        features = {model.name: {feature.name for feature in model.features} for model in self.models}
        for incident in self.incidents:
            if incident.model is not None and incident.model not in features:
                raise ValueError(f"incident for unknown model {incident.model!r}, allowed: {', '.join(features)}")
            if isinstance(incident, MissingFeature):
                known = set().union(*features.values()) if incident.model is None else features[incident.model]
                if incident.feature not in known:
                    raise ValueError(f"missing_feature: unknown feature {incident.feature!r}, allowed: {sorted(known)}")
            if not isinstance(incident, Rollout):
                self._check_segment(incident)

    def _check_segment(self, incident: Incident) -> None:
        for dimension, value in incident.where.items():
            known = {
                name for model in self.models if incident.model in (None, model.name) for name in model.names(dimension)
            }
            if value not in known:
                raise ValueError(f"incident in unknown {dimension} {value!r}, allowed: {', '.join(sorted(known))}")

    def rollouts(self, model: str) -> list[Rollout]:
        """The model's rollouts in order of time."""
        mine = [incident for incident in self.incidents if isinstance(incident, Rollout) and incident.model == model]
        return sorted(mine, key=lambda rollout: rollout.start_minute)


class ScenarioError(ValueError):
    """A scenario file that cannot be used: says which file, where in it, and what is allowed."""


def load_scenario(path: Path) -> Scenario:
    """Read a scenario from a YAML file; unknown keys are refused.

    Raises ScenarioError (not readable, not YAML, or not a scenario).
    """
    try:
        return msgspec.convert(strict_yaml.load(path.read_text(encoding="utf-8")), Scenario)
    except OSError as error:
        raise ScenarioError(f"{path}: cannot read the scenario: {error.strerror}") from error
    except (strict_yaml.InvalidYaml, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: expected YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{path}: {error}") from error


def _distinct(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} name {name!r} is used more than once")
