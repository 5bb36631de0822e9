"""The published event contract, generated from the types that decode: JSON Schema 2020-12 and AsyncAPI 3.

Enumerations are open: their values stand under `examples` and `x-values`, not `enum`, because the decoder reads a value
it does not know as `other`. A schema that refused it would promise less than the service does.
"""

from __future__ import annotations

from enum import EnumType
from typing import Any, Final

import msgspec

from monitor import events
from monitor.events import NAME_PATTERN, SCHEMA_VERSION, SUPPORTED_MAJOR, DecisionContext, OpenEnum
from monitor.topics import LAUNCHES, SOURCES, SourceTopic

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI_VERSION: Final = "3.0.0"
KAFKA_BINDING: Final = "0.4.0"

VERSION_PATTERN: Final = rf"^0{{0,3}}{SUPPORTED_MAJOR}\.[0-9]{{1,4}}$"
OFFSET_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})$"
"""An RFC 3339 time; `date-time` alone is an annotation in 2020-12 and refuses nothing."""

DEAD_LETTER_HEADERS: Final = {
    "monitor.error.exception": "Reason for the refusal: malformed, invalid, unsupported_schema, wrong_type, oversize.",
    "monitor.error.stacktrace": "Path of the field that was refused; empty for the record as a whole.",
    "monitor.error.message": "What was expected and what was found.",
    "monitor.error.topic": "Source topic of the record.",
    "monitor.error.partition": "Source partition of the record, decimal.",
    "monitor.error.offset": "Source offset of the record, decimal.",
    "monitor.error.stage": "Step that refused the record.",
    "monitor.error.app_version": "Version of the service that refused it.",
}
"""Header -> meaning. Added to a dead letter's own headers; values are UTF-8 text."""


def json_schema(source: SourceTopic) -> Schema:
    """The JSON Schema 2020-12 document of one event type. Stands alone; validators need nothing else."""
    components = _components("#/$defs/{name}")
    schema = components.pop(source.event.__name__)
    needed = _referenced(schema, components)
    return {
        "$schema": DIALECT,
        "$id": f"urn:moderation-monitor:event:{source.name}:{SCHEMA_VERSION}",
        **schema,
        "$defs": {name: components[name] for name in sorted(needed)},
    }


def asyncapi(*, title: str = "Moderation monitor", version: str = SCHEMA_VERSION) -> Schema:
    """The AsyncAPI 3.0 document: source topics, dead-letter topics, messages, keys and schemas."""
    channels: Schema = {}
    operations: Schema = {}
    messages: Schema = {}
    for source in SOURCES:
        dead = f"{source.name}DeadLetter"
        messages[source.name] = _message(source)
        messages[dead] = _dead_letter(source)
        channels[source.name] = _channel(source.topic, source.name, source.description)
        channels[dead] = _channel(
            source.dead_letters, dead, f"Records of {source.topic} that could not be accepted, bytes unchanged."
        )
        operations[f"receive_{source.name}"] = _operation("receive", source.name, f"Reads {source.topic}.")
        operations[f"send_{dead}"] = _operation("send", dead, f"Writes {source.dead_letters}.")
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": title,
            "version": version,
            "description": (
                "Decisions of content-moderation models and the feedback on them. Unknown fields are ignored, an "
                "unknown enumeration value reads as `other`, a newer major version is a dead letter."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _components("#/components/schemas/{name}")},
    }


def contract() -> Schema:
    """Both documents in one: `asyncapi`, and `schemas` by event type."""
    return {"asyncapi": asyncapi(), "schemas": {source.name: json_schema(source) for source in SOURCES}}


def _components(reference: str) -> dict[str, Schema]:
    """Schemas of all types of the contract by name, in a fixed order; `reference` is the form of a `$ref`."""
    types = [source.event for source in SOURCES]
    _, raw = msgspec.json.schema_components([*types, DecisionContext], ref_template=reference)
    schemas = {name: _refine(schema, name) for name, schema in sorted(raw.items())}
    for source in SOURCES:
        schemas[source.event.__name__]["properties"]["type"] = {
            "description": f"May be left out: the topic {source.topic} says it.",
            "anyOf": [{"type": "string", "const": source.name}, {"type": "null"}],
            "default": None,
        }
    return schemas


def _refine(schema: Schema, name: str) -> Schema:
    """Add what the types do not say: open enumerations, name pattern, offset of times, additional fields."""
    enumeration = getattr(events, name, None)
    if isinstance(enumeration, EnumType) and issubclass(enumeration, OpenEnum):
        values = [member.value for member in enumeration]
        return {
            "title": name,
            "description": f"{enumeration.__doc__} Open: a value that is not listed reads as `other` and is counted.",
            "type": "string",
            "examples": values,
            "x-values": values,
        }
    refined: Schema = _deepen(schema)
    refined["additionalProperties"] = True
    if "schema_version" in refined["properties"]:
        refined["properties"]["schema_version"] = {
            "description": f"`major.minor`; any minor version of {SUPPORTED_MAJOR} is read.",
            "type": "string",
            "pattern": VERSION_PATTERN,
            "default": SCHEMA_VERSION,
        }
    return refined


def _deepen(node: Any) -> Any:
    if isinstance(node, list):
        return [_deepen(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _deepen(value) for key, value in node.items()}
    if result.get("format") == "date-time":
        result["pattern"] = OFFSET_PATTERN
    if NAME_PATTERN in str(result.get("description", "")) and result.get("type") == "string":
        result["pattern"] = NAME_PATTERN
    return result


def _referenced(schema: Any, components: dict[str, Schema]) -> set[str]:
    found: set[str] = set()
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                todo.append(components[name])
            todo += node.values()
    return found


def _message(source: SourceTopic) -> Schema:
    key = "Recommended: the model." if source is LAUNCHES else "Recommended: the `decision_id`. Any key is accepted."
    return {
        "name": source.name,
        "title": source.event.__name__,
        "summary": source.description,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{source.event.__name__}"},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": key}, "bindingVersion": KAFKA_BINDING},
        },
    }


def _dead_letter(source: SourceTopic) -> Schema:
    return {
        "name": f"{source.name}DeadLetter",
        "title": f"{source.event.__name__} that was refused",
        "summary": "The refused record as it was, with further headers that say why and where from.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": meaning} for name, meaning in DEAD_LETTER_HEADERS.items()
            },
            "required": list(DEAD_LETTER_HEADERS),
            "additionalProperties": True,
        },
        "payload": {"description": "Any bytes."},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "Key of the refused record."},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _channel(topic: str, message: str, description: str) -> Schema:
    return {
        "address": topic,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": KAFKA_BINDING}},
    }


def _operation(action: str, channel: str, summary: str) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{channel}"}],
    }
