"""Every metric that leaves the service, declared once: exporter, rules, dashboards and docs import the names from here.

A label value is either one of a closed list, or a name from the event contract whose number is capped by the
configuration (`limits`); what exceeds the cap is counted under `other`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """Prometheus metric type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric family: wire name, type, label names in order, help text. Units: seconds and ratios."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str

    def __str__(self) -> str:
        return self.name


def _counter(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name, Kind.COUNTER, labels, text)


def _gauge(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name, Kind.GAUGE, labels, text)


def _histogram(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, labels, text)


SERIES: Final = ("model", "model_version", "variant", "policy", "segment")
"""Labels of everything that is said of a watched model. `segment="all"` is the whole of a policy."""

WINDOWED: Final = (*SERIES, "window")

# --- the watched models -------------------------------------------------------------------------------------------
DECISIONS = _counter(
    "moderation_decisions_total", (*SERIES, "action"), "Distinct accepted decisions by the action taken."
)
REVIEWS = _counter("moderation_reviews_total", (*SERIES, "source", "verdict"), "Distinct accepted reviews.")
APPEALS = _counter("moderation_appeals_total", (*SERIES, "stage"), "Distinct accepted appeal steps.")
REPORTS = _counter("moderation_reports_total", SERIES, "Distinct accepted user reports.")
SCORE = _histogram("moderation_score", SERIES, "Scores of distinct accepted decisions.")
LATENCY = _histogram("moderation_latency_seconds", SERIES, "Decision latency as reported by the deciding service.")

WINDOW_DECISIONS = _gauge("moderation_window_decisions", WINDOWED, "Decisions with a decision time in the window.")
ACTION_RATIO = _gauge(
    "moderation_action_ratio", WINDOWED, "Share of the window's decisions that were acted on (positive actions)."
)
PRECISION = _gauge(
    "moderation_precision_ratio",
    (*WINDOWED, "estimator"),
    "Estimated share of acted-on decisions that were right, from reviews with known inclusion probability.",
)
PRECISION_LOWER = _gauge(
    "moderation_precision_lower_ratio", (*WINDOWED, "estimator"), "Lower end of the 95 % interval of the precision."
)
PRECISION_UPPER = _gauge(
    "moderation_precision_upper_ratio", (*WINDOWED, "estimator"), "Upper end of the 95 % interval of the precision."
)
PRECISION_EFFECTIVE_LABELS = _gauge(
    "moderation_precision_effective_labels",
    (*WINDOWED, "estimator"),
    "Labels an equal-probability sample would need to be as sure as the interval is.",
)
PRECISION_OBJECTIVE = _gauge(
    "moderation_precision_objective_ratio", ("model", "policy"), "Configured precision objective."
)
PRECISION_MINIMUM_LABELS = _gauge(
    "moderation_precision_minimum_labels",
    ("model", "policy"),
    "Configured effective labels below which precision may not alert.",
)
APPEAL_RATIO = _gauge(
    "moderation_appeal_ratio", WINDOWED, "Appeals filed per acted-on decision of the window. A proxy, not an error."
)
OVERTURNED_RATIO = _gauge(
    "moderation_overturned_ratio", WINDOWED, "Overturned share of decided appeals. Self-selected: not 1 - precision."
)
REPORT_RATIO = _gauge("moderation_report_ratio", WINDOWED, "User reports per decision of the window.")
DRIFT_STATISTIC = _gauge(
    "moderation_drift_statistic",
    (*WINDOWED, "input", "statistic"),
    "Distance of the window from the pinned reference; input is `score` or a feature of the reference.",
)
DRIFT_P_VALUE = _gauge(
    "moderation_drift_p_value_ratio",
    (*WINDOWED, "input", "statistic"),
    "P-value of the distance under no change, where its sampling law is known.",
)
DRIFT_THRESHOLD = _gauge(
    "moderation_drift_threshold",
    ("model", "window", "statistic"),
    "Effect size above which a significant distance counts as drift.",
)
DRIFT_DETECTED = _counter(
    "moderation_drift_detected_total",
    (*SERIES, "input", "detector"),
    "Changes that a streaming detector found in a minute series.",
)
FEATURE_MISSING_RATIO = _gauge(
    "moderation_feature_missing_ratio", (*WINDOWED, "input"), "Share of the window's decisions without the feature."
)
FEATURE_OUT_OF_RANGE_RATIO = _gauge(
    "moderation_feature_out_of_range_ratio",
    (*WINDOWED, "input"),
    "Share of the window's decisions whose feature lies outside the reference's range or categories.",
)
LAUNCH_TIMESTAMP = _gauge(
    "moderation_launch_timestamp_seconds",
    ("model", "model_version", "variant", "stage"),
    "When the version last entered this stage.",
)
LAUNCH_TRAFFIC = _gauge(
    "moderation_launch_traffic_ratio", ("model", "model_version", "variant", "stage"), "Traffic share announced."
)
MODEL_LAST_DECISION = _gauge(
    "moderation_last_decision_timestamp_seconds", ("model",), "Decision time of the latest accepted decision."
)

