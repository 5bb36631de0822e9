"""Drawing rows: categories, truth, scores, latency, features.

The order of the draws is part of the output: a draw that is added in the middle changes every byte behind it.
"""

from __future__ import annotations

import numpy as np

from monitor.simulate.rows import MS_PER_MINUTE, SCORE_UNITS, Ints, Names, Rows
from monitor.simulate.scenario import CategoryFeature, Model
from monitor.simulate.serving import Serving

NUMBER_STEPS = 50
"""Number features are written on a grid of 1/50 standard deviation, up to `NUMBER_LIMIT` of them."""
NUMBER_LIMIT = 4
MAX_LATENCY_MS = 9_999
MAX_VIEWS = 10_000_000


def choose(rng: np.random.Generator, weights: list[float], size: int) -> Ints:
    """Positions in `weights`, each as likely as its weight, shape (size,)."""
    edges = np.cumsum(np.array(weights, dtype=np.float64))
    index: Ints = np.searchsorted(edges[:-1], rng.random(size) * edges[-1], side="right").astype(np.int64)
    return index


def draw_rows(
    model: Model, names: Names, serving: list[Serving], first_release: int, rate: float, rng: np.random.Generator
) -> Rows:
    """A Poisson number of rows with mean `rate`; codes of `serving` count from `first_release`."""
    size = int(rng.poisson(rate))
    policy = choose(rng, [policy.share for policy in model.policies], size)
    language = choose(rng, list(model.languages.values()), size)
    release = choose(rng, [one.share for one in serving], size)

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
        region=choose(rng, list(model.regions.values()), size),
        surface=choose(rng, list(model.surfaces.values()), size),
        release=release + first_release,
        violating=violating,
        score=np.clip(score, 1, SCORE_UNITS - 1).astype(np.int64),
        latency_ms=np.clip(np.rint(latency), 1, MAX_LATENCY_MS).astype(np.int64),
        views=np.minimum(np.exp(2.0 + 1.5 * rng.standard_normal(size)), MAX_VIEWS).astype(np.int64),
        actor=(model.actors * rng.random(size) ** 3).astype(np.int64),  # few actors post a lot
        features=draw_features(model, size, rng),
    )


def draw_features(model: Model, size: int, rng: np.random.Generator) -> Ints:
    """Codes of the model's features, shape (size, features); -1 is missing."""
    columns = np.empty((size, len(model.features)), dtype=np.int64)
    for index, feature in enumerate(model.features):
        if isinstance(feature, CategoryFeature):
            codes = choose(rng, list(feature.shares.values()), size)
        else:
            limit = NUMBER_LIMIT * NUMBER_STEPS
            codes = np.clip(np.rint(rng.standard_normal(size) * NUMBER_STEPS), -limit, limit).astype(np.int64) + limit
        columns[:, index] = np.where(rng.random(size) < feature.missing, -1, codes)
    return columns
