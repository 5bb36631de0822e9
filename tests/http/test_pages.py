"""The status pages: what a person reads, and that nothing from events becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from monitor.bounds import DRIFT_DECISIONS
from monitor.http.markup import joined, tag
from monitor.http.numbers import moment, percent, span
from monitor.http.server import HttpServer
from monitor.http.standing import Drift, Precision, SeriesStatus, Standing, series_status, standing_of, worst
from monitor.snapshot import Objective, Quantity, SeriesKey, ServiceSnapshot, Snapshot
from tests.http.serving import World
from tests.snapshots import CLOCK, Plan, build_snapshot, renamed
from tests.test_exposition import ABUSE

VOID = {"meta", "link"}


class Reader(HTMLParser):
    """Text, elements and attributes; notes elements that do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def cells(page: str, name: str) -> list[str]:
    """The model cards' order: the text from a model's name on."""
    return page.split(f">{name}<", 1)[1].split("</section>", 1)[0].split("<tr>")[2:]


@pytest.mark.parametrize("path", ["/", "/models/text-toxicity", "/models/nobody"])
def test_pages_are_well_formed_and_bring_nothing_from_elsewhere(path: str) -> None:
    page = World().client().get(path).text
    reader = Reader(page)
    assert ([], []) == (reader.open, reader.crossed)
    assert not {"script", "iframe", "img", "form", "object"} & reader.elements
    assert all(
        value and not value.startswith(("http", "//")) for name, value in reader.attributes if name in {"href", "src"}
    )
    assert not [name for name, _ in reader.attributes if name == "style" or name.startswith("on")]


def test_the_policy_allows_exactly_the_style_of_the_page() -> None:
    answer = World().client().get("/")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]


def test_the_overview_shows_the_worst_model_first_and_its_worst_segment() -> None:
    page = World().client().get("/").text
    names = re.findall(r"<h2><a[^>]*>([^<]*)</a></h2>", page)
    assert ["text-toxicity", "image-nudity", "video-violence"] == names
    first = cells(page, "text-toxicity")[0]
    assert "below objective" in first
    assert "language=es" in first


def test_the_overview_shows_precision_with_interval_and_labels_for_every_window() -> None:
    row = next(row for row in cells(World().client().get("/").text, "video-violence") if "graphic_violence" in row)
    labels = re.findall(r'data-label="([^"]*)"', row)
    assert [f"Precision {window}" for window in ("5m", "1h", "24h", "7d")] == labels[2:6]
    assert re.search(r"91\.\d\u00a0%.*<small>8\d\.\d–9\d\.\d</small><small>n 326</small>", row)
    assert "no labels" in row


def test_the_overview_shows_the_service() -> None:
    text = " ".join(Reader(World().client().get("/").text).text)
    assert "moderation.decisions" in text
    assert "1,234,567" in text
    assert "14:13:20 UTC (2 s ago)" in text


def test_a_model_page_lists_every_segment_the_worst_first() -> None:
    rows = cells(World().client().get("/models/text-toxicity").text, "text-toxicity")
    assert 15 == len(rows)
    assert ["below objective"] * 2 + ["good"] * 8 + ["few labels"] * 5 == [
        next(word for word in ("below objective", "good", "few labels") if word in row) for row in rows
    ]


def test_a_worker_without_models_says_so_and_why_it_is_not_ready() -> None:
    text = " ".join(Reader(World(snapshot=Snapshot.empty(reason="reading state")).client().get("/").text).text)
    assert "not ready: reading state" in text
    assert "No decisions have been seen yet." in text


def test_readings_that_are_not_taken_any_more_are_marked_stale() -> None:
    world = World()
    assert ">stale<" not in world.client().get("/").text
    world.now += 61.0
    assert ">stale<" in world.client().get("/").text