# --- the service itself -------------------------------------------------------------------------------------------
RECORDS = _counter("monitor_records_total", ("topic",), "Records read, each offset once.")
DEAD_LETTERS = _counter("monitor_dead_letters_total", ("topic", "reason"), "Records that could not be accepted.")
DUPLICATES = _counter("monitor_duplicates_total", ("topic",), "Records whose id was seen within the horizon.")
ORPHANS = _counter("monitor_orphans_total", ("topic",), "Feedback whose decision is not known.")
TOMBSTONES = _counter("monitor_tombstones_total", ("topic",), "Records without a value.")
LATE = _counter("monitor_late_total", ("topic",), "Records older than the ledger accepts.")
FUTURE = _counter("monitor_future_total", ("topic",), "Records dated in the future; their time was clamped.")
MISSED = _counter(
    "monitor_missed_offsets_total",
    ("topic",),
    "Offsets between what was counted and what was counted next: deleted before they were read, or lost.",
)
UNKNOWN_VALUES = _counter(
    "monitor_unknown_values_total", ("topic", "field"), "Enumeration values not known here, read as `other`."
)
LABEL_OVERFLOW = _counter(
    "monitor_label_overflow_total", ("label",), "Decisions counted under `other` because a cap on label values was met."
)
LAG = _gauge(
    "monitor_lag_records", ("topic", "partition"), "Records between the position and the end of what can be read."
)
LAST_EVENT = _gauge(
    "monitor_last_event_timestamp_seconds", ("topic",), "Kafka timestamp of the latest record that is in the metrics."
)
LAST_COMMIT = _gauge(
    "monitor_last_commit_timestamp_seconds", (), "When Kafka last acknowledged a commit of this worker."
)
CLOCK = _gauge("monitor_clock_timestamp_seconds", (), "Event time at which the readings were taken.")
SNAPSHOT_TIMESTAMP = _gauge("monitor_snapshot_timestamp_seconds", (), "When the readings were last computed.")
SNAPSHOT_SECONDS = _gauge("monitor_snapshot_duration_seconds", (), "How long the readings took to compute.")
CHECKPOINT_TIMESTAMP = _gauge("monitor_last_checkpoint_timestamp_seconds", (), "When state was last written to Kafka.")
STATE_DISCARDED = _counter(
    "monitor_state_discarded_total", ("reason",), "Pieces of checkpointed state that could not be used."
)
JOIN_ENTRIES = _gauge("monitor_join_entries", (), "Decisions in the index that feedback without context finds.")
JOIN_WAITING = _gauge("monitor_join_waiting", (), "Feedback that waits for its decision, as of the last whole block.")
JOIN_EVICTED = _counter(
    "monitor_join_evicted_total", (), "Decisions, and feedback about one, that went before their time for lack of room."
)
JOIN_HELD = _gauge(
    "monitor_join_held_partitions", (), "Partitions of the join that wait until the disk takes their index again."
)
STATE_FAILURES = _counter(
    "monitor_state_failures_total", ("reason",), "How often state on disk could not be used since the worker started."
)
JOIN_BYTES = _gauge("monitor_join_bytes", (), "Size of the index on disk.")
SERIES_COUNT = _gauge("monitor_series", (), "Series of watched models held by this worker.")
PARTITIONS = _gauge("monitor_assigned_partitions", ("topic",), "Partitions assigned to this worker.")
LOG_MESSAGES = _counter(
    "monitor_log_messages_total", ("level",), "Messages logged by this process, written or dropped by the rate limit."
)
BUILD_INFO = _gauge("monitor_build_info", ("version", "config"), "Version and configuration fingerprint; always 1.")

CATALOGUE: Final[tuple[Metric, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All metrics, in the order of declaration."""
