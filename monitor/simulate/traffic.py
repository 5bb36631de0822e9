"""The decisions of one model in one minute: a pure function of scenario, seed, model and minute.

Nothing is carried from one minute to the next; that is what makes the output independent of how a range is cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from monitor.simulate.incidents import (
    BrokenDesign,
    Incident,
    MissingFeature,
    PrecisionDrop,
    RepostStorm,
    Rollout,
    VolumeDrop,
)
from monitor.simulate.rows import SCORE_UNITS, Bools, Ints, Names, Release, Rows
from monitor.simulate.scenario import CategoryFeature, Model, Rhythm, Scenario

Floats = npt.NDArray[np.float64]

MS_PER_MINUTE = 60_000
MINUTES_PER_DAY = 1440
NUMBER_STEPS = 50
"""Number features are written on a grid of 1/50 standard deviation, up to `NUMBER_LIMIT` of them."""
NUMBER_LIMIT = 4
MAX_LATENCY_MS = 9_999
MAX_VIEWS = 10_000_000


class Purpose(IntEnum):
    """What a random stream is for. One stream each, so that one change leaves the others' draws as they are."""

    TRAFFIC = 0
    AUDIT = 1
    RETRY = 2
    FEEDBACK = 3
    SHADOW = 100
    INCIDENT = 1000


@dataclass(frozen=True, slots=True)
class Serving:
    """A version that decides in a given minute."""

    release: Release
    share: float
    score_shift: float
    separation: float | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """The decisions of one model and minute, in time order. Arrays have shape (rows,)."""

    model: Model
    model_index: int
    minute: int
    """Minutes since the epoch."""
    rows: Rows
    acted: Bools
    escalated: Bools
    declared: Floats
    """Inclusion probability as the decision states it; NaN outside the review design."""
    sampled: Bools

    @property
    def start_ms(self) -> int:
        """Start of the minute, milliseconds since the epoch."""
        return self.minute * MS_PER_MINUTE


