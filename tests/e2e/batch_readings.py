"""Readings over windows, recomputed in batch from the independent count: plain sums, textbook formulas, SciPy.

Windows end with the clock's minute, that minute included; those of a day and more begin with a whole hour.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import optimize, stats
from scipy.spatial import distance

from tests.e2e.independent_count import Count, Label, Series

WINDOW_MINUTES: Final = {"5m": 5, "1h": 60, "24h": 24 * 60, "7d": 7 * 24 * 60}

Readings = dict[tuple[str, ...], float]
"""(series labels, window, ...) -> value"""
Bins = Mapping[str, list[int]]
"""input -> counts by bin"""


def window_start(window: str, now: int) -> int:
    """First minute of a window when the clock stands in minute `now`."""
    last = now + 1 if window in {"5m", "1h"} else now - now % 60 + 60
    return last - WINDOW_MINUTES[window]


def sums(count: Count, window: str, now: int) -> dict[Series, Counter[str]]:
    """Counts by series of what was decided in the window."""
    start = window_start(window, now)
    found: dict[Series, Counter[str]] = defaultdict(Counter)
    for (series, what, minute), number in count.by_minute.items():
        if minute >= start:
            found[series][what] += number
    return found


def ratios(count: Count, now: int, numerator: str | tuple[str, ...], denominator: str | tuple[str, ...]) -> Readings:
    """A ratio of counts for each series and window with a denominator above 0."""
    over, under = (names if isinstance(names, tuple) else (names,) for names in (numerator, denominator))
    found: Readings = {}
    for window in WINDOW_MINUTES:
        for series, counts in sums(count, window, now).items():
            below = sum(counts[name] for name in under)
            if below:
                found[(*series, window)] = sum(counts[name] for name in over) / below
    return found


def precision(count: Count, now: int) -> dict[str, Readings]:
    """Hajek's ratio among acted-on decisions; the effective labels theta (1 - theta) / variance; the score interval.

    The variance leaves out the finite population correction and each verdict's mean weight is shrunk by one label of
    the mean weight, as `detectors.estimation.hajek` says. The interval shrinks it by twenty labels of its weight over
    seven days, as `detectors.intervals.weighted_score` says, and that by two of the mean weight of all labels then, as
    `typical_weights` says.
    """
    names = ("estimate", "labels", "lower", "upper")
    found: dict[str, Readings] = {name: {} for name in names}
    of_model: dict[str, list[Label]] = defaultdict(list)
    for series, labels in count.labels.items():
        of_model[series[0]] += _used(labels, "7d", now)
    for window in WINDOW_MINUTES:
        for series, labels in count.labels.items():
            used = _used(labels, window, now)
            if used:
                told = _hajek(used, _used(labels, "7d", now), of_model[series[0]])
                for name, value in zip(names, told, strict=True):
                    found[name][(*series, window, "hajek")] = value
    return found


def _used(labels: Sequence[Label], window: str, now: int) -> list[Label]:
    start = window_start(window, now)
    return [label for label in labels if label.acted and label.minute >= start]


def _weights(labels: Sequence[Label], verdict: bool) -> tuple[float, float]:
    weights = [label.weight for label in labels if label.violating is verdict]
    return math.fsum(weights), math.fsum(one * one for one in weights)


def _hajek(
    labels: Sequence[Label], longest: Sequence[Label], of_model: Sequence[Label]
) -> tuple[float, float, float, float]:
    sums = {verdict: _weights(labels, verdict) for verdict in (True, False)}
    total = sums[True][0] + sums[False][0]
    estimate = sums[True][0] / total
    mean = (sums[True][1] + sums[False][1]) / total
    spread, typical = {}, {}
    for verdict, (weight, square) in sums.items():
        spread[verdict] = (square + mean**2) / (weight + mean)
        guess = _usual(longest if _weights(longest, verdict)[0] else of_model, verdict)
        typical[verdict] = (square + 20 * guess**2) / (weight + 20 * guess)
    effective = total / ((1 - estimate) * spread[True] + estimate * spread[False])
    counts = {verdict: weight / typical[verdict] for verdict, (weight, _) in sums.items()}
    lower = _lower_share(counts[True], counts[False])
    upper = 1 - _lower_share(counts[False], counts[True])
    ratio = typical[False] / typical[True]
    lower, upper = (share / (share + (1 - share) * ratio) for share in (lower, upper))
    return estimate, effective, lower, upper


def _usual(labels: Sequence[Label], verdict: bool) -> float:
    weight, square = _weights(labels, verdict)
    mean = math.fsum(label.weight**2 for label in labels) / math.fsum(label.weight for label in labels)
    return (square + 2 * mean**2) / (weight + 2 * mean)


def _lower_share(hits: float, misses: float) -> float:
    """Wilson's lower limit; for few hits at most the share at which so many come in 5 % of samples."""
    if hits == 0:
        return 0.0
    n, square = hits + misses, stats.chi2.ppf(0.95, 1)

    def excess(share: float) -> float:
        return (hits - n * share) ** 2 - square * n * share * (1 - share)

    # 1 is a root of its own where all are hits.
    score = optimize.brentq(excess, 0.0, min(hits / n, 1 - 1e-9), xtol=1e-14)
    return float(min(score, stats.beta.ppf(0.05, hits, misses + 1)) if hits < square + 1 else score)


