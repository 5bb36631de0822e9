"""Snapshot to families: what is there, what is absent and what is 0."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.catalogue import CATALOGUE, Kind
from monitor.decode import Reason
from monitor.export import families
from monitor.exposition import Renderer
from monitor.snapshot import (
    Counters,
    JoinStatistics,
    ModelSnapshot,
    Objective,
    Quantity,
    ReadingColumn,
    ServiceSnapshot,
    Snapshot,
)
from monitor.topics import JOIN, SOURCES
from tests.snapshots import CLOCK, Plan, build_snapshot, renamed

ONE = {"m": (Plan("1", "champion", "p"),)}
ALL = {"model": "m", "model_version": "1", "variant": "champion", "policy": "p", "segment": "all"}
ES = {**ALL, "segment": "language=es"}


def exported(snapshot: Snapshot) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Samples by metric name, read from the text by prometheus_client."""
    text = Renderer(process_metrics=False).render(families(snapshot, version="1.2", config_fingerprint="abc")).decode()
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def small(**changes: object) -> Snapshot:
    """One model with two series."""
    snapshot = build_snapshot(ONE, segments=("all", "language=es"))
    model = replace(snapshot.models[0], **changes) if changes else snapshot.models[0]  # type: ignore[arg-type]
    return replace(snapshot, models=(model,))


def column(quantity: Quantity, value: list[float], sample: list[float], **more: object) -> ReadingColumn:
    return ReadingColumn(quantity, "1h", np.array(value), np.array(sample), **more)  # type: ignore[arg-type]


def names_of(metric_names: set[str]) -> set[str]:
    """The families of samples: histograms end in what their kind adds."""
    histograms = {metric.name for metric in CATALOGUE if metric.kind is Kind.HISTOGRAM}
    return {next((name for name in histograms if sample.startswith(f"{name}_")), sample) for sample in metric_names}


def test_every_metric_of_the_catalogue_is_exported_and_nothing_else() -> None:
    assert {metric.name for metric in CATALOGUE} == names_of(set(exported(build_snapshot())))


def test_samples_have_the_labels_of_the_catalogue() -> None:
    labels = {metric.name: set(metric.labels) for metric in CATALOGUE}
    for name, samples in exported(build_snapshot()).items():
        family = names_of({name}).pop()
        for found, _ in samples:
            assert labels[family] == set(found) - ({"le"} if name.endswith("_bucket") else set())


def test_a_reading_without_data_or_value_is_absent() -> None:
    rate = column(Quantity.APPEAL_RATE, [0.0, 0.5], [0.0, 10.0])
    report = column(Quantity.REPORT_RATE, [math.nan, 0.25], [10.0, 10.0])
    found = exported(small(readings=(rate, report)))
    assert [({**ES, "window": "1h"}, 0.5)] == found["moderation_appeal_ratio"]
    assert [({**ES, "window": "1h"}, 0.25)] == found["moderation_report_ratio"]


def test_a_window_without_decisions_has_a_volume_of_zero() -> None:
    found = exported(small(readings=(column(Quantity.VOLUME, [0.0, 3.0], [0.0, 3.0]),)))
    assert [0.0, 3.0] == [value for _, value in found["moderation_window_decisions"]]


def test_effective_labels_are_zero_where_there_are_decisions_but_no_labels() -> None:
    volume = column(Quantity.VOLUME, [100.0, 0.0], [100.0, 0.0])
    nothing = np.array([math.nan, math.nan])
    precision = column(
        Quantity.PRECISION, [math.nan, math.nan], [0.0, math.nan], method="hajek", lower=nothing, upper=nothing
    )
    found = exported(small(readings=(volume, precision)))
    expected = [({**ALL, "window": "1h", "estimator": "hajek"}, 0.0)]
    assert expected == found["moderation_precision_effective_labels"]
    assert not {"moderation_precision_ratio", "moderation_precision_lower_ratio"} & set(found)


