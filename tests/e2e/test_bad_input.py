"""Bad input of every kind through one worker on real Kafka: dead letter or counter, nothing lost, a valid scrape.

The tests share the worker, so each looks at what its own records added; the account has to be even after each of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from monitor import catalogue
from monitor.broker import EmbeddedBroker
from monitor.decode import MAX_EVENT_BYTES
from monitor.settings import LimitSettings
from monitor.topics import SOURCES
from tests.e2e import topics
from tests.e2e.events import DECISIONS, NOON_MS, REVIEWS, decision, iso, record, review
from tests.e2e.published import Published, Read, counts_by_topic, publish, read_topic
from tests.e2e.scrape import Scrape, require_openmetrics
from tests.e2e.worker_process import WorkerProcess
from tests.kafka_server import KafkaServer

HOUR_MS = 3_600_000
SCRAPE_SECONDS = 10.0
"""After which Prometheus gives up, if it is not told otherwise."""
COUNTED = {
    DECISIONS: catalogue.DECISIONS,
    REVIEWS: catalogue.REVIEWS,
    "moderation.appeals": catalogue.APPEALS,
    "moderation.reports": catalogue.REPORTS,
}
REFUSALS = (catalogue.DUPLICATES, catalogue.DEAD_LETTERS, catalogue.ORPHANS, catalogue.TOMBSTONES, catalogue.LATE)
ORIGIN = {"monitor.error.topic", "monitor.error.partition", "monitor.error.offset"}
REASON = {"monitor.error.exception", "monitor.error.message", "monitor.error.stacktrace"}


class Bench:
    """A worker, the node it reads from, and what has been published so far."""

    def __init__(self, kafka: KafkaServer, worker: WorkerProcess) -> None:
        self.worker = worker
        self.bootstrap = kafka.bootstrap
        self._published = Counter({source.topic: 0 for source in SOURCES})
        self._dead: Counter[str] = Counter()

    def feed(self, records: Sequence[Published], **producer: Any) -> tuple[Scrape, Scrape]:
        """Publish and wait until it is counted; the scrapes before and after. The account is even, the scrape valid."""
        before = self.worker.scrape()
        publish(self.bootstrap, records, **producer)
        self._published.update(counts_by_topic(records))
        self.worker.until_counted(self._published)
        after = self.worker.until_quiet()
        require_even_account(after)
        require_valid(self.worker)
        return before, after

    def dead_letters(self, topic: str = DECISIONS) -> list[Read]:
        """Dead letters that came since the last look; as many as `/metrics` says."""
        expect = int(self.worker.scrape().total(catalogue.DEAD_LETTERS, topic=topic))
        found = read_topic(self.bootstrap, f"{topic}.dlq", expect=expect)
        assert expect == len(found)
        fresh, self._dead[topic] = found[self._dead[topic] :], expect
        return fresh


@pytest.fixture(scope="module")
def bench(own_kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    topics.create(own_kafka, source=2, internal=2)
    settings = {"poison.maximum_ratio": 0.999, "poison.window_records": 1_000_000}
    with WorkerProcess(own_kafka.bootstrap, tmp_path_factory.mktemp("worker"), settings=settings) as worker:
        worker.until_ready()
        yield Bench(own_kafka, worker)


@pytest.fixture
def fresh(bench: Bench) -> Bench:
    """The bench, with earlier dead letters out of the way."""
    for topic in COUNTED:
        bench.dead_letters(topic)
    return bench


def require_even_account(scrape: Scrape) -> None:
    """Every record that was read is counted, or in one of the accounts of what is not."""
    for topic, metric in COUNTED.items():
        accepted = scrape.total(metric, segment="all")
        refused = sum(scrape.total(reason, topic=topic) for reason in REFUSALS)
        assert scrape.total(catalogue.RECORDS, topic=topic) == accepted + refused, topic


def require_valid(worker: WorkerProcess) -> None:
    """`/metrics` parses in both formats, comes in the time of a scrape, and promtool has nothing to say of it."""
    begin = time.monotonic()
    text = worker.scrape().text
    assert time.monotonic() - begin < SCRAPE_SECONDS
    assert Scrape(text).samples
    answer = worker.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    require_openmetrics(answer.text)
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
        assert (0, b"") == (done.returncode, done.stdout + done.stderr)


def added(before: Scrape, after: Scrape, metric: catalogue.Metric, **labels: str) -> float:
    return after.total(metric, **labels) - before.total(metric, **labels)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process (Linux)."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return 1024 * int(line.split()[1])


# --- 9: poison pills -----------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_ten_thousand_poison_pills_are_dead_letters_byte_by_byte_and_nobody_restarts(fresh: Bench) -> None:
    pid = fresh.worker.pid
    kinds = [
        lambda number: b'{"decision_id":"cut-%d",' % number,
        lambda number: b"\xff\xfe\xfd %d" % number,
        lambda number: b"\xef\xbb\xbf" + json.dumps(decision(f"bom-{number}")).encode(),
        lambda number: b"[" * 2000 + b"%d" % number,
        lambda number: b"%d" % number,
    ]
    pills = [
        record(kinds[number % len(kinds)](number), headers=[("trace", b"%d" % number), ("empty", None)])
        for number in range(10_000)
    ]
    behind = [record(decision(f"behind-{number}", model="behind")) for number in range(100)]
    before, after = fresh.feed([*pills, *behind])
    letters = fresh.dead_letters()
    assert 10_000 == added(before, after, catalogue.DEAD_LETTERS, topic=DECISIONS) == len(letters)
    assert Counter(pill.value for pill in pills) == Counter(letter.value for letter in letters)
    assert all(ORIGIN | REASON <= letter.headers.keys() for letter in letters)
    assert {b"%d" % number for number in range(10_000)} == {letter.headers["trace"] for letter in letters}
    assert all(("empty", None) in letter.all_headers or ("empty", b"") in letter.all_headers for letter in letters)
    origins = {tuple(letter.headers[name] for name in sorted(ORIGIN)) for letter in letters}
    assert 10_000 == len(origins)
    assert 100 == after.total(catalogue.DECISIONS, model="behind", segment="all")
    assert pid == fresh.worker.pid
    assert fresh.worker.running


@pytest.mark.kafka
def test_a_key_twice_in_an_event_counts_once_with_its_last_value(fresh: Bench) -> None:
    value = json.dumps(decision("twice", model="twice")).encode()
    before, after = fresh.feed([record(value[:-1] + b', "action": "remove"}')])
    assert 1 == after.one(catalogue.DECISIONS, model="twice", segment="all", action="remove")
    assert 0 == added(before, after, catalogue.DEAD_LETTERS)


def test_a_producer_that_broke_the_contract_wholesale_stops_the_worker_and_loses_nothing(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    topics.create(embedded_broker, source=1, internal=1)
    settings = {"poison.maximum_ratio": 0.5, "poison.window_records": 1000}
    with WorkerProcess(embedded_broker.bootstrap, tmp_path, settings=settings) as worker:
        worker.until_ready()
        publish(embedded_broker.bootstrap, [record(b"junk %d" % number) for number in range(2000)])
        assert 1 == worker.wait(within=30)
        assert "poison.maximum_ratio" in worker.log()
    found = {letter.value for letter in read_topic(embedded_broker.bootstrap, f"{DECISIONS}.dlq", expect=0)}
    # Those of the batch that broke the budget come again after a restart; none is skipped.
    with WorkerProcess(
        embedded_broker.bootstrap, tmp_path / "mended", settings={"poison.window_records": 1_000_000}
    ) as worker:
        worker.until_ready().until_counted({DECISIONS: 2000})
        assert 2000 == worker.scrape().total(catalogue.DEAD_LETTERS, topic=DECISIONS)
    found |= {letter.value for letter in read_topic(embedded_broker.bootstrap, f"{DECISIONS}.dlq", expect=0)}
    assert {b"junk %d" % number for number in range(2000)} == found


# --- 10: sizes -----------------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_ten_megabytes_leave_a_stub_with_size_and_hash_and_the_partition_moves_on(fresh: Bench) -> None:
    size = 10 * 1024 * 1024
    rss = resident_bytes(fresh.worker.pid)
    large = json.dumps(decision("large", reason="x" * size)).encode()
    behind = [record(decision(f"small-{number}", model="small"), key=b"large") for number in range(10)]
    before, after = fresh.feed(
        [record(large, key=b"large"), *behind], **{"message.max.bytes": 2 * size, "linger.ms": 0}
    )
    [letter] = fresh.dead_letters()
    assert 1 == added(before, after, catalogue.DEAD_LETTERS, topic=DECISIONS, reason="oversize")
    assert b"" == letter.value
    assert str(len(large)).encode() == letter.headers["monitor.error.size"]
    assert hashlib.sha256(large).hexdigest().encode() == letter.headers["monitor.error.sha256"]
    assert b"large" == letter.key
    assert 10 == after.total(catalogue.DECISIONS, model="small", segment="all")
    assert resident_bytes(fresh.worker.pid) - rss < 100 * 1024 * 1024


@pytest.mark.kafka
def test_one_byte_and_an_empty_value_are_dead_letters_and_the_largest_event_counts(fresh: Bench) -> None:
    largest = decision("largest", model="largest", reason="")
    room = MAX_EVENT_BYTES - len(json.dumps(largest))
    records = [record(b"1"), record(b""), record(largest | {"reason": "x" * room})]
    before, after = fresh.feed(records, **{"message.max.bytes": 4 * MAX_EVENT_BYTES})
    assert 2 == added(before, after, catalogue.DEAD_LETTERS, topic=DECISIONS)
    assert {b"1", b""} == {letter.value for letter in fresh.dead_letters()}
    assert 1 == after.total(catalogue.DECISIONS, model="largest", segment="all")


# --- 11: Kafka's own oddities --------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_tombstones_are_counted_and_skipped_on_every_topic(fresh: Bench) -> None:
    before, after = fresh.feed([record(None, topic=source.topic, key=b"gone") for source in SOURCES for _ in range(3)])
    for source in SOURCES:
        assert 3 == added(before, after, catalogue.TOMBSTONES, topic=source.topic)
    assert 0 == added(before, after, catalogue.DEAD_LETTERS)


@pytest.mark.kafka
def test_null_keys_and_a_thousand_headers_change_nothing(fresh: Bench) -> None:
    many: list[tuple[str, bytes | None]] = [(f"header-{number}", b"x" * 20) for number in range(1000)]
    plain = decision("no-key", model="bare")
    records = [
        Published(DECISIONS, None, json.dumps(plain).encode(), NOON_MS),
        record(decision("many-headers", model="bare"), headers=many),
        Published(DECISIONS, None, b"junk with headers", NOON_MS, many),
    ]
    before, after = fresh.feed(records)
    assert 2 == after.total(catalogue.DECISIONS, model="bare", segment="all")
    [letter] = fresh.dead_letters()
    assert letter.key is None
    assert many == letter.all_headers[:1000]
    assert 1 == added(before, after, catalogue.DEAD_LETTERS)


# --- 12: newer producers -------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_newer_minor_versions_count_unknown_values_are_other_and_a_major_version_is_refused(fresh: Bench) -> None:
    newer = decision(
        "newer",
        model="newer",
        schema_version="1.7",
        action="blur",
        modality="hologram",
        variant="canary",
        novelty={"deep": [1, {"x": None}]},
    )
    about = decision("newer", model="newer")
    records = [
        record(newer),
        record(review("newer", about, at_ms=NOON_MS, source="panel", verdict="partly"), topic=REVIEWS),
        record(decision("major", model="newer", schema_version="2.0")),
        record({"schema_version": "3.1", "everything": "changed"}),
        record(decision("odd", model="newer", schema_version="one")),
    ]
    before, after = fresh.feed(records)
    assert 1 == after.one(catalogue.DECISIONS, model="newer", segment="all", action="other", variant="other")
    assert 1 == after.one(catalogue.DECISIONS, model="newer", segment="modality=other", action="other")
    assert 1 == after.one(
        catalogue.REVIEWS, model="newer", segment="all", variant="champion", source="other", verdict="other"
    )
    for field in ("action", "modality", "variant"):
        assert 1 == added(before, after, catalogue.UNKNOWN_VALUES, topic=DECISIONS, field=field)
    for field in ("source", "verdict"):
        assert 1 == added(before, after, catalogue.UNKNOWN_VALUES, topic=REVIEWS, field=field)
    reasons = Counter(letter.headers["monitor.error.exception"] for letter in fresh.dead_letters())
    assert {b"unsupported_schema": 2, b"invalid": 1} == reasons


# --- 14: times -----------------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_late_records_change_no_window_and_future_ones_are_clamped(fresh: Bench) -> None:
    now = NOON_MS + HOUR_MS
    lively = [
        record(decision(f"lively-{number}", model="lively", at_ms=now - number * 1000), at_ms=now)
        for number in range(600)
    ]
    _, settled = fresh.feed(lively)
    late = [
        record(decision(f"late-{number}", model="lively", at_ms=now - 48 * HOUR_MS), at_ms=now) for number in range(50)
    ]
    before, after = fresh.feed(late)
    assert 50 == added(before, after, catalogue.LATE, topic=DECISIONS)
    assert windows(settled, "lively") == windows(after, "lively")
    future = [
        record(decision(f"future-{number}", model="ahead", at_ms=now + HOUR_MS), at_ms=now) for number in range(50)
    ]
    before, after = fresh.feed(future)
    assert 50 == added(before, after, catalogue.FUTURE, topic=DECISIONS)
    assert 50 == after.one(catalogue.WINDOW_DECISIONS, model="ahead", segment="all", window="5m")
    assert before.one(catalogue.CLOCK) == after.one(catalogue.CLOCK)
    assert now / 1000 == after.one(catalogue.MODEL_LAST_DECISION, model="ahead")


@pytest.mark.kafka
def test_clock_skew_between_producers_and_timestamps_out_of_order_lose_nothing(fresh: Bench) -> None:
    now = NOON_MS + HOUR_MS
    skewed = [
        record(
            decision(f"skew-{number}", model="skewed", at_ms=now + (number % 21 - 10) * 60_000),
            at_ms=now - (number * 37 % 600) * 1000,
        )
        for number in range(420)
    ]
    before, after = fresh.feed(skewed)
    assert 420 == after.total(catalogue.DECISIONS, model="skewed", segment="all")
    ahead = sum((number % 21 - 10) * 60_000 + (number * 37 % 600) * 1000 > 300_000 for number in range(420))
    assert ahead == added(before, after, catalogue.FUTURE, topic=DECISIONS)
    assert 0 == added(before, after, catalogue.LATE)
    assert before.one(catalogue.CLOCK) == after.one(catalogue.CLOCK)


@pytest.mark.kafka
def test_one_absurd_kafka_timestamp_moves_no_clock(fresh: Bench) -> None:
    now = fresh.worker.scrape().one(catalogue.CLOCK)
    year_2025_december = NOON_MS + 300 * 24 * HOUR_MS
    _, after = fresh.feed([record(decision("absurd", model="absurd"), at_ms=year_2025_december)])
    assert now == after.one(catalogue.CLOCK)


def windows(scrape: Scrape, model: str) -> list[str]:
    """The lines of a model's windowed readings."""
    return [
        line for line in scrape.text.splitlines() if f'model="{model}"' in line and ('="1h"' in line or '="5m"' in line)
    ]


