"""Replays: the same bytes each time, the numbers of an independent count, and what becomes of unclean files."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.event_log import FileLog, UnreadableLog
from monitor.outputs import Outputs
from monitor.replay import replay
from monitor.settings import Settings, load_settings
from monitor.topics import DECISIONS, REVIEWS
from tests.recount import ACTED, WINDOW_MINUTES, Counts, Series, lines, recount
from tests.simulate.helpers import START
from tests.simulated_files import file_of, two_models, write

MINUTES = 66
BEGIN = datetime.fromtimestamp(START / 1000, UTC)
CHECKED = (BEGIN + timedelta(minutes=33), BEGIN + timedelta(minutes=MINUTES))
"""Ticks whose readings are compared: one in the middle, and the last."""

Key = tuple[Series, str, str]
"""series, window, quantity"""


@dataclass(frozen=True)
class Run:
    source: Path
    output: Path


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(None, {"MONITOR_BLOCKS__SIZE": "1024"})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Run:
    folder = tmp_path_factory.mktemp("replay")
    logs = write(two_models(), folder / "in", minutes=MINUTES)
    replay(logs, settings, folder / "out", version="1.2.3")
    return Run(folder / "in", folder / "out")


@pytest.fixture(scope="module")
def readings(run: Run) -> dict[str, dict[Key, dict[str, Any]]]:
    """By tick: readings without an input."""
    found: dict[str, dict[Key, dict[str, Any]]] = {}
    for line in lines(run.output / "readings.jsonl"):
        series = (line["model"], line["model_version"], line["variant"], line["policy"], line["segment"])
        if "input" not in line:
            found.setdefault(line["at"], {})[series, line["window"], line["quantity"]] = line
    return found


def tick(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def counted(run: Run) -> list[tuple[str, Series, str, Counts]]:
    """The independent count: tick, series, window, counts."""
    return [
        (tick(at), series, window, counts)
        for at in CHECKED
        for window in WINDOW_MINUTES
        for series, counts in recount(run.source, at=at, window=window).items()
    ]


def test_there_is_a_tick_for_each_minute(readings: dict[str, dict[Key, dict[str, Any]]]) -> None:
    assert [tick(BEGIN + timedelta(minutes=minute)) for minute in range(1, MINUTES + 1)] == list(readings)


def test_volumes_and_rates_equal_the_independent_count(
    counted: list[tuple[str, Series, str, Counts]], readings: dict[str, dict[Key, dict[str, Any]]]
) -> None:
    expected, actual = {}, {}
    for at, series, window, counts in counted:
        volume = counts.actions.total()
        rates = {
            "volume": (volume, volume) if volume else None,
            "action_rate": (counts.acted / volume, volume) if volume else None,
            "report_rate": (counts.reports / volume, volume) if volume else None,
            "appeal_rate": (counts.stages["filed"] / counts.acted, counts.acted) if counts.acted else None,
        }
        decided = counts.stages["upheld"] + counts.stages["overturned"]
        rates["overturn_share"] = (counts.stages["overturned"] / decided, decided) if decided else None
        for quantity, told in rates.items():
            line = readings[at].get((series, window, quantity))
            expected[at, series, window, quantity] = told
            actual[at, series, window, quantity] = None if line is None else (line["value"], line["sample"])
    assert expected == actual
    assert len(expected) > 1000


def test_precision_equals_the_weighted_share_in_fractions(
    counted: list[tuple[str, Series, str, Counts]], readings: dict[str, dict[Key, dict[str, Any]]]
) -> None:
    compared_values = 0
    for at, series, window, counts in counted:
        line = readings[at].get((series, window, "precision"))
        assert (counts.labelled > 0) is (line is not None), (at, series, window)
        if line is not None:
            assert math.isclose(float(counts.violating / counts.labelled), line["value"], abs_tol=1e-8)
            compared_values += 1
    assert compared_values > 100


def test_precision_lies_in_an_interval_that_is_narrower_with_more_labels(
    readings: dict[str, dict[Key, dict[str, Any]]],
) -> None:
    found = [line for (_, _, quantity), line in readings[tick(CHECKED[1])].items() if quantity == "precision"]
    assert len(found) > 10
    for line in found:
        assert 0 <= line["lower"] <= line["value"] <= line["upper"] <= 1
        assert line["lower"] < line["upper"]
    few, many = (pick(found, key=lambda line: line["sample"]) for pick in (min, max))
    assert many["upper"] - many["lower"] < few["upper"] - few["lower"]


def test_counters_at_the_end_equal_the_independent_count(run: Run) -> None:
    exported: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families((run.output / "metrics.prom").read_text()):
        for sample in family.samples:
            exported[sample.name, *sample.labels.values()] = sample.value
    expected: dict[tuple[str, ...], float] = {}
    for series, counts in recount(run.source).items():
        expected |= {("moderation_decisions_total", *series, action): n for action, n in counts.actions.items()}
        expected |= {("moderation_reviews_total", *series, *kind): n for kind, n in counts.reviews.items()}
        expected |= {("moderation_appeals_total", *series, stage): n for stage, n in counts.stages.items()}
        expected["moderation_reports_total", *series] = counts.reports
    names = {name for name, *_ in expected}
    assert expected == {key: value for key, value in exported.items() if key[0] in names and (value or key in expected)}

    published = lines(run.source / "decisions.jsonl")
    distinct = {event["decision_id"] for event in published}
    assert len(distinct) < len(published)
    assert len(published) == exported["monitor_records_total", DECISIONS.topic]
    assert len(published) - len(distinct) == exported["monitor_duplicates_total", DECISIONS.topic]
    assert sum(event["action"] in ACTED for event in published) > 0


def test_the_same_input_gives_the_same_bytes(run: Run, settings: Settings, tmp_path: Path) -> None:
    logs = write(two_models(), tmp_path / "in", minutes=MINUTES)
    replay(logs, settings, tmp_path / "out", version="1.2.3")
    for name in ("readings.jsonl", "metrics.prom", "dead_letters.jsonl"):
        assert (run.output / name).read_bytes() == (tmp_path / "out" / name).read_bytes(), name


def test_compressed_files_give_the_same_bytes(run: Run, settings: Settings, tmp_path: Path) -> None:
    outputs = []
    for suffix in ("", ".gz"):
        path = tmp_path / f"decisions.jsonl{suffix}"
        content = file_of(DECISIONS, run.source).read_bytes()
        path.write_bytes(gzip.compress(content) if suffix else content)
        replay([FileLog(DECISIONS, path)], settings, tmp_path / f"out{suffix}", version="1", every_minutes=30)
        outputs.append((tmp_path / f"out{suffix}" / "readings.jsonl").read_bytes())
    assert outputs[0] == outputs[1]


@pytest.mark.prometheus
def test_promtool_accepts_the_metrics(run: Run) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=(run.output / "metrics.prom").read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (0, b"") == (done.returncode, done.stdout + done.stderr)


def test_readings_of_every_tenth_minute_are_those_of_all_minutes(run: Run, settings: Settings, tmp_path: Path) -> None:
    logs = [FileLog(DECISIONS, file_of(DECISIONS, run.source)), FileLog(REVIEWS, file_of(REVIEWS, run.source))]
    replay(logs, settings, tmp_path / "all", version="1")
    replay(logs, settings, tmp_path / "some", version="1", every_minutes=10)
    some = (tmp_path / "some" / "readings.jsonl").read_bytes().splitlines()
    ticks = {json.loads(line)["at"] for line in some}
    wanted = [
        line
        for line in (tmp_path / "all" / "readings.jsonl").read_bytes().splitlines()
        if json.loads(line)["at"] in ticks
    ]
    assert {0} == {datetime.fromisoformat(at).minute % 10 for at in sorted(ticks)[:-1]}
    assert wanted == some
    assert (tmp_path / "all" / "metrics.prom").read_bytes() == (tmp_path / "some" / "metrics.prom").read_bytes()


def test_bad_sentbecome_dead_letters_and_the_rest_counts(run: Run, settings: Settings, tmp_path: Path) -> None:
    good = file_of(DECISIONS, run.source).read_bytes().splitlines()[:400]
    bad = {0: b"{", 100: b"[" * 2000, 200: b'{"decision_id":"x"}', 401: good[0].replace(b'"score":', b'"score":9')}
    content = list(good)
    for place, line in bad.items():
        content.insert(place, line)
    content.insert(50, b"")
    (tmp_path / "decisions.jsonl").write_bytes(b"\n".join(content))
    log = FileLog(DECISIONS, tmp_path / "decisions.jsonl")
    done = replay([log], settings, tmp_path / "out", version="1")
    letters = lines(tmp_path / "out" / "dead_letters.jsonl")
    # The blank line in place 50 moves what is behind it by one.
    assert [0, 101, 201, 402] == [letter["offset"] for letter in letters]
    assert ["malformed", "invalid", "invalid", "invalid"] == [letter["reason"] for letter in letters]
    assert "score" == letters[3]["field"]
    assert 1 == log.blank_lines
    assert {DECISIONS.topic: 404} == done.records
    assert done.snapshot is not None
    assert 4 == sum(done.snapshot.service.counters["monitor_dead_letters_total"].values())


def test_undefined_values_are_null_and_absent_parts_are_left_out(run: Run) -> None:
    told = lines(run.output / "readings.jsonl")
    assert {"at", "value", "sample"} <= set.intersection(*(set(line) for line in told))
    volume = next(line for line in told if line["quantity"] == "volume")
    assert set(volume).isdisjoint({"method", "input", "lower", "upper", "p_value", "threshold"})
    precision = next(line for line in told if line["quantity"] == "precision")
    assert {"method", "lower", "upper"} <= set(precision)
    assert b"NaN" not in (run.output / "readings.jsonl").read_bytes()


def test_an_output_that_is_there_is_not_overwritten(run: Run, settings: Settings) -> None:
    before = (run.output / "metrics.prom").read_bytes()
    with pytest.raises(FileExistsError, match=r"metrics\.prom"):
        replay([], settings, run.output, version="1")
    assert before == (run.output / "metrics.prom").read_bytes()


def test_a_failure_on_the_way_leaves_no_files(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl.gz").write_bytes(gzip.compress(b"x" * 100_000)[:60])
    with pytest.raises(UnreadableLog, match=r"decisions\.jsonl\.gz: expected a whole gzip file"):
        replay([FileLog(DECISIONS, tmp_path / "decisions.jsonl.gz")], settings, tmp_path / "out", version="1")
    assert [] == list((tmp_path / "out").iterdir())


def test_a_directory_that_comes_up_meanwhile_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="second"), Outputs(tmp_path, ("first", "second"), force=True):
        (tmp_path / "second").mkdir()
    assert ["second"] == [path.name for path in tmp_path.iterdir()]


def test_a_file_that_cannot_be_opened_leaves_no_others(tmp_path: Path) -> None:
    (tmp_path / "second.partial").mkdir()
    with pytest.raises(IsADirectoryError, match="second"), Outputs(tmp_path, ("first", "second"), force=False):
        pass
    assert ["second.partial"] == [path.name for path in tmp_path.iterdir()]


def test_nothing_to_replay_gives_empty_files(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").touch()
    done = replay([FileLog(DECISIONS, tmp_path / "decisions.jsonl")], settings, tmp_path / "out", version="1")
    assert (0, 0) == (done.ticks, done.readings)
    assert b"" == (tmp_path / "out" / "readings.jsonl").read_bytes()
    assert b"monitor_build_info" in (tmp_path / "out" / "metrics.prom").read_bytes()


def test_a_host_whose_clock_is_a_year_ahead_moves_no_window_and_is_in_none(tmp_path: Path) -> None:
    def decision(number: int, at: datetime, action: str) -> str:
        told = {"decision_id": f"d{number}", "occurred_at": at.isoformat(), "model": "m", "model_version": "1"}
        return json.dumps(told | {"policy": "p", "action": action, "score": 0.1})

    begin = datetime(2026, 9, 21, 14, tzinfo=UTC)
    sent: list[str] = []
    for second in range(0, 2 * 3600, 6):
        at = begin + timedelta(seconds=second)
        sent.append(decision(len(sent), at, "allow"))
        if 1800 <= second < 2400:  # it sends twice as much as all others
            sent += [decision(len(sent) + more, at + timedelta(days=365), "remove") for more in range(2)]
    path = tmp_path / "decisions.jsonl"
    path.write_text("\n".join(sent) + "\n")
    replay([FileLog(DECISIONS, path)], load_settings(None, {}), tmp_path / "out", version="1", every_minutes=30)
    told = [json.loads(line) for line in (tmp_path / "out" / "readings.jsonl").read_text().splitlines()]
    whole = [each for each in told if each["segment"] == "all" and each["window"] == "5m"]

    assert {0.0} == {each["value"] for each in whole if each["quantity"] == "action_rate"}
    volumes = [each["value"] for each in whole if each["quantity"] == "volume"]
    assert len(volumes) >= 4
    assert 40 <= min(volumes)
    assert max(volumes) <= 90