def test_an_interval_end_that_is_undefined_is_absent_on_its_own() -> None:
    precision = column(
        Quantity.PRECISION,
        [0.9, 0.8],
        [5.0, 5.0],
        method="hajek",
        lower=np.array([math.nan, 0.7]),
        upper=np.array([0.95, 0.85]),
    )
    found = exported(small(readings=(precision,)))
    lengths = {name: len(rows) for name, rows in found.items() if name.startswith("moderation_precision")}
    assert 2 == lengths["moderation_precision_ratio"] == lengths["moderation_precision_upper_ratio"]
    assert [({**ES, "window": "1h", "estimator": "hajek"}, 0.7)] == found["moderation_precision_lower_ratio"]


def test_label_combinations_that_no_series_has_are_absent_and_the_others_start_at_zero() -> None:
    reviews = Counters((("audit", "benign"), ("golden", "benign")), np.array([[3, 0], [0, 0]]))
    found = exported(small(reviews=reviews))["moderation_reviews_total"]
    tail = {"source": "audit", "verdict": "benign"}
    assert [({**ALL, **tail}, 3.0), ({**ES, **tail}, 0.0)] == found


def test_reports_start_at_zero() -> None:
    found = exported(small(reports=Counters(((),), np.zeros((2, 1), dtype=np.int64))))
    assert [(ALL, 0.0), (ES, 0.0)] == found["moderation_reports_total"]


def test_a_histogram_nobody_fills_is_absent() -> None:
    model = small().models[0]
    empty = replace(model.latency, counts=np.zeros_like(model.latency.counts), total=np.zeros(2))
    found = exported(small(latency=empty))
    assert "moderation_latency_seconds_count" not in found
    assert model.score.counts.sum(axis=1).tolist() == [value for _, value in found["moderation_score_count"]]


def test_known_counters_start_at_zero_once_the_worker_is_ready() -> None:
    ready = replace(Snapshot.empty(), ready=True)
    found = exported(ready)
    assert {source.topic for source in SOURCES} == {labels["topic"] for labels, _ in found["monitor_records_total"]}
    letters = {(labels["topic"], labels["reason"]): value for labels, value in found["monitor_dead_letters_total"]}
    assert {(source.topic, reason.value): 0.0 for source in SOURCES for reason in Reason} == letters


def test_what_is_counted_of_the_join_starts_at_zero_where_there_is_one() -> None:
    service = ServiceSnapshot(join=JoinStatistics(entries=0, waiting=0, expired=0, bytes=0))
    found = exported(replace(Snapshot.empty(), service=service, ready=True))
    for name in ("monitor_records_total", "monitor_missed_offsets_total", "monitor_tombstones_total"):
        assert ({"topic": JOIN}, 0.0) in found[name]
    letters = found["monitor_dead_letters_total"]
    assert {"malformed", "invalid"} == {labels["reason"] for labels, _ in letters if labels["topic"] == JOIN}
    assert not [name for name in exported(replace(Snapshot.empty(), service=service)) if name.endswith("_total")]


def test_a_worker_that_has_not_read_its_state_back_shows_no_zeros() -> None:
    found = exported(Snapshot.empty())
    assert {"monitor_series", "monitor_build_info"} == set(found)


def test_counts_that_are_known_before_the_worker_is_ready_are_shown() -> None:
    service = ServiceSnapshot(counters={"monitor_records_total": {("moderation.decisions",): 5}})
    found = exported(replace(Snapshot.empty(), service=service))
    assert [({"topic": "moderation.decisions"}, 5.0)] == found["monitor_records_total"]