# --- 15: numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_numbers_that_are_none_are_refused_and_every_sum_stays_finite(fresh: Bench) -> None:
    bad_scores = ["NaN", "Infinity", "-Infinity", "1e308", "1e999", "-0.1", "1.0000001", "true", '"0.5"', "null"]
    bad_latencies = ["-1", "NaN", "1e308", "86401", "false", '"1"']
    template = json.dumps(decision("ID", model="numbers", score="SCORE", latency_seconds="LATENCY"))

    def event(name: str, score: str, latency: str) -> bytes:
        return template.replace("ID", name).replace('"SCORE"', score).replace('"LATENCY"', latency).encode()

    bad = [event(f"score-{score.strip(chr(34))}", score, "0.1") for score in bad_scores]
    bad += [event(f"latency-{latency.strip(chr(34))}", "0.5", latency) for latency in bad_latencies]
    good = [event("minus-zero", "-0.0", "0"), event("one", "1", "86400"), event("tiny", "5e-324", "null")]
    before, after = fresh.feed([record(value) for value in [*bad, *good]])
    letters = fresh.dead_letters()
    assert len(bad) == added(before, after, catalogue.DEAD_LETTERS, topic=DECISIONS) == len(letters)
    assert {b"invalid", b"malformed"} == {letter.headers["monitor.error.exception"] for letter in letters}
    assert len(good) == after.total(catalogue.DECISIONS, model="numbers", segment="all")
    assert 1.0 == after.one("moderation_score_sum", model="numbers", segment="all")
    assert 86_400.0 == after.one("moderation_latency_seconds_sum", model="numbers", segment="all")


