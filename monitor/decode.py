"""Bytes of a record to an event, or to the reason why not. Total: any bytes give one or the other, never an exception.

Names that become labels (model, policy, language, ...) are checked for their pattern where they are first seen
(`monitor.cells`), not here: a regular expression a field and record would cost more than the decoding. For the same
reason `decode_decisions` does not look at fields of decisions that nothing is counted of; `decode_event` looks at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec

from monitor.events import (
    NAME_PATTERN,
    SCHEMA_VERSION,
    SUPPORTED_MAJOR,
    CountedDecision,
    Event,
    FeaturedDecision,
    IdentifiedContext,
)
from monitor.topics import DECISIONS, SOURCES, SourceTopic

MAX_EVENT_BYTES: Final = 1_000_000
"""Events are a few hundred bytes; a larger one is a producer's mistake and would stall its partition."""

_MAJOR_MINOR: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
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
_COUNTED: Final = msgspec.json.Decoder(CountedDecision).decode
_FEATURED: Final = msgspec.json.Decoder(FeaturedDecision).decode
_IDENTIFIED: Final = msgspec.json.Decoder(IdentifiedContext).decode
_COUNTED_CONTEXT: Final = [
    name for name in IdentifiedContext.__struct_fields__ if name in CountedDecision.__struct_fields__
]
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_VERSION: Final = attrgetter("schema_version")
_TYPE: Final = attrgetter("type")
_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_event(source: SourceTopic, value: bytes) -> Event | Rejected:
    """Decode one record of a source topic.

    Errors: none; whatever is wrong with `value` is told by the `Rejected` that is returned.
    """
    if len(value) > MAX_EVENT_BYTES:
        return _oversize(value)
    try:
        event = _DECODERS[source.topic](value)
    except _ERRORS as error:
        return _refusal(value, error)
    return _claim_problem(source, event.schema_version, event.type) or event


@dataclass(frozen=True, slots=True)
class Decoded:
    """Records of a source topic: those that are events, and by index those that are not (None: a tombstone)."""

    events: list[Any]
    places: Sequence[int]
    """index of each event among the records"""
    refused: dict[int, Rejected | None]


def decode_many(source: SourceTopic, values: Sequence[bytes | None]) -> Decoded:
    """Decode records as `decode_event` does, all that are events in one call."""
    return _decode(source, values, _DECODERS[source.topic])


def decode_decisions(values: Sequence[bytes | None], *, features: bool) -> Decoded:
    """Decode decisions as far as counting needs them: CountedDecisions, with `features` FeaturedDecisions."""
    return _decode(DECISIONS, values, _FEATURED if features else _COUNTED)


def decode_identified(value: bytes) -> IdentifiedContext:
    """What feedback needs of an accepted decision; None for policy version and design unless both are well-formed."""
    try:
        return _IDENTIFIED(value)
    except _ERRORS:
        event = _COUNTED(value)
        return IdentifiedContext(**{name: getattr(event, name) for name in _COUNTED_CONTEXT})


def _decode(source: SourceTopic, values: Sequence[bytes | None], decode: Callable[[Any], Any]) -> Decoded:
    events: list[Any] = []
    refused: dict[int, Rejected | None] = {}
    records = iter(values)
    while True:
        try:
            events.extend(map(decode, records))
            break
        except (*_ERRORS, TypeError) as error:  # the events before this one have been taken
            index = len(events) + len(refused)
            refused[index] = _why(values[index], error)
    places: Sequence[int] = range(len(values))
    if refused:
        places = [index for index in places if index not in refused]
    wrong = _wrong_claims(source, events) | _oversizes([values[index] for index in places] if refused else values)
    if wrong:
        refused |= {places[at]: why for at, why in wrong.items()}
        places = [index for at, index in enumerate(places) if at not in wrong]
        events = [event for at, event in enumerate(events) if at not in wrong]
    return Decoded(events, places, refused)


def _why(value: bytes | None, error: Exception) -> Rejected | None:
    """Why a record on which decoding raised `error` is no event; None for a tombstone."""
    if value is None:
        return None
    if isinstance(error, TypeError):
        raise error
    return _oversize(value) if len(value) > MAX_EVENT_BYTES else _refusal(value, error)


def _wrong_claims(source: SourceTopic, events: Sequence[Any]) -> dict[int, Rejected]:
    """Events of another version or type, by index."""
    if set(map(_VERSION, events)) <= {SCHEMA_VERSION} and set(map(_TYPE, events)) <= {None, source.name}:
        return {}
    problems = ((at, _claim_problem(source, event.schema_version, event.type)) for at, event in enumerate(events))
    return {at: problem for at, problem in problems if problem is not None}


def _oversizes(values: Sequence[Any]) -> dict[int, Rejected]:
    """Values that are too large, by index."""
    if max(map(len, values), default=0) <= MAX_EVENT_BYTES:
        return {}
    return {at: _oversize(value) for at, value in enumerate(values) if len(value) > MAX_EVENT_BYTES}


@lru_cache(4096)
def name_is_allowed(name: str) -> bool:
    """Whether a name may become a label of metrics."""
    return _NAME.fullmatch(name) is not None


def invalid_name(field: str, name: str) -> Rejected:
    """The refusal of a name that may not become a label."""
    shown = name[:80].encode("unicode_escape", "backslashreplace").decode()
    return Rejected(Reason.INVALID, field, f"expected a name that matches {NAME_PATTERN}, got `{shown}`")


def _oversize(value: bytes) -> Rejected:
    return Rejected(
        Reason.OVERSIZE, "", f"expected at most {MAX_EVENT_BYTES} bytes of one JSON object, got {len(value)} bytes"
    )


def _claim_problem(source: SourceTopic, version: str, kind: str | None) -> Rejected | None:
    """What is wrong with the version and type that an event claims to have."""
    if version != SCHEMA_VERSION:
        problem = _version_problem(version)
        if problem is not None:
            return problem
    if kind is not None and kind != source.name:
        return Rejected(
            Reason.WRONG_TYPE, "type", f"expected `{source.name}` (or nothing) on {source.topic}, got `{kind}`"
        )
    return None


def _version_problem(version: str) -> Rejected | None:
    match = _MAJOR_MINOR.fullmatch(version)
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