def test_a_worker_that_may_own_nothing_any_more_shows_only_what_is_its_own() -> None:
    whole = build_snapshot()
    found = exported(whole.withheld("no answer"))
    assert not [name for name in found if name.startswith("moderation_")]
    assert {
        "monitor_build_info",
        "monitor_clock_timestamp_seconds",
        "monitor_last_checkpoint_timestamp_seconds",
        "monitor_last_commit_timestamp_seconds",
        "monitor_log_messages_total",
        "monitor_series",
        "monitor_snapshot_duration_seconds",
        "monitor_snapshot_timestamp_seconds",
    } == set(found)
    assert (False, "no answer") == (whole.withheld("no answer").ready, whole.withheld("no answer").reason)


def test_a_service_counter_that_the_catalogue_does_not_know_is_refused() -> None:
    service = ServiceSnapshot(counters={"monitor_typo_total": {("a",): 1}})
    with pytest.raises(ValueError, match="monitor_typo_total"):
        families(replace(Snapshot.empty(), service=service), version="1", config_fingerprint="")


def test_what_is_not_known_of_the_service_is_absent() -> None:
    found = exported(replace(build_snapshot(), clock=None, taken_at=None, service=ServiceSnapshot()))
    absent = {"monitor_clock_timestamp_seconds", "monitor_snapshot_timestamp_seconds", "monitor_lag_records"}
    assert not absent & set(found)


def test_build_information_has_version_and_fingerprint() -> None:
    assert [({"version": "1.2", "config": "abc"}, 1.0)] == exported(Snapshot.empty())["monitor_build_info"]


def other_twice() -> tuple[ModelSnapshot, ModelSnapshot]:
    """The model `other` as two partitions see it: one series in common."""
    whole = renamed(build_snapshot(ONE, segments=("all", "language=es")).models[0], to="other")
    part = renamed(build_snapshot(ONE, seed=8, segments=("all",)).models[0], to="other")
    return whole, part


def test_of_a_model_on_two_partitions_counters_and_histograms_are_added_up() -> None:
    first, second = other_twice()
    found = exported(replace(build_snapshot(), models=(first, second)))
    decisions = {tuple(labels.values()): value for labels, value in found["moderation_decisions_total"]}
    expected = first.decisions.values[0, 1] + second.decisions.values[0, 1]
    assert expected == decisions[(*first.series[0], "remove")]
    assert first.decisions.values[1, 1] == decisions[(*first.series[1], "remove")]
    counts = {tuple(labels.values()): value for labels, value in found["moderation_score_count"]}
    assert first.score.counts[0].sum() + second.score.counts[0].sum() == counts[first.series[0]]
    sums = {tuple(labels.values()): value for labels, value in found["moderation_score_sum"]}
    assert first.score.total[0] + second.score.total[0] == sums[first.series[0]]


def test_of_a_model_on_two_partitions_the_first_gauge_stands_and_no_label_set_leaves_twice() -> None:
    first, second = other_twice()
    objective = Objective("other", "p", 0.9, 100.0)
    found = exported(replace(build_snapshot(), models=(first, second), objectives=(objective, objective)))
    for name, samples in found.items():
        keys = [tuple(sorted(labels.items())) for labels, _ in samples]
        assert len(keys) == len(set(keys)), name
    alone = exported(replace(build_snapshot(), models=(first,)))
    assert alone["moderation_precision_ratio"] == found["moderation_precision_ratio"]
    assert [2.0] == [value for _, value in found["monitor_series"]]


def test_drift_thresholds_are_those_of_the_columns_or_else_the_configured_ones() -> None:
    drift = [
        column(Quantity.DRIFT, [0.1, 0.1], [9.0, 9.0], method="psi", input="score", threshold=0.25),
        column(Quantity.DRIFT, [0.1, 0.1], [9.0, 9.0], method="ks", input="score"),
    ]
    found = exported(small(readings=tuple(drift)))["moderation_drift_threshold"]
    assert {"psi": 0.25, "ks": 0.1} == {labels["statistic"]: value for labels, value in found}


def test_times_keep_their_fractions() -> None:
    found = exported(build_snapshot())
    assert [({}, CLOCK + 0.4)] == found["monitor_snapshot_timestamp_seconds"]