def stream(seed: int, minute: int, model_index: int, purpose: int) -> np.random.Generator:
    """The random stream of one purpose, model and minute."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, minute, model_index, purpose))))


def draw(scenario: Scenario, model_index: int, *, seed: int, minute: int, origin: int) -> Traffic:
    """Decisions of `scenario.models[model_index]` in `minute` (since the epoch); incidents count from `origin`."""
    model = scenario.models[model_index]
    elapsed = minute - origin
    serving, shadows = versions(model, scenario.rollouts(model.name), elapsed)
    names = Names(
        policy=model.names("policy"),
        language=model.names("language"),
        region=model.names("region"),
        surface=model.names("surface"),
        release=tuple(one.release for one in serving + shadows),
    )
    rate = model.decisions_per_minute * volume(scenario.rhythm, minute)
    parts = [_rows(model, names, serving, 0, rate, stream(seed, minute, model_index, Purpose.TRAFFIC))]
    for index, shadow in enumerate(shadows):
        rng = stream(seed, minute, model_index, Purpose.SHADOW + index)
        parts.append(_rows(model, names, [shadow], len(serving) + index, rate * shadow.share, rng))
    rows = Rows.concatenate(parts)

    broken: list[BrokenDesign] = []
    storms: list[Rows] = []
    for index, incident in enumerate(scenario.incidents):
        if isinstance(incident, Rollout) or not incident.active(model.name, elapsed):
            continue
        rng = stream(seed, minute, model_index, Purpose.INCIDENT + index)
        if isinstance(incident, BrokenDesign):
            broken.append(incident)
        elif isinstance(incident, RepostStorm):
            storms.append(_storm(incident, model, names, serving, actor=model.actors + index, rng=rng))
        else:
            rows = _strike(rows, model, incident, rng)
    rows = Rows.concatenate([rows, *storms])
    rows = rows.take(np.argsort(rows.offset_ms, kind="stable"))

    thresholds = np.array([round(policy.threshold * SCORE_UNITS) for policy in model.policies])
    escalate = np.array([round((policy.escalate_from or 1.0) * SCORE_UNITS) for policy in model.policies])
    acted = rows.score >= thresholds[rows.policy]
    declared, sampled = _audit(model, rows, acted, broken, stream(seed, minute, model_index, Purpose.AUDIT))
    return Traffic(
        model=model,
        model_index=model_index,
        minute=minute,
        rows=rows,
        acted=acted,
        escalated=~acted & (rows.score >= escalate[rows.policy]),
        declared=declared,
        sampled=sampled,
    )


def versions(model: Model, rollouts: list[Rollout], elapsed: int) -> tuple[list[Serving], list[Serving]]:
    """Who serves (shares add up to one) and who shadows, `elapsed` minutes after the origin."""
    serving = [Serving(Release(model.version, "champion"), 1.0, 0.0, None)]
    shadows: dict[str, Serving] = {}
    for rollout in rollouts:
        if rollout.start_minute > elapsed:
            break
        new = Serving(
            Release(rollout.version, rollout.variant),
            rollout.traffic_share,
            rollout.score_shift,
            rollout.separation,
        )
        shadows.pop(rollout.version, None)
        others = [one for one in serving if one.release.version != rollout.version]
        if rollout.variant == "shadow":
            shadows[rollout.version] = new
            continue
        total = sum(one.share for one in others)
        kept = [replace(one, share=one.share / total * (1 - new.share)) for one in others if total > 0]
        serving = [one for one in kept if one.share > 0] + ([new] if new.share > 0 or not kept else [])
    return serving, list(shadows.values())


def volume(rhythm: Rhythm, minute: int) -> float:
    """Volume of a minute (since the epoch) relative to the average weekday."""
    hour = minute % MINUTES_PER_DAY / 60
    day = minute // MINUTES_PER_DAY % 7  # day 0 of the epoch is a Thursday: 2 and 3 are Saturday and Sunday
    daily = 1 + rhythm.daily * float(np.cos((hour - rhythm.peak_hour) / 24 * 2 * np.pi))
    return daily * (rhythm.weekend if day in (2, 3) else 1.0)


def _choose(rng: np.random.Generator, weights: list[float], size: int) -> Ints:
    edges = np.cumsum(np.array(weights, dtype=np.float64))
    index: Ints = np.searchsorted(edges[:-1], rng.random(size) * edges[-1], side="right").astype(np.int64)
    return index


def _rows(
    model: Model, names: Names, serving: list[Serving], first_release: int, rate: float, rng: np.random.Generator
) -> Rows:
    size = int(rng.poisson(rate))
    policy = _choose(rng, [policy.share for policy in model.policies], size)
    language = _choose(rng, list(model.languages.values()), size)
    release = _choose(rng, [one.share for one in serving], size)

    prevalence = np.array([policy.prevalence for policy in model.policies])[policy]
    violating = rng.random(size) < prevalence
    by_language = [model.separation_by_language.get(name, model.separation) for name in model.languages]
    separations = np.array([[one.separation or value for value in by_language] for one in serving])
    separation = separations[release, language]
    evidence = rng.standard_normal(size) + separation * (violating - 0.5)
    logit = np.log(prevalence / (1 - prevalence)) + separation * evidence
    shift = np.array([one.score_shift for one in serving])[release]
    published = model.calibration.intercept + model.calibration.slope * logit + shift
    score = np.rint(SCORE_UNITS / (1 + np.exp(-published)))

    latency = model.latency.median_ms * np.exp(model.latency.sigma * rng.standard_normal(size))
    return Rows(
        names=names,
        offset_ms=rng.integers(0, MS_PER_MINUTE, size),
        policy=policy,
        language=language,
        region=_choose(rng, list(model.regions.values()), size),
        surface=_choose(rng, list(model.surfaces.values()), size),
        release=release + first_release,
        violating=violating,
        score=np.clip(score, 1, SCORE_UNITS - 1).astype(np.int64),
        latency_ms=np.clip(np.rint(latency), 1, MAX_LATENCY_MS).astype(np.int64),
        views=np.minimum(np.exp(2.0 + 1.5 * rng.standard_normal(size)), MAX_VIEWS).astype(np.int64),
        actor=(model.actors * rng.random(size) ** 3).astype(np.int64),  # few actors post a lot
        features=_features(model, size, rng),
    )


def _features(model: Model, size: int, rng: np.random.Generator) -> Ints:
    columns = np.empty((size, len(model.features)), dtype=np.int64)
    for index, feature in enumerate(model.features):
        if isinstance(feature, CategoryFeature):
            codes = _choose(rng, list(feature.shares.values()), size)
        else:
            limit = NUMBER_LIMIT * NUMBER_STEPS
            codes = np.clip(np.rint(rng.standard_normal(size) * NUMBER_STEPS), -limit, limit).astype(np.int64) + limit
        columns[:, index] = np.where(rng.random(size) < feature.missing, -1, codes)
    return columns


def _strike(rows: Rows, model: Model, incident: Incident, rng: np.random.Generator) -> Rows:
    """Apply an incident that changes or removes rows."""
    hit = rows.where(incident.where)
    chance = rng.random(len(rows))
    if isinstance(incident, VolumeDrop):
        return rows.take(~hit | (chance < incident.factor))
    if isinstance(incident, PrecisionDrop):
        return replace(rows, violating=rows.violating & ~(hit & (chance < incident.benign_share)))
    if isinstance(incident, MissingFeature):
        features = rows.features.copy()
        for index, feature in enumerate(model.features):
            if feature.name == incident.feature:
                features[hit & (chance < incident.share), index] = -1
        return replace(rows, features=features)
    raise TypeError(f"no effect on rows is defined for {type(incident).__name__}")


def _storm(
    incident: RepostStorm,
    model: Model,
    names: Names,
    serving: list[Serving],
    *,
    actor: int,
    rng: np.random.Generator,
) -> Rows:
    elsewhere = any(value not in model.names(dimension) for dimension, value in incident.where.items())
    size = 0 if elsewhere else int(rng.poisson(incident.per_minute))

    def code(dimension: str) -> Ints:
        known = model.names(dimension)
        value = incident.where.get(dimension, known[0])
        return np.full(size, known.index(value) if size else 0, dtype=np.int64)

    score = np.rint(incident.score * SCORE_UNITS) + rng.integers(-20, 21, size)
    return Rows(
        names=names,
        offset_ms=rng.integers(0, MS_PER_MINUTE, size),
        policy=code("policy"),
        language=code("language"),
        region=code("region"),
        surface=code("surface"),
        release=_choose(rng, [one.share for one in serving], size),
        violating=np.full(size, incident.violating),
        score=np.clip(score, 1, SCORE_UNITS - 1).astype(np.int64),
        latency_ms=np.full(size, max(1, round(min(model.latency.median_ms, MAX_LATENCY_MS))), dtype=np.int64),
        views=np.zeros(size, dtype=np.int64),
        actor=np.full(size, actor, dtype=np.int64),
        features=np.repeat(_features(model, 1, rng), size, axis=0),  # copies of one item look the same
    )


def _audit(
    model: Model, rows: Rows, acted: Bools, broken: list[BrokenDesign], rng: np.random.Generator
) -> tuple[Floats, Bools]:
    """Poisson sampling: each row on its own, with its own probability (so pairs are independent)."""
    if model.audit is None:
        return np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.bool_)
    declared = model.audit.probabilities(rows)
    if model.audit.scope == "acted":
        declared = np.where(acted, declared, np.nan)
    real = declared
    for incident in broken:
        score = rows.score / SCORE_UNITS
        hit = rows.where(incident.where) & (score >= incident.minimum_score) & (score <= incident.maximum_score)
        real = np.where(hit, np.minimum(1.0, real * incident.factor), real)
    return declared, rng.random(len(rows)) < real  # NaN compares false: never sampled
