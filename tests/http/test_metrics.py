"""`/metrics`: formats, compression and sharing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from monitor.exposition import TextFormat
from monitor.http.negotiation import accepts_gzip, text_format
from monitor.http.shared import Shared
from monitor.snapshot import Snapshot
from tests.http.serving import World
from tests.snapshots import Plan, build_snapshot, renamed
from tests.test_exposition import ABUSE

# What Prometheus 2.42 and 3 send.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TextFormat.PROMETHEUS),
        ("*/*", TextFormat.PROMETHEUS),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TextFormat.PROMETHEUS),
        (PROMETHEUS_2, TextFormat.OPENMETRICS),
        (PROMETHEUS_3, TextFormat.OPENMETRICS),
        ("application/openmetrics-text", TextFormat.OPENMETRICS),
        ("application/openmetrics-text; version=2.0.0", TextFormat.PROMETHEUS),
        ("application/openmetrics-text;q=0.3, text/plain", TextFormat.PROMETHEUS),
        ("application/openmetrics-text;q=0", TextFormat.PROMETHEUS),
        ("application/openmetrics-text;q=broken", TextFormat.PROMETHEUS),
        (";;,=,;q=,", TextFormat.PROMETHEUS),
    ],
)
def test_the_format_follows_the_weights_of_the_accept_header(accept: str, expected: TextFormat) -> None:
    assert expected is text_format(accept)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("", False), ("gzip", True), ("deflate, GZIP;q=0.5", True), ("gzip;q=0, *", False), ("*", True), ("br", False)],
)
def test_gzip_is_used_only_where_it_is_accepted(header: str, *, expected: bool) -> None:
    assert expected is accepts_gzip(header)


@pytest.mark.parametrize("accept", ["text/plain", PROMETHEUS_3])
def test_a_scrape_states_its_format_and_parses(accept: str) -> None:
    answer = World().client().get("/metrics", headers={"Accept": accept})
    form = text_format(accept)
    parse = parse_openmetrics if form is TextFormat.OPENMETRICS else parse_prometheus
    assert (200, form.value) == (answer.status_code, answer.headers["content-type"])
    assert sum(len(family.samples) for family in parse(answer.text)) > 4000
    assert 'monitor_build_info{version="1.2.3",config="3f9a1c"} 1\n' in answer.text


def test_a_compressed_scrape_is_the_same_and_much_smaller() -> None:
    client = World().client()
    plain = client.get("/metrics").content
    packed = client.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert "gzip" == packed.headers["content-encoding"]
    watched = [line for line in plain.splitlines() if b"process_" not in line]
    assert watched == [line for line in packed.content.splitlines() if b"process_" not in line]
    assert int(packed.headers["content-length"]) < len(plain) / 8


def test_what_is_made_of_one_snapshot_within_a_second_is_made_once() -> None:
    world = World()
    made: list[tuple[Snapshot, float]] = []
    shared: Shared[str, int] = Shared(lambda: world.snapshot, now=lambda: world.now)

    def make(snapshot: Snapshot, at: float) -> int:
        made.append((snapshot, at))
        return len(made)

    def ask() -> int:
        return shared.get("metrics", make)

    assert [1, 1] == [ask(), ask()]
    world.now += 1.0
    assert [2, 2] == [ask(), ask()]
    world.snapshot = Snapshot.empty()
    assert [3, 3] == [ask(), ask()]
    world.now -= 3600.0
    assert 4 == ask()


def _key(key: int, snapshot: Snapshot, at: float) -> int:
    return key


def test_what_is_shared_is_bounded() -> None:
    world = World()
    shared: Shared[int, int] = Shared(lambda: world.snapshot, now=lambda: world.now, max_entries=3)
    for key in range(100):
        assert key == shared.get(key, partial(_key, key))
    assert 3 == len(shared._entries)


def test_a_new_snapshot_is_seen_at_once() -> None:
    world = World()
    client = world.client()
    assert "monitor_series 35\n" in client.get("/metrics").text
    world.snapshot = Snapshot.empty()
    assert "monitor_series 0\n" in client.get("/metrics").text


def test_a_scrape_survives_names_that_nobody_should_use() -> None:
    snapshot = build_snapshot({"m": (Plan("1", "champion", "p"),)}, segments=("all",))
    models = tuple(renamed(snapshot.models[0], to=name) for name in ABUSE)
    client = World(snapshot=replace(snapshot, models=models)).client()
    for accept, parse in (("text/plain", parse_prometheus), (PROMETHEUS_3, parse_openmetrics)):
        answer = client.get("/metrics", headers={"Accept": accept})
        assert 200 == answer.status_code
        seen = {
            sample.labels["model"]
            for family in parse(answer.text)
            for sample in family.samples
            if sample.name == "moderation_decisions_total"
        }
        assert len(ABUSE) == len(seen)
