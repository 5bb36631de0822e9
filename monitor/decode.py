"""Bytes of a record to an event, or to the reason why not. Total: any bytes give one or the other, never an exception.

Names that become labels (model, policy, language, ...) are checked for their pattern where they are first seen in a
block (`monitor.cells`), not here: a regular expression a field and record would cost more than the decoding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from monitor.events import NAME_PATTERN, SUPPORTED_MAJOR, Event
from monitor.topics import SOURCES, SourceTopic

MAX_EVENT_BYTES: Final = 1_000_000
"""Events are a few hundred bytes; a larger one is a producer's mistake and would stall its partition."""

_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_PATH: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_NAME: Final = re.compile(NAME_PATTERN)


class Reason(StrEnum):
    """Why a record was refused. The values are labels of `monitor_dead_letters_total`."""

    MALFORMED = "malformed"
    INVALID = "invalid"
    UNSUPPORTED_SCHEMA = "unsupported_schema"
    WRONG_TYPE = "wrong_type"
    OVERSIZE = "oversize"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be accepted: `field` is its path in the event, empty for the record as a whole."""

    reason: Reason
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class _Envelope(msgspec.Struct):
    schema_version: str = ""


_DECODERS: Final[dict[str, Callable[[bytes], Event]]] = {
    source.topic: msgspec.json.Decoder(source.event).decode for source in SOURCES
}
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def decode_event(source: SourceTopic, value: bytes) -> Event | Rejected:
    """Decode one record of a source topic.

    Errors: none; whatever is wrong with `value` is told by the `Rejected` that is returned.
    """
    if len(value) > MAX_EVENT_BYTES:
        return Rejected(
            Reason.OVERSIZE, "", f"expected at most {MAX_EVENT_BYTES} bytes of one JSON object, got {len(value)} bytes"
        )
    try:
        event = _DECODERS[source.topic](value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _refusal(value, error)
    version = event.schema_version
    if version != "1.0":
        problem = _version_problem(version)
        if problem is not None:
            return problem
    if event.type is not None and event.type != source.name:
        return Rejected(
            Reason.WRONG_TYPE, "type", f"expected `{source.name}` (or nothing) on {source.topic}, got `{event.type}`"
        )
    return event


def name_is_allowed(name: str) -> bool:
    """Whether a name may become a label of metrics."""
    return _NAME.fullmatch(name) is not None


def invalid_name(field: str, name: str) -> Rejected:
    """The refusal of a name that may not become a label."""
    shown = name[:80].encode("unicode_escape", "backslashreplace").decode()
    return Rejected(Reason.INVALID, field, f"expected a name that matches {NAME_PATTERN}, got `{shown}`")


def _version_problem(version: str) -> Rejected | None:
    match = _VERSION.fullmatch(version)
    if match is None:
        return Rejected(
            Reason.INVALID, "schema_version", f"expected `major.minor` such as `1.0`, got `{version[:20]!r}`"
        )
    if int(match[1]) > SUPPORTED_MAJOR or int(match[1]) == 0:
        return Rejected(
            Reason.UNSUPPORTED_SCHEMA, "schema_version", f"expected major version {SUPPORTED_MAJOR}, got `{version}`"
        )
    return None


def _refusal(value: bytes, error: Exception) -> Rejected:
    """Tell a newer major version, whose shape may differ anywhere, from an event that is simply wrong."""
    try:
        version = _version_problem(_ENVELOPE.decode(value).schema_version or "1.0")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        version = None
    if version is not None and version.reason is Reason.UNSUPPORTED_SCHEMA:
        return version
    if isinstance(error, msgspec.ValidationError):
        match = _PATH.match(str(error))
        what, path = (match["what"], match["path"] or "") if match else (str(error), "")
        return Rejected(Reason.INVALID, path, what)
    if isinstance(error, RecursionError):
        return Rejected(Reason.MALFORMED, "", "expected one flat JSON object, got one nested too deeply")
    return Rejected(Reason.MALFORMED, "", f"expected one JSON object in UTF-8: {error}")
