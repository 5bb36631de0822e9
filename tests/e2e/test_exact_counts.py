"""Half a million simulated decisions through one worker on real Kafka, with a `kill -9` in the middle.

Everything on `/metrics` is compared with a count of the published bytes that shares no code with the service.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from monitor import catalogue
from monitor.catalogue import Metric
from monitor.event_log import FileLog
from monitor.replay import replay
from monitor.settings import load_settings
from monitor.simulate import demo
from monitor.topics import BY_TOPIC, JOIN, SOURCES
from tests.e2e import batch_readings, topics
from tests.e2e.independent_count import (
    APPEALS,
    DECISIONS,
    LAUNCHES,
    REPORTS,
    REVIEWS,
    Count,
    count,
)
from tests.e2e.junk import JUNK, ORPHAN, refused
from tests.e2e.published import Published, counts_by_topic, publish, simulated, write_lines
from tests.e2e.scrape import Scrape, Values, difference, nonzero
from tests.e2e.worker_process import WorkerProcess
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

START_MS = 1_736_164_800_000  # 2025-01-06T12:00Z
MINUTES = 120
PER_MINUTE = 4200
PARTITIONS = 4
SEED = 20

FEATURES: Mapping[str, list[dict[str, Any]]] = {
    "text-guard": [
        {"type": "numeric", "name": "text_length", "edges": [80.0, 110.0, 120.0, 140.0], "low": 40.0, "high": 200.0},
        {"type": "categorical", "name": "source", "categories": ["app", "web"]},
    ],
    "meme-ocr": [
        {"type": "numeric", "name": "ocr_confidence", "edges": [0.8, 0.85, 0.9], "low": 0.75, "high": 0.95},
    ],
}


@dataclass(frozen=True)
class Run:
    """What was published, what the worker said of it, and what the same files say in a replay."""

    expected: Count
    scrape: Scrape
    replayed: Scrape
    pinned: Mapping[tuple[str, str, str], batch_readings.Bins]
    now: int
    """minute of the worker's clock"""


