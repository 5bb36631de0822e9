"""`simulate`, `reference` and `replay` on files, one after the other, as an operator would."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.reference import load_reference
from tests.commands.calls import call
from tests.recount import lines

NAMES = ("decisions", "reviews", "appeals", "reports", "launches")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    result = call("simulate", "--scenario", "quiet", "--rate", 1200, "--minutes", 12, "--output", folder)
    assert 0 == result.exit_code, result.output
    return folder


def replayed(files: Path, output: Path, *more: object) -> dict[str, bytes]:
    given = [part for name in NAMES for part in (f"--{name}", files / f"{name}.jsonl")]
    result = call("replay", *given, "--output", output, *more)
    assert 0 == result.exit_code, result.output
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def test_simulate_gives_the_same_files_again(files: Path, tmp_path: Path) -> None:
    call("simulate", "--scenario", "quiet", "--rate", 1200, "--minutes", 12, "--output", tmp_path)
    for name in (*NAMES, "truth"):
        assert (files / f"{name}.jsonl").read_bytes() == (tmp_path / f"{name}.jsonl").read_bytes()
    first = lines(files / "decisions.jsonl")[0]
    assert first["occurred_at"].startswith("2026-01-05T00:00")


def test_simulate_takes_a_scenario_file_and_a_start(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(
        "name: mine\nmodels: [{name: m, modality: text, decisions_per_minute: 50, policies: [{name: p}]}]\n"
    )
    arguments = ("simulate", "--scenario", tmp_path / "scenario.yaml", "--minutes", 1, "--output", tmp_path / "out")
    assert 0 == call(*arguments, "--start", "2026-03-01T12:00:00+01:00").exit_code
    told = lines(tmp_path / "out" / "decisions.jsonl")
    assert {"m"} == {event["model"] for event in told}
    assert {"2026-03-01T11:00"} == {event["occurred_at"][:16] for event in told}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--scenario", "nope"], "expected one of quiet, demo, or a YAML file, got 'nope'"),
        (["--start", "2026-01-01"], "expected a time with an offset"),
        (["--start", "2026-01-01T00:00:30Z"], "expected a whole minute"),
        (["--rate", "5", "--scenario", "x.yaml"], "--rate goes with a built-in scenario"),
    ],
)
def test_simulate_refuses_what_it_cannot_use(tmp_path: Path, arguments: list[str], told: str) -> None:
    result = call("simulate", *arguments, "--output", tmp_path / "out")
    assert 2 == result.exit_code
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_scenario_file_with_a_mistake_is_named(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text("name: mine\nmodel: []\n")
    result = call("simulate", "--scenario", tmp_path / "scenario.yaml", "--output", tmp_path / "out")
    assert 2 == result.exit_code
    assert "scenario.yaml" in result.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"name: 2026-99-99",
            "expected YAML: cannot be read as the timestamp that it looks like (text goes in quotes), l",
        ),
        (b"name: !!int abc", "expected YAML: cannot be read as the int that it looks like"),
        (b"name: " + b"[" * 5000, "expected YAML: nested too deeply"),
        (b"name: \xe9", "expected YAML: 'utf-8' codec can't decode"),
        (b"name: a\nname: b", "expected YAML: `name` is there twice, line 2, column 1"),
        (b"", "Expected `object`, got `null`"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else "",
)
def test_a_scenario_file_that_is_no_yaml_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_bytes(content)
    result = call("simulate", "--scenario", path, "--output", tmp_path / "out")
    assert 2 == result.exit_code
    assert f"{path}: {told}" in result.stderr
    assert 1 == len(result.stderr.splitlines())


def test_simulate_does_not_overwrite_unless_told(tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text("mine")
    arguments = ("simulate", "--scenario", "quiet", "--rate", 60, "--minutes", 1, "--output", tmp_path)
    result = call(*arguments)
    assert 2 == result.exit_code
    assert f"{tmp_path / 'truth.jsonl'}: there already; choose another folder or --force" in result.stderr
    assert ["truth.jsonl"] == [path.name for path in tmp_path.iterdir()]
    assert 0 == call(*arguments, "--force").exit_code
    assert "mine" != (tmp_path / "truth.jsonl").read_text()
    assert "--drain and --force go with --output only" in call("simulate", "--force").stderr


def test_a_reference_is_all_that_drift_needs(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    arguments = ("reference", "--decisions", files / "decisions.jsonl", "--model", "text-guard", "--output", path)
    result = call(*arguments, "--features", "text_length", "--feature-bins", 5)
    assert 0 == result.exit_code, result.output
    (model,) = load_reference(path).models
    assert ("text-guard", ["text_length"], [5]) == (
        model.model,
        [feature.name for feature in model.features],
        [feature.bins for feature in model.features],
    )
    (tmp_path / "monitor.yaml").write_text(f"drift: {{reference: {path}}}\n")
    checked = call("check", tmp_path / "monitor.yaml")
    assert 0 == checked.exit_code
    given = ("--decisions", files / "decisions.jsonl", "--output", tmp_path / "out", "--every", 60)
    assert 0 == call("replay", *given, environ={"MONITOR_CONFIG": str(tmp_path / "monitor.yaml")}).exit_code
    fingerprint = checked.stdout.split()[-1]
    assert f'config="{fingerprint}"' in (tmp_path / "out" / "metrics.prom").read_text()
    told = lines(tmp_path / "out" / "readings.jsonl")
    drift = [line for line in told if line["quantity"] == "drift" and line["segment"] == "all"]
    assert {"text-guard"} == {line["model"] for line in drift}
    assert {"score", "text_length"} == {line["input"] for line in drift}
    assert max(line["value"] for line in drift if line["window"] == "24h") < 1e-9

    again = call(*arguments)
    assert 2 == again.exit_code
    assert "reference.json: there already" in again.stderr
    assert 0 == call(*arguments, "--force").exit_code


def test_reference_refuses_too_little(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    result = call("reference", "--decisions", files / "decisions.jsonl", "--output", path)
    assert 2 == result.exit_code
    assert "too few decisions of" in result.stderr
    assert "voice-guard" in result.stderr
    assert not path.exists()
    without = call("reference", "--output", path)
    assert 2 == without.exit_code
    assert "either --decisions FILE, or a topic range" in without.stderr


def test_replay_writes_the_same_bytes_for_the_same_files(files: Path, tmp_path: Path) -> None:
    first, second = replayed(files, tmp_path / "a"), replayed(files, tmp_path / "b")
    assert {"readings.jsonl", "metrics.prom", "dead_letters.jsonl"} == set(first)
    assert first == second
    assert b"" == first["dead_letters.jsonl"]


def test_replay_does_not_overwrite_unless_told(files: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.prom").write_text("mine")
    result = call("replay", "--decisions", files / "decisions.jsonl", "--output", tmp_path)
    assert 2 == result.exit_code
    assert "mine" == (tmp_path / "metrics.prom").read_text()
    assert replayed(files, tmp_path, "--force")["metrics.prom"] != b"mine"


def test_a_folder_in_the_place_of_a_file_is_told_before_anything_is_written(files: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.prom").mkdir()
    (tmp_path / "readings.jsonl").write_text("mine")
    result = call("replay", "--decisions", files / "decisions.jsonl", "--output", tmp_path, "--force")
    assert 1 == result.exit_code
    assert f"{tmp_path / 'metrics.prom'}: cannot be written: Is a directory" in result.stderr
    assert "mine" == (tmp_path / "readings.jsonl").read_text()
    assert {"metrics.prom", "readings.jsonl"} == {path.name for path in tmp_path.iterdir()}


def test_replay_needs_files_or_a_range(files: Path, tmp_path: Path) -> None:
    for arguments in ([], ["--decisions", str(files / "decisions.jsonl"), "--topics"]):
        result = call("replay", *arguments, "--output", tmp_path)
        assert 2 == result.exit_code
        assert "either files" in result.stderr
    absent = call("replay", "--reviews", tmp_path / "absent.jsonl", "--output", tmp_path / "out")
    assert 2 == absent.exit_code
    assert "absent.jsonl: cannot be read" in absent.stderr


def test_kafka_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    environ = {"MONITOR_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    result = call("replay", "--topics", "--output", tmp_path / "out", environ=environ)
    assert 2 == result.exit_code
    assert "Kafka at 127.0.0.1:1" in result.stderr