# --- 17: labels ----------------------------------------------------------------------------------------------------

ABUSE = {
    "control": "a\u0001\u0007b",
    "newline": 'a\nmoderation_decisions_total{model="fake"} 1e9',
    "right to left": "a\u202eb",
    "nul": "a\u0000b",
    "long": "x" * 10_240,
    "quote": 'a"b\\',
    "name": "__name__",
    "blank": " ",
    "empty": "",
    "emoji": "\U0001f4a9",
}


@pytest.mark.kafka
def test_names_that_may_not_become_labels_are_refused_in_every_field(fresh: Bench) -> None:
    fields = ("model", "model_version", "policy", "language", "region", "surface")
    abused = [
        record(decision(f"abuse-{kind}-{field}") | {field: name}) for kind, name in ABUSE.items() for field in fields
    ]
    lone = json.dumps(decision("lone", model="MODEL")).replace("MODEL", "\\ud800").encode()
    launch = {
        "model": ABUSE["newline"],
        "model_version": "1",
        "variant": "champion",
        "stage": "live",
        "at": iso(NOON_MS),
    }
    before, after = fresh.feed([*abused, record(lone), record(launch, topic="moderation.launches")])
    letters = fresh.dead_letters()
    assert len(abused) + 1 == len(letters) == added(before, after, catalogue.DEAD_LETTERS, topic=DECISIONS)
    assert 1 == added(before, after, catalogue.DEAD_LETTERS, topic="moderation.launches")
    for name in ABUSE.values():
        assert not name.strip() or name not in after.text
    # Headers of Kafka are bytes; what is said of an abused name is printable.
    assert all(letter.headers["monitor.error.message"].decode().isprintable() for letter in letters)


