"""Odd input and output that cannot be written: one clear line with the documented exit code, never a traceback."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import click
import pytest

from monitor.cli import COMMANDS
from monitor.commands import demo
from monitor.commands.options import Number
from monitor.kafka_topics import TopicError, create_topics
from monitor.settings import TopicSettings
from monitor.simulate import DeliveryError, create_producer
from tests.commands.calls import call
from tests.recount import lines

NO_AUTHORITY = {"security.protocol": "SSL", "ssl.ca.location": __file__}
END_OF_TIME = "9999-12-31T23:59:59-05:00"
BEGIN_OF_TIME = "0001-01-01T00:00:00+05:00"


def decision(at: str, *, number: int = 1, **more: Any) -> dict[str, Any]:
    told = {"decision_id": f"d-{number}", "occurred_at": at, "model": "m", "model_version": "1", "policy": "p"}
    return told | {"action": "remove", "score": 0.5} | more


def decisions(folder: Path, *events: dict[str, Any]) -> Path:
    path = folder / "decisions.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def producers(source: Path) -> dict[str, list[object]]:
    """Every command with `--output`; what it needs else."""
    return {
        "replay": ["replay", "--decisions", source],
        "contract": ["contract"],
        "simulate": ["simulate", "--scenario", "quiet", "--rate", 60, "--minutes", 1],
        "reference": ["reference", "--decisions", source, "--minimum-decisions", 1],
    }


@pytest.mark.parametrize("name", ["replay", "contract", "simulate", "reference"])
@pytest.mark.parametrize("below", ["x", "x/y"])
def test_an_output_below_a_file_is_refused(tmp_path: Path, name: str, below: str) -> None:
    source = decisions(tmp_path, decision("2026-01-05T00:00:00Z"))
    result = call(*producers(source)[name], "--output", source / below)
    assert (2, "") == (result.exit_code, result.stdout)
    assert f"{source / below}: {source} is no directory" in result.stderr


@pytest.mark.parametrize("name", ["replay", "contract", "simulate", "reference"])
def test_an_output_in_a_directory_of_others_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = decisions(tmp_path, decision("2026-01-05T00:00:00Z"))
    # The super-user may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)
    result = call(*producers(source)[name], "--output", tmp_path / "new" / "out")
    assert (2, "") == (result.exit_code, result.stdout)
    assert f"{tmp_path / 'new' / 'out'}: no permission to write to {tmp_path}" in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("replay", "out/readings.jsonl.partial"),
        ("contract", "out/decision.schema.json"),
        ("simulate", "out/reviews.jsonl"),
        ("reference", "out.partial"),
    ],
)
def test_output_that_fails_on_the_way_is_one_line(tmp_path: Path, name: str, file: str) -> None:
    source = decisions(tmp_path, decision("2026-01-05T00:00:00Z"))
    output = tmp_path / "out"
    (tmp_path / file).mkdir(parents=True)
    force = ["--force"] if name == "simulate" else []
    result = call(*producers(source)[name], "--output", output, *force)
    assert 1 == result.exit_code
    assert f"Error: {output}" in result.stderr
    assert ": cannot be written: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "nan"], "'--rate': expected a finite number, got nan"),
        (["--rate", "inf"], "'--rate': "),
        (["--rate", "1e300"], "'--rate': "),
        (["--speed", "nan"], "'--speed': expected a finite number, got nan"),
        (["--speed", "inf"], "'--speed': "),
        (["--speed", "1e300"], "'--speed': "),
        (["--start", "1969-12-31T23:59:00Z"], "'--start': expected a time from 1970 on, got '1969-12-31T23:59:00Z'"),
        (["--start", "0001-01-01T00:00:00+05:00"], "'--start': expected a time from 1970 on"),
        (["--start", "9999-12-31T23:59:00Z"], "--start: expected a time before 9980"),
        (["--minutes", "99999999999"], "'--minutes': 99999999999 is not in the range 1<=x<=5256000"),
    ],
)
@pytest.mark.parametrize("files", [True, False])
def test_simulate_refuses_numbers_and_times_without_sense(
    tmp_path: Path, arguments: list[str], told: str, files: bool
) -> None:
    result = call("simulate", *arguments, *(("--output", tmp_path / "out") if files else ()))
    assert (2, "") == (result.exit_code, result.stdout)
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_last_start_of_a_simulation_works(tmp_path: Path) -> None:
    given = ("--scenario", "quiet", "--rate", 60, "--minutes", 1, "--drain", "--force", "--output", tmp_path)
    assert 0 == call("simulate", "--start", "9979-12-31T23:59:00Z", *given).exit_code
    assert 0 == call("simulate", "--start", "1970-01-01T00:00:00Z", *given).exit_code


def test_a_very_slow_simulation_starts_now() -> None:
    address = {"MONITOR_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1", "MONITOR_KAFKA__USERNAME": "refused"}
    result = call("simulate", "--speed", "1e-320", "--minutes", 5, environ=address)
    assert "kafka security: username is set" in result.stderr


@pytest.mark.parametrize("option", ["--duration", "--speed"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_demo_refuses_numbers_without_sense(option: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> int:
        raise AssertionError("started")

    monkeypatch.setattr(demo, "run", run)
    result = call("demo", option, value)
    assert 2 == result.exit_code
    assert f"'{option}': " in result.stderr


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_range_begins_in_1970(tmp_path: Path, option: str) -> None:
    result = call("replay", option, "1960-01-01T00:00:00Z", "--output", tmp_path / "out")
    assert 2 == result.exit_code
    assert f"'{option}': expected a time from 1970 on" in result.stderr


def test_a_reference_of_the_ends_of_time_is_pinned(tmp_path: Path) -> None:
    times = (BEGIN_OF_TIME, "2026-01-05T00:00:00Z", END_OF_TIME)
    source = decisions(tmp_path, *(decision(at, number=number) for number, at in enumerate(times)))
    assert 0 == call("validate", source).exit_code
    output = tmp_path / "reference.json"
    result = call("reference", "--decisions", source, "--minimum-decisions", 1, "--output", output)
    assert 0 == result.exit_code, result.output
    told = json.loads(output.read_text())
    assert "0001-01-01T00:00:00.000+05:00" == told["first_decision"]
    assert "9999-12-31T23:59:59.000-05:00" == told["last_decision"]


def test_a_reference_of_decisions_none_of_which_is_accepted_is_refused(tmp_path: Path) -> None:
    source = decisions(tmp_path, decision(BEGIN_OF_TIME))
    output = tmp_path / "reference.json"
    result = call("reference", "--decisions", source, "--minimum-decisions", 1, "--output", output)
    assert 2 == result.exit_code
    assert "too few decisions of m (0): expected at least 1" in result.stderr


@pytest.mark.parametrize(
    ("at", "tick"),
    [
        ("9999-12-31T23:59:30Z", "10000-01-01T00:00:00Z"),
        (END_OF_TIME, "10000-01-01T05:00:00Z"),
        (BEGIN_OF_TIME, "1970-01-01T00:01:00Z"),
    ],
)
def test_a_replay_of_the_ends_of_time_ends(tmp_path: Path, at: str, tick: str) -> None:
    source = decisions(tmp_path, decision(at))
    result = call("replay", "--decisions", source, "--output", tmp_path / "out")
    assert 0 == result.exit_code, result.output
    assert {tick} >= {line["at"] for line in lines(tmp_path / "out" / "readings.jsonl")}


def test_a_file_name_of_any_bytes_is_told_in_the_reference(tmp_path: Path) -> None:
    source = decisions(tmp_path, decision("2026-01-05T00:00:00Z")).rename(tmp_path / os.fsdecode(b"d\xe9c.jsonl"))
    output = tmp_path / "reference.json"
    result = call("reference", "--decisions", source, "--minimum-decisions", 1, "--output", output)
    assert 0 == result.exit_code, result.output
    assert r"d\xe9c.jsonl" == json.loads(output.read_text())["source"]


@pytest.mark.parametrize("name", ["replay", "reference"])
def test_a_pipe_is_refused_as_it_can_be_read_once_only(tmp_path: Path, name: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, decisions(tmp_path, decision("2026-01-05T00:00:00Z")).read_bytes())
    os.close(writing)
    path = Path(f"/dev/fd/{reading}")
    result = call(*producers(path)[name], "--output", tmp_path / "out")
    os.close(reading)
    assert 2 == result.exit_code
    assert f"{path}: expected a regular file, which can be read twice, got a pipe" in result.stderr


def test_a_feature_that_no_decision_has_is_refused(tmp_path: Path) -> None:
    events = (
        decision("2026-01-05T00:00:00Z", features={"length": 1.0, "empty": None}),
        decision("2026-01-05T00:00:01Z", number=2, model="n", features={"source": "app"}),
    )
    output = tmp_path / "reference.json"
    given = ("reference", "--decisions", decisions(tmp_path, *events), "--minimum-decisions", 1, "--output", output)
    for names in ("nosuch", "length,nosuch"):
        result = call(*given, "--features", names)
        assert 2 == result.exit_code
        assert "no values of feature nosuch; there are values of: length, source" in result.stderr
    assert "no values of feature empty" in call(*given, "--features", "empty").stderr
    assert "no values of feature source" in call(*given, "--features", "source", "--model", "m").stderr
    assert not output.exists()
    assert 0 == call(*given, "--features", "length").exit_code
    assert 0 == call(*given, "--features", "", "--force").exit_code


def test_a_client_that_cannot_be_made_is_told_with_its_brokers() -> None:
    with pytest.raises(TopicError, match=r"Kafka at a:1: starting a client: .*ssl\.ca\.location"):
        create_topics("a:1", TopicSettings(), options=NO_AUTHORITY)
    with pytest.raises(DeliveryError, match=r"starting a producer: .*ssl\.ca\.location"):
        create_producer("a:1", config=NO_AUTHORITY)


def test_every_number_with_a_point_is_a_finite_one() -> None:
    for name in COMMANDS:
        command: click.Command = importlib.import_module(f"monitor.commands.{name}").command
        for parameter in command.params:
            plain = isinstance(parameter.type, click.types.FloatParamType) and not isinstance(parameter.type, Number)
            assert not plain, f"{name}: {parameter.name}"