def traffic() -> list[Published]:
    """The demo's incidents in 2 hours; one decision in 50 is published twice, some feedback too, and some junk."""
    scenario = msgspec.structs.replace(
        demo(decisions_per_minute=PER_MINUTE, incident_minute=20), retry_share=0.02, context_share=0.5, name="exact"
    )
    found: list[Published] = []
    for number, record in enumerate(simulated(scenario, seed=SEED, start_ms=START_MS, minutes=MINUTES)):
        found.append(record)
        if record.topic not in {DECISIONS, LAUNCHES} and number % 40 == 0:
            found.append(record)
        junk = JUNK[record.topic]
        if number % 2000 == 0:
            value, _ = junk[number // 2000 % len(junk)]
            found.append(Published(record.topic, None, value, record.timestamp_ms))
        if record.topic == REVIEWS and number % 3000 == 0:
            orphan = ORPHAN % (number, number)
            found.append(Published(REVIEWS, b"nobody", orphan, record.timestamp_ms))
    return found


@pytest.fixture(scope="module")
def run(own_kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("exact")
    topics.create(own_kafka, source=PARTITIONS, internal=2)
    records = traffic()
    gc.freeze()  # hundreds of thousands of records that stay: not to be looked through again and again
    expected = count(records, refused=refused(), featured=FEATURES)
    reference = directory / "reference.json"
    pinned = batch_readings.write_reference(reference, expected, FEATURES, before=START_MS // 60_000 + 20)
    settings = {"drift.reference": reference}
    published = counts_by_topic(records)
    half = {DECISIONS: published[DECISIONS] // 3}
    with WorkerProcess(own_kafka.bootstrap, directory / "worker", settings=settings) as worker:
        worker.until_ready()
        publish(own_kafka.bootstrap, records)
        worker.until_counted(half)
        worker.kill()
        worker.start()
        replayed = replay_of(records, directory, reference)  # while the worker goes on
        worker.until_ready().until_counted(published)
        scrape = worker.until_quiet()
        yield Run(expected, scrape, replayed, pinned, int(scrape.one(catalogue.CLOCK) // 60))


@pytest.fixture(scope="module")
def precision(run: Run) -> dict[str, batch_readings.Readings]:
    """Precision, the effective labels and the interval by series and window, computed once in batch."""
    return batch_readings.precision(run.expected, run.now)


def replay_of(records: list[Published], directory: Path, reference: Path) -> Scrape:
    """Everything as files, one a topic, through `replay`; its `metrics.prom`."""
    logs = [
        FileLog(BY_TOPIC[topic], write_lines(records, topic, directory / f"{topic}.jsonl"))
        for topic in counts_by_topic(records)
    ]
    settings = load_settings(None, {"MONITOR_DRIFT__REFERENCE": str(reference)})
    replay(logs, settings, directory / "replayed", version="0", every_minutes=60)
    return Scrape((directory / "replayed" / "metrics.prom").read_text())


def test_the_run_is_as_large_as_it_says(run: Run) -> None:
    assert run.expected.records[DECISIONS,] > 500_000
    assert run.expected.records[REVIEWS,] > 50_000
    assert run.expected.records[APPEALS,] > 5_000
    assert run.expected.records[REPORTS,] > 1_000
    assert run.expected.duplicates[DECISIONS,] > 5_000
    assert len({labels[:5] for labels in run.expected.decisions}) > 150


@pytest.mark.parametrize(
    ("metric", "counted"),
    [
        (catalogue.DECISIONS, "decisions"),
        (catalogue.REVIEWS, "reviews"),
        (catalogue.APPEALS, "appeals"),
        (catalogue.REPORTS, "reports"),
        (catalogue.RECORDS, "records"),
        (catalogue.DUPLICATES, "duplicates"),
        (catalogue.DEAD_LETTERS, "dead"),
        (catalogue.TOMBSTONES, "tombstones"),
        (catalogue.LATE, "late"),
        (catalogue.FUTURE, "future"),
    ],
    ids=str,
)
def test_every_counter_equals_the_independent_count(run: Run, metric: Metric, counted: str) -> None:
    expected = nonzero(getattr(run.expected, counted))
    # How often a crash wrote the same into the internal topic again is nobody's number.
    told = {labels: number for labels, number in run.scrape.counted(metric).items() if labels != (JOIN,)}
    assert [] == difference(expected, told)


def test_feedback_without_context_is_joined_or_waits(run: Run) -> None:
    assert run.expected.joined > 10_000
    assert run.expected.waiting > 10
    assert run.scrape.one(catalogue.JOIN_ENTRIES) > run.expected.joined / 2
    assert 0 == run.scrape.total(catalogue.ORPHANS)


def test_no_offset_is_missed(run: Run) -> None:
    topics = {source.topic for source in SOURCES}
    assert dict.fromkeys(topics, 0.0) == {topic: run.scrape.total(catalogue.MISSED, topic=topic) for topic in topics}
    assert 0 == run.scrape.total(catalogue.MISSED)


def test_every_record_is_in_exactly_one_account(run: Run) -> None:
    others = (catalogue.DUPLICATES, catalogue.DEAD_LETTERS, catalogue.ORPHANS, catalogue.TOMBSTONES, catalogue.LATE)

    def open_accounts(topic: str, counted: Metric) -> float:
        accounted = run.scrape.total(counted, segment="all") + sum(
            run.scrape.total(other, topic=topic) for other in others
        )
        return run.scrape.total(catalogue.RECORDS, topic=topic) - accounted

    assert 0 == open_accounts(DECISIONS, catalogue.DECISIONS)
    feedback = ((REVIEWS, catalogue.REVIEWS), (APPEALS, catalogue.APPEALS), (REPORTS, catalogue.REPORTS))
    assert run.expected.waiting == sum(open_accounts(topic, counted) for topic, counted in feedback)


@pytest.mark.parametrize(
    ("metric", "observed"), [(catalogue.SCORE, "scores"), (catalogue.LATENCY, "latencies")], ids=str
)
def test_every_histogram_equals_the_independent_count(run: Run, metric: Metric, observed: str) -> None:
    values = {series: np.sort(found) for series, found in getattr(run.expected, observed).items()}
    buckets = run.scrape.by_labels(metric, suffix="_bucket", extra=("le",))
    expected = {
        key: float(np.searchsorted(values[key[:5]], float(key[5]), side="right"))
        for key in buckets
        if key[:5] in values
    }
    assert [] == difference(nonzero(expected), nonzero(buckets))
    assert set(values) == {key[:5] for key, value in buckets.items() if key[5] == "+Inf" and value}
    counts = {series: float(len(found)) for series, found in values.items()}
    assert [] == difference(counts, run.scrape.counted(metric, suffix="_count"))
    total = run.scrape.by_labels(metric, suffix="_sum")
    assert {series: pytest.approx(math.fsum(found), rel=1e-8) for series, found in values.items()} == {
        series: total[series] for series in values
    }


def test_the_clock_stands_in_the_last_minute_of_the_data(run: Run) -> None:
    assert START_MS // 60_000 + MINUTES - 1 == run.now


@pytest.mark.parametrize(
    ("metric", "numerator", "denominator"),
    [
        (catalogue.ACTION_RATIO, "acted", "decisions"),
        (catalogue.APPEAL_RATIO, "filed", "acted"),
        (catalogue.OVERTURNED_RATIO, "overturned", ("upheld", "overturned")),
        (catalogue.REPORT_RATIO, "reports", "decisions"),
    ],
    ids=str,
)
def test_windowed_rates_equal_a_batch_computation(
    run: Run, metric: Metric, numerator: str, denominator: str | tuple[str, ...]
) -> None:
    expected = batch_readings.ratios(run.expected, run.now, numerator, denominator)
    assert_close(expected, run.scrape.by_labels(metric))


def test_windowed_volumes_equal_a_batch_computation(run: Run) -> None:
    expected: dict[Values, float] = {
        (*series, window): float(counts["decisions"])
        for window in batch_readings.WINDOW_MINUTES
        for series, counts in batch_readings.sums(run.expected, window, run.now).items()
        if counts["decisions"]
    }
    assert [] == difference(expected, run.scrape.counted(catalogue.WINDOW_DECISIONS))


@pytest.mark.parametrize(
    ("metric", "part"),
    [
        (catalogue.PRECISION, "estimate"),
        (catalogue.PRECISION_EFFECTIVE_LABELS, "labels"),
        (catalogue.PRECISION_LOWER, "lower"),
        (catalogue.PRECISION_UPPER, "upper"),
    ],
    ids=str,
)
def test_windowed_precision_equals_a_batch_computation(
    run: Run, precision: Mapping[str, batch_readings.Readings], metric: Metric, part: str
) -> None:
    expected = precision[part]
    actual = run.scrape.counted(metric) if part == "labels" else run.scrape.by_labels(metric)
    assert len(expected) > 500
    # Squares of weights are kept in steps of 2^-16, which the effective labels feel, and most the limits of few labels.
    assert_close(expected, actual, tolerance={"estimate": 1e-7, "labels": 2e-6}.get(part, 1e-5))


@pytest.mark.parametrize("window", ["5m", "1h"])
def test_drift_against_the_pinned_reference_equals_a_batch_computation(run: Run, window: str) -> None:
    expected = batch_readings.drift(run.expected, FEATURES, run.pinned, window=window, now=run.now)
    assert {"score", "text_length", "source", "ocr_confidence"} == {key[6] for key in expected}
    assert_close(expected, of_window(run.scrape.by_labels(catalogue.DRIFT_STATISTIC), window))


def test_missing_and_out_of_range_features_equal_a_batch_computation(run: Run) -> None:
    expected = batch_readings.missing(run.expected, FEATURES, window="1h", now=run.now)
    assert_close(expected["missing"], of_window(run.scrape.by_labels(catalogue.FEATURE_MISSING_RATIO), "1h"))
    assert_close(expected["outside"], of_window(run.scrape.by_labels(catalogue.FEATURE_OUT_OF_RANGE_RATIO), "1h"))


ORDERED = (catalogue.DRIFT_DETECTED,)
"""Depends on which labels had arrived when a minute was over: a log that is published at once arrives otherwise."""


@pytest.mark.parametrize(
    "metric",
    [metric for metric in catalogue.CATALOGUE if metric.name.startswith("moderation_") and metric not in ORDERED],
    ids=str,
)
def test_a_replay_of_the_files_says_the_same(run: Run, metric: Metric) -> None:
    suffixes = ("_bucket", "_count", "_sum") if metric.kind is catalogue.Kind.HISTOGRAM else ("",)
    for suffix in suffixes:
        extra = ("le",) if suffix == "_bucket" else ()
        live = run.scrape.by_labels(metric, suffix=suffix, extra=extra)
        assert [] == difference(run.replayed.by_labels(metric, suffix=suffix, extra=extra), live)


def of_window(readings: Mapping[Values, float], window: str) -> dict[Values, float]:
    return {key: value for key, value in readings.items() if key[5] == window}


def assert_close(expected: Mapping[Values, float], actual: Mapping[Values, float], *, tolerance: float = 1e-9) -> None:
    """Equal label sets, and values that differ by rounding only."""
    assert [] == sorted(expected.keys() ^ actual.keys())[:20]
    wrong = [
        f"{key}: expected {value}, got {actual[key]}"
        for key, value in expected.items()
        if not math.isclose(value, actual[key], rel_tol=tolerance, abs_tol=1e-12)
    ]
    assert [] == wrong[:20]
