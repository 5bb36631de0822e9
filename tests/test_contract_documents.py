"""The published documents say what the decoder does: both accept the same fixtures and refuse the same mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from referencing import Registry

from monitor.contract import DEAD_LETTER_HEADERS, asyncapi, contract, json_schema
from monitor.decode import Reason, Rejected, decode_event
from monitor.events import Action, Appeal, Decision, DecisionContext, Launch, Report, Review
from monitor.topics import SOURCES, SourceTopic

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "events").glob("v*/*.json"))
BY_NAME = {source.name: source for source in SOURCES}
VALID_DECISION = {
    "decision_id": "d",
    "occurred_at": "2026-03-14T09:26:53Z",
    "model": "m",
    "model_version": "1",
    "policy": "p",
    "action": "allow",
    "score": 0.5,
}
REMOVED = Ellipsis


def source_of(path: Path) -> SourceTopic:
    return BY_NAME[path.name.split(".")[0]]


def validator(source: SourceTopic) -> jsonschema.Draft202012Validator:
    schema = json_schema(source)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, registry=Registry())


def test_every_type_has_a_minimal_a_full_and_a_newer_fixture_of_the_first_version() -> None:
    expected = {f"{source.name}.{kind}.json" for source in SOURCES for kind in ("minimal", "full", "newer-producer")}
    assert expected <= {path.name for path in FIXTURES if path.parent.name == "v1.0"}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_schema_and_decoder_accept_every_fixture_ever_released(path: Path) -> None:
    value = path.read_bytes()
    assert list(validator(source_of(path)).iter_errors(json.loads(value))) == []
    assert not isinstance(decode_event(source_of(path), value), Rejected)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_full_fixture_uses_every_field_of_its_type(source: SourceTopic) -> None:
    [path] = [path for path in FIXTURES if path.name == f"{source.name}.full.json" and path.parent.name == "v1.0"]
    used = json.loads(path.read_bytes())
    assert {field.name for field in msgspec.structs.fields(source.event)} == set(used)
    if "decision" in used:
        assert {field.name for field in msgspec.structs.fields(DecisionContext)} == set(used["decision"])


def test_an_unknown_enumeration_value_is_valid_and_reads_as_other() -> None:
    event = VALID_DECISION | {"action": "blur"}
    assert validator(BY_NAME["decision"]).is_valid(event)
    decoded = decode_event(BY_NAME["decision"], json.dumps(event).encode())
    assert isinstance(decoded, Decision)
    assert decoded.action is Action.OTHER


@pytest.mark.parametrize(
    ("change", "field"),
    [
        *[({name: REMOVED}, name) for name in VALID_DECISION],
        *[({name: None}, name) for name in VALID_DECISION],
        ({"score": -0.01}, "score"),
        ({"score": 1.01}, "score"),
        ({"score": True}, "score"),
        ({"score": "0.5"}, "score"),
        ({"occurred_at": "2026-03-14T09:26:53"}, "occurred_at"),
        ({"occurred_at": "2026-03-14"}, "occurred_at"),
        ({"occurred_at": 1773480413}, "occurred_at"),
        ({"decision_id": ""}, "decision_id"),
        ({"decision_id": "x" * 201}, "decision_id"),
        ({"model": ""}, "model"),
        ({"policy": "p" * 65}, "policy"),
        ({"action": 3}, "action"),
        ({"type": "review"}, "type"),
        ({"type": 1}, "type"),
        ({"schema_version": "2.0"}, "schema_version"),
        ({"schema_version": "0.9"}, "schema_version"),
        ({"schema_version": "1"}, "schema_version"),
        ({"schema_version": None}, "schema_version"),
        ({"inclusion_probability": 0}, "inclusion_probability"),
        ({"inclusion_probability": 1.5}, "inclusion_probability"),
        ({"latency_seconds": -1}, "latency_seconds"),
        ({"views": -1}, "views"),
        ({"views": 1.5}, "views"),
        ({"sampled": "yes"}, "sampled"),
        ({"features": {"a": [1]}}, "features"),
        ({"features": {"a": True}}, "features"),
        ({"embedding_sketch": [None]}, "embedding_sketch"),
    ],
    ids=str,
)
def test_schema_and_decoder_refuse_the_same_mistake_in_the_same_field(change: dict[str, Any], field: str) -> None:
    event = {name: value for name, value in (VALID_DECISION | change).items() if value is not REMOVED}
    errors = list(validator(BY_NAME["decision"]).iter_errors(event))
    assert errors
    assert field in str(errors[0].absolute_path) + errors[0].message
    refused = decode_event(BY_NAME["decision"], json.dumps(event).encode())
    assert isinstance(refused, Rejected)
    assert field in refused.field + refused.message


def test_a_newer_major_version_is_an_unsupported_schema() -> None:
    refused = decode_event(BY_NAME["decision"], json.dumps(VALID_DECISION | {"schema_version": "2.0"}).encode())
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.UNSUPPORTED_SCHEMA


@pytest.mark.parametrize("name", ["__name__", "a b", "é", "-x", "a\u0000b", "a\u202eb", '"'])
def test_the_schema_refuses_names_that_may_not_become_labels(name: str) -> None:
    assert not validator(BY_NAME["decision"]).is_valid(VALID_DECISION | {"model": name})


def test_the_context_inside_feedback_is_checked_like_a_decision() -> None:
    review = json.loads((FIXTURES[0].parent / "review.full.json").read_bytes())
    review["decision"]["score"] = 7
    assert not validator(BY_NAME["review"]).is_valid(review)
    assert isinstance(decode_event(BY_NAME["review"], json.dumps(review).encode()), Rejected)


def test_both_documents_come_out_the_same_every_time() -> None:
    assert json.dumps(contract()) == json.dumps(contract())
    assert set(contract()["schemas"]) == {"decision", "review", "appeal", "report", "launch"}


def test_schemas_stand_alone() -> None:
    for source in SOURCES:
        schema = json_schema(source)
        references = _walk(schema, "$ref")
        assert all(one.removeprefix("#/$defs/") in schema["$defs"] for one in references)
        assert set(schema["$defs"]) == {one.removeprefix("#/$defs/") for one in references}


def test_asyncapi_has_the_fields_that_version_3_requires() -> None:
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    allowed = {"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"}
    assert set(document) <= allowed
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert set(operation["channel"]) == {"$ref"}
    for channel in document["channels"].values():
        assert channel["bindings"]["kafka"]["topic"] == channel["address"]


def test_every_reference_in_asyncapi_leads_somewhere() -> None:
    document = asyncapi()
    for reference in _walk(document, "$ref"):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert isinstance(node, dict)


def test_asyncapi_describes_every_topic_and_its_dead_letters() -> None:
    addresses = {channel["address"] for channel in asyncapi()["channels"].values()}
    wire = {f"moderation.{name}" for name in ("decisions", "reviews", "appeals", "reports", "launches")}
    assert wire | {f"{name}.dlq" for name in wire} == addresses


def test_operations_name_only_messages_of_their_own_channel() -> None:
    document = asyncapi()
    for operation in document["operations"].values():
        prefix = operation["channel"]["$ref"] + "/messages/"
        assert all(message["$ref"].startswith(prefix) for message in operation["messages"])


def test_dead_letters_are_described_with_their_headers() -> None:
    headers = asyncapi()["components"]["messages"]["decisionDeadLetter"]["headers"]
    assert set(DEAD_LETTER_HEADERS) == set(headers["properties"]) == set(headers["required"])
    for name in ("exception", "stacktrace", "message", "topic", "partition", "offset"):
        assert f"monitor.error.{name}" in headers["properties"]


def test_messages_carry_the_kafka_key_binding() -> None:
    messages = asyncapi()["components"]["messages"]
    assert {message["bindings"]["kafka"]["bindingVersion"] for message in messages.values()} == {"0.4.0"}
    assert "decision_id" in messages["decision"]["bindings"]["kafka"]["key"]["description"]


def test_the_types_and_the_schemas_have_the_same_fields() -> None:
    for event in (Decision, Review, Appeal, Report, Launch):
        schema = asyncapi()["components"]["schemas"][event.__name__]
        assert {field.name for field in msgspec.structs.fields(event)} == set(schema["properties"])
        assert schema["additionalProperties"] is True


def _walk(node: Any, key: str) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _walk(item, key)]
    if isinstance(node, dict):
        own = [node[key]] if isinstance(node.get(key), str) else []
        return own + [found for item in node.values() for found in _walk(item, key)]
    return []
