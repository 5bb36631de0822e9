"""A synthetic exposition with every metric of the catalogue and every label, whose counters grow with time.

One series is bad on purpose: `BAD` is below its precision objective and has drifted, so that alerts fire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

import numpy as np

from monitor.catalogue import CATALOGUE, Kind, Metric
from monitor.exposition import Family, HistogramSamples, Renderer, Samples
from monitor.topics import BLOCKS, SOURCES

LABEL_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("text-toxicity", "image-nudity"),
    "model_version": ("v1",),
    "variant": ("champion",),
    "policy": ("hate_speech", "harassment"),
    "segment": ("all", "language=es", "language=es,region=us-west"),
    "action": ("allow", "remove"),
    "source": ("audit", "queue"),
    "verdict": ("violating", "benign"),
    "stage": ("filed", "overturned"),
    "window": ("5m", "1h", "24h", "7d"),
    "estimator": ("hajek",),
    "input": ("score", "text_length"),
    "statistic": ("psi", "ks"),
    "detector": ("adwin", "page_hinkley"),
    "topic": (*(source.topic for source in SOURCES), BLOCKS),
    "partition": ("0", "1"),
    "reason": ("invalid_field",),
    "field": ("action",),
    "label": ("segment",),
    "level": ("warning", "error"),
    "version": ("0.1.0",),
    "config": ("c0ffee",),
}
BAD: Final = ("text-toxicity", "hate_speech", "language=es")
"""Model, policy and segment of the series that is below its objective and has drifted."""

GAUGES: Final[Mapping[str, tuple[float, float]]] = {
    "moderation_window_decisions": (5_000.0, 5_000.0),
    "moderation_action_ratio": (0.04, 0.05),
    "moderation_precision_ratio": (0.95, 0.78),
    "moderation_precision_lower_ratio": (0.92, 0.72),
    "moderation_precision_upper_ratio": (0.97, 0.83),
    "moderation_precision_effective_labels": (400.0, 300.0),
    "moderation_precision_objective_ratio": (0.9, 0.9),
    "moderation_precision_minimum_labels": (100.0, 100.0),
    "moderation_appeal_ratio": (0.01, 0.03),
    "moderation_overturned_ratio": (0.2, 0.4),
    "moderation_report_ratio": (0.002, 0.002),
    "moderation_drift_statistic": (0.03, 0.4),
    "moderation_drift_p_value_ratio": (0.4, 1e-12),
    "moderation_drift_threshold": (0.2, 0.2),
    "moderation_feature_missing_ratio": (0.0, 0.01),
    "moderation_feature_out_of_range_ratio": (0.001, 0.02),
    "moderation_launch_traffic_ratio": (1.0, 1.0),
    "monitor_lag_records": (0.0, 0.0),
    "monitor_snapshot_duration_seconds": (0.02, 0.02),
    "monitor_series": (42.0, 42.0),
    "monitor_join_entries": (812_345.0, 812_345.0),
    "monitor_join_waiting": (42.0, 42.0),
    "monitor_join_bytes": (57e6, 57e6),
    "monitor_join_held_partitions": (0.0, 1.0),
    "monitor_assigned_partitions": (2.0, 2.0),
    "monitor_build_info": (1.0, 1.0),
}
"""Usual value, and the value of the bad series. Timestamps are a second old and need no entry."""
AGE_SECONDS: Final = 1.0
PER_SECOND: Final = 40.0
SCORE_EDGES: Final = (0.25, 0.5, 0.75)
LATENCY_EDGES: Final = (0.01, 0.1, 1.0)

_RENDERER: Final = Renderer(process_metrics=True)


def exposition(now: float, *, elapsed: float) -> bytes:
    """The page at time `now`, `elapsed` seconds after the counters began; both in seconds."""
    return _RENDERER.render(_families(now, elapsed))


def _families(now: float, elapsed: float) -> Iterator[Family]:
    for metric in CATALOGUE:
        keys = list(product(*(LABEL_VALUES[label] for label in metric.labels)))
        if metric.kind is Kind.HISTOGRAM:
            edges = LATENCY_EDGES if metric.name.endswith("_seconds") else SCORE_EDGES
            counts = np.full((len(keys), len(edges) + 1), int(PER_SECOND * elapsed))
            yield Family(metric, [HistogramSamples(keys, edges, counts, counts.sum(axis=1) * 0.5)])
        elif metric.kind is Kind.COUNTER:
            yield Family(metric, [Samples(keys, np.full(len(keys), int(PER_SECOND * elapsed)))])
        else:
            values = [_gauge(metric, dict(zip(metric.labels, key, strict=True)), now) for key in keys]
            yield Family(metric, [Samples(keys, np.array(values))])


def _gauge(metric: Metric, labels: Mapping[str, str], now: float) -> float:
    if metric.name.endswith("_timestamp_seconds"):
        return now - AGE_SECONDS
    usual, bad = GAUGES[metric.name]
    return bad if (labels.get("model"), labels.get("policy"), labels.get("segment")) == BAD else usual
