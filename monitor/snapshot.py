"""What the world may read: immutable copies of readings and counters, taken once a tick.

A scrape, the API and the status page read one `Snapshot`; none of them ever touches live state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class SeriesKey(NamedTuple):
    """What a row of readings speaks of. Label values in the order of `catalogue.SERIES`."""

    model: str
    model_version: str
    variant: str
    policy: str
    segment: str


class Quantity(Enum):
    """What a reading measures."""

    VOLUME = "volume"
    ACTION_RATE = "action_rate"
    PRECISION = "precision"
    APPEAL_RATE = "appeal_rate"
    OVERTURN_SHARE = "overturn_share"
    REPORT_RATE = "report_rate"
    DRIFT = "drift"
    MISSING = "missing"
    OUT_OF_RANGE = "out_of_range"


@dataclass(frozen=True, slots=True)
class ReadingColumn:
    """One quantity over one window for all series of a model. Arrays have shape (series,).

    `value` is NaN where it is undefined or not yet known (`sample` tells: 0 means no data). `lower`, `upper` and
    `p_value` are None where the method has none. `method` is the estimator or the statistic, "" for plain counts;
    `input` is what drifts (`score` or a feature name), "" otherwise. `threshold` is the configured effect size.
    """

    quantity: Quantity
    window: str
    value: Floats
    sample: Floats
    method: str = ""
    input: str = ""
    lower: Floats | None = None
    upper: Floats | None = None
    p_value: Floats | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """A counter family of a model: one column a label combination, one row a series.

    `labels[j]` are the values of the labels that follow the series labels; `values` has shape (series, len(labels)).
    """

    labels: tuple[tuple[str, ...], ...]
    values: Ints


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bin for all series. `edges` are the finite upper bounds (le); `counts` has shape (series, bins), where
    the last bin holds what lies above the last edge (bins = len(edges) + 1); `total` is the sum of the observations."""

    edges: tuple[float, ...]
    counts: Ints
    total: Floats


@dataclass(frozen=True, slots=True)
class Detection:
    """How often a streaming detector fired for one series since the state began, and when it last did (event time)."""

    series: int
    input: str
    detector: str
    count: int
    last_at: float | None


@dataclass(frozen=True, slots=True)
class LaunchRecord:
    """The latest launch event of one (version, variant, stage)."""

    model_version: str
    variant: str
    stage: str
    at: float
    traffic_share: float | None


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """Everything that is said of one model. Rows of all arrays follow `series`."""

    model: str
    series: tuple[SeriesKey, ...]
    readings: tuple[ReadingColumn, ...]
    decisions: Counters
    """labels: (action,)"""
    reviews: Counters
    """labels: (source, verdict)"""
    appeals: Counters
    """labels: (stage,)"""
    reports: Counters
    """labels: ()"""
    score: Histogram
    latency: Histogram
    detections: tuple[Detection, ...]
    launches: tuple[LaunchRecord, ...]
    last_decision_at: float | None
    """Event time in seconds since the epoch."""
    full: bool = False
    """Whether a segment that was not seen before gets no series of its own."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Configured alerting bounds of one (model, policy) that has been seen."""

    model: str
    policy: str
    precision: float
    minimum_labels: float


@dataclass(frozen=True, slots=True)
class JoinStatistics:
    """Size of the index of one or more partitions of the join; `expired` since the index was begun."""

    entries: int
    waiting: int
    expired: int
    bytes: int
    failures: dict[str, int] = field(default_factory=dict)
    """reason -> how often an index could not be used since the worker started"""
    held: int = 0
    """partitions of the join that wait until their index can be written"""


@dataclass(frozen=True, slots=True)
class ServiceSnapshot:
    """What is said of the service. Keys of the counters are the label values in the order of the catalogue."""

    counters: dict[str, dict[tuple[str, ...], int]] = field(default_factory=dict)
    """metric name -> label values -> count, for the `monitor_*` counters that are part of the checkpointed state"""
    lag: dict[tuple[str, int], int] = field(default_factory=dict)
    """(topic, partition) -> records"""
    last_event_at: dict[str, float] = field(default_factory=dict)
    """topic -> seconds since the epoch"""
    assigned: dict[str, int] = field(default_factory=dict)
    """topic -> partitions assigned to this worker"""
    last_commit_at: float | None = None
    last_checkpoint_at: float | None = None
    snapshot_seconds: float | None = None
    join: JoinStatistics | None = None
    """None without a join"""
    log_messages: Mapping[str, int] = field(default_factory=dict)
    """level -> messages since the process began"""

    def withheld(self) -> ServiceSnapshot:
        """Without what speaks of partitions: somebody else may own them."""
        return replace(self, counters={}, lag={}, last_event_at={}, assigned={}, join=None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent state of the world. `clock` is event time, `taken_at` the worker's time (both epoch seconds)."""

    clock: float | None
    taken_at: float | None
    models: tuple[ModelSnapshot, ...]
    objectives: tuple[Objective, ...]
    service: ServiceSnapshot
    drift_thresholds: dict[str, float]
    """statistic -> effect size"""
    ready: bool
    reason: str
    """Why not ready; empty when ready."""

    def withheld(self, reason: str) -> Snapshot:
        """Not ready for this reason, and silent about everything that a partition's owner exports."""
        return replace(self, models=(), objectives=(), service=self.service.withheld(), ready=False, reason=reason)

    @classmethod
    def empty(cls, *, reason: str = "starting") -> Snapshot:
        """The snapshot of a worker that has not read anything yet."""
        return cls(
            clock=None,
            taken_at=None,
            models=(),
            objectives=(),
            service=ServiceSnapshot(),
            drift_thresholds={},
            ready=False,
            reason=reason,
        )
