"""Synthetic snapshots for tests, the benchmark and the status page. NaN marks what is undefined.

`build_snapshot` is a busy day of several models: one policy below its objective, one drifting feature, one version
without labels. `snapshot_of_size` is for speed only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitor.decode import Reason
from monitor.export_service import SERVICE_COUNTERS
from monitor.snapshot import (
    Counters,
    Detection,
    Floats,
    Histogram,
    JoinStatistics,
    LaunchRecord,
    ModelSnapshot,
    Objective,
    Quantity,
    ReadingColumn,
    SeriesKey,
    ServiceSnapshot,
    Snapshot,
)
from monitor.topics import SOURCES

CLOCK = 1_790_000_000.0
WINDOWS = {"5m": 300.0, "1h": 3_600.0, "24h": 86_400.0, "7d": 604_800.0}
ACTIONS = ("allow", "remove", "restrict", "other")
SEGMENTS = ("all", "language=en", "language=es", "region=us-west", "language=es,region=us-west")
SCORE_EDGES = tuple(round(step / 20, 2) for step in range(1, 20))
LATENCY_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
STATISTICS = {"psi": 0.2, "ks": 0.1, "jensen_shannon": 0.1}
OBJECTIVE = 0.9


@dataclass(frozen=True)
class Plan:
    """One (version, variant, policy) of a model and what goes on in it."""

    version: str
    variant: str
    policy: str
    rate: float = 4.0
    """decisions a second in the segment `all`"""
    precision: float = 0.94
    precision_es: float | None = None
    reviewed: float = 0.004
    """share of the acted-on decisions that is reviewed"""
    drift: float = 0.02


PLANS: dict[str, tuple[Plan, ...]] = {
    "text-toxicity": (
        Plan("2026.08.2", "champion", "hate_speech", rate=42.0, precision=0.93, precision_es=0.71),
        Plan("2026.08.2", "champion", "harassment", rate=30.0, precision=0.952),
        Plan("2026.09.0-rc1", "shadow", "hate_speech", rate=42.0, precision=0.94, reviewed=0.0),
    ),
    "image-nudity": (
        Plan("v17", "champion", "adult_nudity", rate=18.0, precision=0.97),
        Plan("v17", "champion", "child_safety", rate=0.4, precision=0.99, reviewed=0.02),
        Plan("v18", "challenger", "adult_nudity", rate=2.0, precision=0.95, drift=0.31),
    ),
    "video-violence": (Plan("3.1", "champion", "graphic_violence", rate=1.5, precision=0.91, reviewed=0.002),),
}


def build_snapshot(
    plans: Mapping[str, Sequence[Plan]] | None = None, *, seed: int = 7, segments: Sequence[str] = SEGMENTS
) -> Snapshot:
    """A ready worker with every metric of the catalogue."""
    rng = np.random.default_rng(seed)
    models = tuple(
        build_model(name, planned, rng, segments=segments)
        for name, planned in (PLANS if plans is None else plans).items()
    )
    return Snapshot(
        clock=CLOCK,
        taken_at=CLOCK + 0.4,
        models=models,
        objectives=tuple(
            Objective(model.model, policy, OBJECTIVE, 100.0)
            for model in models
            for policy in dict.fromkeys(key.policy for key in model.series)
        ),
        service=build_service(),
        drift_thresholds=dict(STATISTICS),
        ready=True,
        reason="",
    )


def build_service() -> ServiceSnapshot:
    """A service in which something of everything has happened."""
    counters = {
        metric.name: {
            tuple(_label_value(label, source.topic) for label in metric.labels): 3 * number + 1
            for number, source in enumerate(SOURCES)
        }
        for metric in SERVICE_COUNTERS
    }
    counters["monitor_records_total"] = {(source.topic,): 1_234_567 // (n + 1) for n, source in enumerate(SOURCES)}
    return ServiceSnapshot(
        counters=counters,
        lag={(source.topic, partition): 7 * partition for source in SOURCES for partition in range(2)},
        last_event_at={source.topic: CLOCK - 2.5 * number for number, source in enumerate(SOURCES)},
        assigned={source.topic: 2 for source in SOURCES},
        last_commit_at=CLOCK - 1.0,
        last_checkpoint_at=CLOCK - 12.0,
        snapshot_seconds=0.041,
        join=JoinStatistics(
            entries=812_345, waiting=42, expired=9, bytes=57_000_000, failures={"unavailable": 2, "corrupt": 1}, held=1
        ),
        log_messages={"warning": 3, "error": 1, "critical": 0},
    )


def build_model(
    name: str, plans: Sequence[Plan], rng: np.random.Generator, *, segments: Sequence[str] = SEGMENTS
) -> ModelSnapshot:
    """All series of a model: each plan by each segment, `all` first."""
    rows = [(plan, segment) for plan in plans for segment in segments]
    series = tuple(SeriesKey(name, plan.version, plan.variant, plan.policy, segment) for plan, segment in rows)
    weight = np.array([1.0 if segment == "all" else 0.3 / (1 + segment.count(",")) for _, segment in rows])
    rate = np.array([plan.rate for plan, _ in rows]) * weight
    precision = np.array(
        [
            plan.precision_es if plan.precision_es and "language=es" in segment else plan.precision
            for plan, segment in rows
        ]
    )
    reviewed = np.array([plan.reviewed for plan, _ in rows])
    drift = np.array([plan.drift for plan, _ in rows])
    readings: list[ReadingColumn] = []
    for window, seconds in WINDOWS.items():
        readings += _window(window, rate * seconds, precision, reviewed, drift, rng)
    day = np.rint(rate * 86_400).astype(np.int64)
    shares = np.array([0.82, 0.12, 0.06, 0.0])
    return ModelSnapshot(
        model=name,
        series=series,
        readings=tuple(readings),
        decisions=Counters(tuple((action,) for action in ACTIONS), (day[:, None] * shares).astype(np.int64)),
        reviews=Counters(
            (("audit", "violating"), ("audit", "benign"), ("golden", "benign")),
            np.stack([(day * reviewed * precision * 0.2), day * reviewed * 0.02, day * 0], axis=1).astype(np.int64),
        ),
        appeals=Counters((("filed",), ("overturned",)), np.stack([day // 900, day // 9000], axis=1)),
        reports=Counters(((),), (day // 2000)[:, None]),
        score=_histogram(SCORE_EDGES, day, rng, scale=0.5),
        latency=_histogram(LATENCY_EDGES, day, rng, scale=0.08),
        detections=(
            Detection(0, "score", "adwin", 0, None),
            Detection(1 % len(series), "score", "page_hinkley", 2, CLOCK - 900.0),
        ),
        launches=tuple(
            LaunchRecord(version, variant, "full" if variant == "champion" else "canary", CLOCK - 9e4, share)
            for (version, variant), share in zip(
                dict.fromkeys((plan.version, plan.variant) for plan in plans), (0.9, None), strict=False
            )
        ),
        last_decision_at=CLOCK - 1.5,
    )


def snapshot_of_size(series: int, *, models: int = 5, seed: int = 7) -> Snapshot:
    """A snapshot with that many series of watched models in all, each with every reading and histogram."""
    segments = ("all", *(f"language=l{number}" for number in range(series // models - 1)))
    plans = {f"model-{number}": (Plan("2026.10.1", "champion", "hate_speech", drift=0.05),) for number in range(models)}
    return build_snapshot(plans, seed=seed, segments=segments)


def renamed(model: ModelSnapshot, *, to: str) -> ModelSnapshot:
    """The same model under another name, as if its name had come from the wire."""
    return replace(model, model=to, series=tuple(key._replace(model=to) for key in model.series))


def _window(
    window: str, volume: Floats, precision: Floats, reviewed: Floats, drift: Floats, rng: np.random.Generator
) -> list[ReadingColumn]:
    size = len(volume)
    volume = np.floor(volume)
    acted = 0.18 * volume
    labels = np.floor(acted * reviewed)
    value = np.where(labels > 0, np.clip(precision + rng.normal(0, 0.004, size), 0, 1), np.nan)
    margin = 1.96 * np.sqrt(precision * (1 - precision) / np.maximum(labels, 1))
    columns = [
        ReadingColumn(Quantity.VOLUME, window, volume, volume),
        ReadingColumn(Quantity.ACTION_RATE, window, _ratio(0.18 + rng.normal(0, 0.004, size), volume), volume),
        ReadingColumn(
            Quantity.PRECISION,
            window,
            value,
            labels,
            method="hajek",
            lower=np.clip(value - margin, 0, 1),
            upper=np.clip(value + margin, 0, 1),
        ),
        ReadingColumn(Quantity.APPEAL_RATE, window, _ratio(np.full(size, 0.0062), acted), acted),
        ReadingColumn(Quantity.OVERTURN_SHARE, window, _ratio(np.full(size, 0.11), acted // 900), acted // 900),
        ReadingColumn(Quantity.REPORT_RATE, window, _ratio(np.full(size, 0.0005), volume), volume),
    ]
    for statistic, threshold in STATISTICS.items():
        for name, factor in (("score", 1.0), ("image_blur", 0.5)):
            effect = np.abs(drift * factor + rng.normal(0, 0.002, size))
            p_value = np.where(effect > 0.05, 1e-9, rng.random(size)) if statistic != "jensen_shannon" else None
            columns.append(
                ReadingColumn(
                    Quantity.DRIFT,
                    window,
                    _ratio(effect, volume),
                    volume,
                    method=statistic,
                    input=name,
                    p_value=p_value,
                    threshold=threshold,
                )
            )
    columns.append(
        ReadingColumn(Quantity.MISSING, window, _ratio(np.full(size, 0.013), volume), volume, input="image_blur")
    )
    columns.append(
        ReadingColumn(Quantity.OUT_OF_RANGE, window, _ratio(np.full(size, 0.002), volume), volume, input="image_blur")
    )
    return columns


def _ratio(value: Floats, sample: Floats) -> Floats:
    return np.where(sample > 0, value, np.nan)


def _histogram(edges: tuple[float, ...], volume: np.ndarray, rng: np.random.Generator, *, scale: float) -> Histogram:
    shares = rng.dirichlet(np.ones(len(edges) + 1), len(volume))
    counts = np.floor(shares * volume[:, None]).astype(np.int64)
    return Histogram(edges, counts, counts.sum(axis=1) * scale)


def _label_value(label: str, topic: str) -> str:
    return {"topic": topic, "reason": Reason.INVALID.value, "field": "action", "label": "model"}[label]
