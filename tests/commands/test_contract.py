"""`contract` and `validate`: the documents are those of the types, and files are checked against them."""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path

import pytest

from monitor.contract import asyncapi, contract, json_schema
from monitor.topics import SOURCES
from tests.commands.calls import call

EVENTS = Path(__file__).parents[1] / "fixtures" / "events" / "v1.0"


def test_all_documents_are_printed_as_json() -> None:
    schemas = {source.name: json_schema(source) for source in SOURCES}
    assert contract() == json.loads(call("contract").stdout)
    assert asyncapi() == json.loads(call("contract", "--format", "asyncapi").stdout)
    assert schemas == json.loads(call("contract", "--format", "json-schema").stdout)


def test_documents_go_into_a_folder_one_file_each(tmp_path: Path) -> None:
    assert 0 == call("contract", "--output", tmp_path / "new").exit_code
    found = {path.name: json.loads(path.read_text()) for path in (tmp_path / "new").iterdir()}
    expected = {f"{source.name}.schema.json": json_schema(source) for source in SOURCES}
    assert expected | {"asyncapi.json": asyncapi()} == found


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz", "events.jsonl.GZ", "packed"])
def test_good_events_are_accepted(tmp_path: Path, name: str, mark: bytes) -> None:
    content = b"\n".join(
        json.dumps(json.loads(path.read_bytes())).encode() for path in sorted(EVENTS.glob("*.full.json"))
    )
    path = tmp_path / name
    path.write_bytes(mark + content if name == "events.jsonl" else gzip.compress(mark + content))
    for result in (call("validate", path), call("validate", "-", stdin=path.read_bytes())):
        assert (0, "") == (result.exit_code, result.stdout)
        assert "5 events, 0 errors, 0 notes" in result.stderr


def test_each_error_is_told_with_line_field_and_what_is_allowed(tmp_path: Path) -> None:
    event = json.loads((EVENTS / "decision.minimal.json").read_text())
    lines = [json.dumps(event), json.dumps(event | {"score": 1.5, "skore": 1}), "{"]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    result = call("validate", tmp_path / "events.jsonl", "--type", "decision")
    assert 1 == result.exit_code
    assert "line 2: decision.score: expected a number from 0 to 1, got 1.5" in result.stdout
    assert "line 2: note: decision.skore: unknown field, would be ignored, did you mean `score`?" in result.stdout
    assert "line 3: expected one JSON object" in result.stdout
    assert "3 events, 2 errors, 1 notes" in result.stderr


def test_notes_alone_are_no_failure_and_standard_input_is_read() -> None:
    event = json.loads((EVENTS / "decision.minimal.json").read_text())
    result = call("validate", "-", stdin=json.dumps(event | {"skore": 1}).encode())
    assert 0 == result.exit_code
    assert "1 events, 0 errors, 1 notes" in result.stderr


def test_all_problems_are_counted_and_the_first_shown() -> None:
    result = call("validate", "-", "--show", 2, stdin=b"{\n" * 10)
    assert 2 == len(result.stdout.splitlines())
    assert "10 events, 10 errors" in result.stderr


def test_a_broken_gzip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl.gz").write_bytes(b"plain")
    result = call("validate", tmp_path / "events.jsonl.gz")
    assert 2 == result.exit_code
    assert "events.jsonl.gz: cannot be read" in result.stderr
