"""What incidents do to rows. Designs that break are the audit's business, rollouts that of `serving`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitor.simulate.draw import MAX_LATENCY_MS, choose, draw_features
from monitor.simulate.incidents import Incident, MissingFeature, PrecisionDrop, RepostStorm, VolumeDrop
from monitor.simulate.rows import MS_PER_MINUTE, SCORE_UNITS, Ints, Names, Rows
from monitor.simulate.scenario import Model
from monitor.simulate.serving import Serving


def strike(rows: Rows, model: Model, incident: Incident, rng: np.random.Generator) -> Rows:
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


def storm(
    incident: RepostStorm,
    model: Model,
    names: Names,
    serving: list[Serving],
    *,
    actor: int,
    rng: np.random.Generator,
) -> Rows:
    """The rows that a storm adds; none where the model has no such segment."""
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
        release=choose(rng, [one.share for one in serving], size),
        violating=np.full(size, incident.violating),
        score=np.clip(score, 1, SCORE_UNITS - 1).astype(np.int64),
        latency_ms=np.full(size, max(1, round(min(model.latency.median_ms, MAX_LATENCY_MS))), dtype=np.int64),
        views=np.zeros(size, dtype=np.int64),
        actor=np.full(size, actor, dtype=np.int64),
        features=np.repeat(draw_features(model, 1, rng), size, axis=0),  # copies of one item look the same
    )