def test_names_are_text_and_never_markup() -> None:
    snapshot = build_snapshot()
    names = [*ABUSE, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style>", "&lt;b&gt;"]
    models = tuple(renamed(snapshot.models[0], to=name) for name in names)
    client = World(snapshot=replace(snapshot, models=models)).client()
    page = client.get("/").content.decode("utf-8")
    reader = Reader(page)
    assert ([], []) == (reader.open, reader.crossed)
    assert not {"script", "img"} & reader.elements
    assert "<script>alert(1)</script>" in reader.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    missing = client.get("/models/<script>alert(1)</script>x")
    assert 404 == missing.status_code
    assert "<script>" not in missing.text


def test_markup_escapes_text_attributes_and_nested_children() -> None:
    expected = '<p class="&quot;x&quot;" data-label="a"><b>&lt;i&gt;</b>&amp;</p>'
    assert expected == tag("p", [tag("b", "<i>"), ["&"]], None, class_='"x"', data_label="a", id=None)
    assert "a&lt;" == joined(["a", "<"])


def standing(plan: Plan, *, objective: float | None = 0.9) -> Standing:
    """The standing of the whole of one policy."""
    snapshot = build_snapshot({"m": (plan,)}, segments=("all",))
    goals = {("m", plan.policy): Objective("m", plan.policy, objective, 100.0)} if objective else {}
    return series_status(snapshot.models[0], 0, goals).standing


@pytest.mark.parametrize(
    ("plan", "objective", "expected"),
    [
        (Plan("1", "champion", "p", rate=50.0, precision=0.8), 0.9, Standing.BELOW),
        (Plan("1", "champion", "p", rate=50.0, precision=0.97), 0.9, Standing.GOOD),
        (Plan("1", "champion", "p", rate=50.0, precision=0.97, drift=0.4), 0.9, Standing.DRIFT),
        (Plan("1", "champion", "p", rate=1.0, precision=0.9), 0.9, Standing.UNCERTAIN),
        (Plan("1", "champion", "p", rate=0.1, precision=0.5), 0.9, Standing.STARVED),
        (Plan("1", "champion", "p", rate=0.0), 0.9, Standing.SILENT),
        (Plan("1", "champion", "p", rate=50.0, precision=0.5), None, Standing.GOOD),
    ],
)
def test_the_interval_and_the_labels_decide_how_a_series_stands(
    plan: Plan, objective: float | None, expected: Standing
) -> None:
    assert expected is standing(plan, objective=objective)


def test_an_incident_that_only_the_longest_window_remembers_is_over() -> None:
    status = SeriesStatus(SeriesKey("m", "1", "champion", "p", "all"), Objective("m", "p", 0.9, 100.0))
    status.plain[Quantity.VOLUME, "1h"] = 10.0
    bad, good = Precision(0.7, 0.65, 0.75, 2000.0), Precision(0.97, 0.95, 0.98, 600.0)
    few = replace(bad, labels=20.0)
    for precision, expected in (
        ({"1h": good, "24h": good, "7d": bad}, Standing.GOOD),
        ({"1h": few, "24h": good, "7d": bad}, Standing.GOOD),
        ({"5m": bad, "1h": good, "24h": good, "7d": good}, Standing.GOOD),
        ({"1h": bad, "24h": good, "7d": good}, Standing.BELOW),
        ({"1h": few, "24h": bad, "7d": good}, Standing.BELOW),
        ({"1h": few, "24h": few, "7d": bad}, Standing.BELOW),
    ):
        status.precision = dict(precision)
        assert expected is standing_of(status)


def test_drift_of_few_decisions_is_none() -> None:
    drift = Drift("5m", "score", "psi", value=1.0, threshold=0.2, p_value=1e-20, decisions=DRIFT_DECISIONS - 1)
    assert not drift.found
    assert replace(drift, decisions=DRIFT_DECISIONS).found


def test_a_shadow_version_says_nothing_of_the_whole_and_comes_last() -> None:
    plans = (
        Plan("2", "shadow", "p", rate=50.0, precision=0.5),
        Plan("1", "champion", "p", rate=50.0, precision=0.97),
    )
    snapshot = build_snapshot({"m": plans}, segments=("all",))
    goals = {("m", "p"): Objective("m", "p", 0.9, 100.0)}
    statuses = [series_status(snapshot.models[0], row, goals) for row in range(2)]
    assert [Standing.BELOW, Standing.GOOD] == [status.standing for status in statuses]
    assert ["champion", "shadow"] == [one.key.variant for one in sorted(statuses, key=lambda status: status.order)]
    assert Standing.GOOD is worst(statuses)
    assert Standing.BELOW is worst(statuses[:1])


def test_the_overview_and_a_model_without_a_name_do_not_share_a_page() -> None:
    client = World().client()
    for _ in range(2):
        assert 404 == client.get("/models/").status_code
        assert b"text-toxicity" in client.get("/").content


def test_the_standing_of_nothing_is_silence() -> None:
    assert Standing.SILENT is worst([])


def test_a_service_that_knows_nothing_yet_shows_dashes() -> None:
    page = World(snapshot=replace(build_snapshot(), service=ServiceSnapshot())).client().get("/").text
    assert "No topic is assigned yet." in page


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (CLOCK, "14:13:20 UTC (0 s ago)"),
        (CLOCK - 119.0, "14:11:21 UTC (119 s ago)"),
        (CLOCK - 7_300.0, "12:11:40 UTC (2 h ago)"),
        (CLOCK - 864_000.0, "2026-09-11 14:13:20 UTC (10 d ago)"),
        (CLOCK + 180.0, "14:16:20 UTC (in 3 min)"),
        (None, "never"),
        (1e18, "never"),
        (float("nan"), "never"),
    ],
)
def test_moments_are_read_against_now(at: float | None, expected: str) -> None:
    assert expected == moment(at, now=CLOCK)


def test_small_ratios_keep_their_digits() -> None:
    shown = [percent(value) for value in (0.0, 0.0005, 0.12345, 1.0, None, float("nan"))]
    assert ["0.0\u00a0%", "0.05\u00a0%", "12.3\u00a0%", "100.0\u00a0%", "–", "–"] == shown
    assert "2 d" == span(172_800.0)


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on the PATH")
def test_a_browser_shows_the_page_without_a_violation_of_its_policy(tmp_path: Path) -> None:
    server = HttpServer(World().app(), "127.0.0.1", 0)
    port = server.start()
    try:
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            "--window-size=1360,1400",
        ]
        where = [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}"]
        command = ["chromium", *options, *where, f"http://127.0.0.1:{port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    finally:
        assert server.stop()
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert "Content Security Policy" not in done.stderr