@pytest.mark.kafka
def test_abuse_where_no_label_comes_from_it_is_accepted_as_it_is(fresh: Bench) -> None:
    odd = [decision(f"odd-{name[:50]}", model="odd", features={name: 1.0, "__name__": "le"}) for name in ABUSE.values()]
    reserved = [decision(f"reserved-{name}", model="odd", policy=name) for name in ("le", "quantile", "job", "all")]
    _, after = fresh.feed([record(event) for event in [*odd, *reserved]])
    assert len(odd) + len(reserved) == after.total(catalogue.DECISIONS, model="odd", segment="all")


# --- 16: cardinality, last because it fills the tables -------------------------------------------------------------


@pytest.mark.kafka
def test_a_hundred_thousand_distinct_policies_and_languages_stay_within_the_caps_of_their_model(fresh: Bench) -> None:
    names, limits = 50_000, LimitSettings()
    rss = resident_bytes(fresh.worker.pid)
    bomb = [record(decision(f"l-{n}", model="wide", policy="spam", language=f"l-{n}")) for n in range(names)]
    bomb += [record(decision(f"p-{n}", model="wide", policy=f"policy-{n}")) for n in range(names)]
    before, after = fresh.feed(bomb)
    assert 2 * names == after.total(catalogue.DECISIONS, model="wide", segment="all")
    own = {labels: value for labels, value in after.by_labels(catalogue.DECISIONS).items() if labels[0] == "wide"}
    policies = {labels[3]: value for labels, value in own.items() if labels[3].startswith("policy-")}
    assert len({labels[3] for labels in own}) <= limits.policies + 1
    assert names - len(policies) == after.one(
        catalogue.DECISIONS, model="wide", policy="other", segment="all", action="allow"
    )
    languages = {labels[4] for labels in own if labels[3] == "spam" and labels[4].startswith("language=l-")}
    assert names - len(languages) == after.one(
        catalogue.DECISIONS, model="wide", policy="spam", segment="language=other", action="allow"
    )
    assert len({labels[4] for labels in own}) <= limits.segments + len(("all", "language", "region", "modality"))
    assert len({labels[:5] for labels in own}) <= limits.series + 1
    for label in ("policy", "segment"):
        assert added(before, after, catalogue.LABEL_OVERFLOW, label=label) > 0
    assert resident_bytes(fresh.worker.pid) - rss < 100 * 1024 * 1024


@pytest.mark.kafka
def test_a_hundred_thousand_distinct_models_stay_within_the_cap_and_other_takes_the_rest_exactly(fresh: Bench) -> None:
    names, limits = 100_000, LimitSettings()
    rss = resident_bytes(fresh.worker.pid)
    bomb = [record(decision(f"m-{n}", model=f"model-{n}")) for n in range(names)]
    before, after = fresh.feed(bomb)
    decisions = after.by_labels(catalogue.DECISIONS)
    # Each partition of the blocks topic has models of its own, and its own `other`.
    assert len({labels[0] for labels in decisions}) <= 2 * limits.models + 1
    named = sum(value for labels, value in decisions.items() if labels[0].startswith("model-") and labels[4] == "all")
    assert names - named == added(before, after, catalogue.DECISIONS, model="other", segment="all")
    assert names - named == added(before, after, catalogue.LABEL_OVERFLOW, label="model")
    assert resident_bytes(fresh.worker.pid) - rss < 100 * 1024 * 1024