# --- drift ---------------------------------------------------------------------------------------------------------

SCORE_EDGES: Final = tuple(round(0.1 * step, 1) for step in range(1, 10))


def bins(rows: Iterable[tuple[int, float, Mapping[str, Any]]], features: Sequence[Mapping[str, Any]]) -> Bins:
    """Counts by bin of the score and of each feature, missing values left out. Edges belong to the bin below them."""
    found: dict[str, list[int]] = {"score": [0] * (len(SCORE_EDGES) + 1)}
    for feature in features:
        found[feature["name"]] = [0] * (len(feature.get("edges") or feature["categories"]) + 1)
    for _, score, values in rows:
        found["score"][sum(score > edge for edge in SCORE_EDGES)] += 1
        for feature in features:
            value = values.get(feature["name"])
            if value is not None:
                found[feature["name"]][_bin(feature, value)] += 1
    return found


def _bin(feature: Mapping[str, Any], value: Any) -> int:
    if feature["type"] == "numeric":
        return sum(value > edge for edge in feature["edges"])
    categories: list[str] = feature["categories"]
    return categories.index(value) if value in categories else len(categories)


def write_reference(
    path: Path, count: Count, features: Mapping[str, Sequence[Mapping[str, Any]]], *, before: int
) -> dict[tuple[str, str, str], Bins]:
    """Pin what was decided before a minute; the counts by (model, policy, segment), all versions together."""
    rows: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for (model, _, _, policy, segment), found in count.features.items():
        rows[model, policy, segment] += [row for row in found if row[0] < before]
    pinned = {key: bins(found, features[key[0]]) for key, found in rows.items()}
    at = datetime.fromtimestamp(before * 60, UTC).isoformat()
    models = [
        {
            "model": model,
            "score_edges": SCORE_EDGES,
            "features": features[model],
            "series": [
                {
                    "policy": policy,
                    "segment": segment,
                    "decisions": sum(counts["score"]),
                    "score": counts["score"],
                    "features": {name: values for name, values in counts.items() if name != "score"},
                }
                for (name, policy, segment), counts in pinned.items()
                if name == model
            ],
        }
        for model in features
    ]
    document = {"format": 1, "source": "test", "first_decision": at, "last_decision": at, "models": models}
    path.write_text(json.dumps(document), encoding="utf-8")
    return pinned


def distances(reference: Sequence[int], current: Sequence[int], *, ordered: bool, placed: bool) -> dict[str, float]:
    """PSI with half a count in each bin that is used, SciPy's Jensen-Shannon and Wasserstein, and binned KS."""
    left, right = np.array(reference, dtype=float), np.array(current, dtype=float)
    used = left + right > 0
    p, q = ((side[used] + 0.5) / (side[used] + 0.5).sum() for side in (left, right))
    found = {
        "psi": float(((q - p) * np.log(q / p)).sum()),
        "jensen_shannon": float(distance.jensenshannon(left, right, base=2)),
    }
    if ordered:
        found["ks"] = float(np.abs(np.cumsum(left) / left.sum() - np.cumsum(right) / right.sum()).max())
    if placed:
        edges = np.array([0.0, *SCORE_EDGES, 1.0])
        middles = (edges[:-1] + edges[1:]) / 2
        found["wasserstein"] = float(stats.wasserstein_distance(middles, middles, left, right))
    return found


def drift(
    count: Count,
    features: Mapping[str, Sequence[Mapping[str, Any]]],
    pinned: Mapping[tuple[str, str, str], Bins],
    *,
    window: str,
    now: int,
) -> Readings:
    """Distances of one window from the reference by (series, window, input, statistic)."""
    start = window_start(window, now)
    found: Readings = {}
    for series, rows in count.features.items():
        model, _, _, policy, segment = series
        reference = pinned.get((model, policy, segment)) or pinned[model, policy, "all"]
        current = bins([row for row in rows if row[0] >= start], features[model])
        for name, counts in current.items():
            if not sum(counts):
                continue
            numeric = name == "score" or next(f for f in features[model] if f["name"] == name)["type"] == "numeric"
            apart = distances(reference[name], counts, ordered=numeric, placed=name == "score")
            found |= {(*series, window, name, statistic): value for statistic, value in apart.items()}
    return found


def missing(
    count: Count, features: Mapping[str, Sequence[Mapping[str, Any]]], *, window: str, now: int
) -> dict[str, Readings]:
    """Shares of the window's decisions without a feature, and of those whose value lies outside its range."""
    start = window_start(window, now)
    found: dict[str, Readings] = {"missing": {}, "outside": {}}
    for series, rows in count.features.items():
        inside = [values for minute, _, values in rows if minute >= start]
        for feature in features[series[0]] if inside else ():
            values = [row.get(feature["name"]) for row in inside]
            key = (*series, window, feature["name"])
            found["missing"][key] = sum(value is None for value in values) / len(values)
            found["outside"][key] = sum(value is not None and _outside(feature, value) for value in values) / len(
                values
            )
    return found


def _outside(feature: Mapping[str, Any], value: Any) -> bool:
    if feature["type"] == "numeric":
        return not feature["low"] <= value <= feature["high"]
    return value not in feature["categories"]
