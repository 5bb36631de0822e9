"""The decisions of one model in one minute: a pure function of scenario, seed, model and minute.

Nothing is carried from one minute to the next; that is what makes the output independent of how a range is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from monitor.simulate.draw import draw_rows
from monitor.simulate.incidents import BrokenDesign, RepostStorm, Rollout
from monitor.simulate.rows import MS_PER_MINUTE, SCORE_UNITS, Bools, Names, Rows
from monitor.simulate.scenario import Model, Rhythm, Scenario
from monitor.simulate.serving import versions
from monitor.simulate.strikes import storm, strike

Floats = npt.NDArray[np.float64]

MINUTES_PER_DAY = 1440


class Purpose(IntEnum):
    """What a random stream is for. One stream each, so that one change leaves the others' draws as they are."""

    TRAFFIC = 0
    AUDIT = 1
    RETRY = 2
    FEEDBACK = 3
    SHADOW = 100
    INCIDENT = 1000


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
    parts = [draw_rows(model, names, serving, 0, rate, stream(seed, minute, model_index, Purpose.TRAFFIC))]
    for index, shadow in enumerate(shadows):
        rng = stream(seed, minute, model_index, Purpose.SHADOW + index)
        parts.append(draw_rows(model, names, [shadow], len(serving) + index, rate * shadow.share, rng))
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
            storms.append(storm(incident, model, names, serving, actor=model.actors + index, rng=rng))
        else:
            rows = strike(rows, model, incident, rng)
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


def volume(rhythm: Rhythm, minute: int) -> float:
    """Volume of a minute (since the epoch) relative to the average weekday."""
    hour = minute % MINUTES_PER_DAY / 60
    day = minute // MINUTES_PER_DAY % 7  # day 0 of the epoch is a Thursday: 2 and 3 are Saturday and Sunday
    daily = 1 + rhythm.daily * float(np.cos((hour - rhythm.peak_hour) / 24 * 2 * np.pi))
    return daily * (rhythm.weekend if day in (2, 3) else 1.0)


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
