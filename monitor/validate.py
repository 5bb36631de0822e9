"""Checking a file of events before it is published: every line, every field, and what would be allowed.

`monitor.decode` alone decides what is an error, plus the pattern of names, which the service checks later. Notes tell
what is accepted but is likely a slip: a field that would be ignored, a value that would read as `other`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import EnumType, StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from monitor.decode import Reason, Rejected, decode_event, name_is_allowed
from monitor.events import NAME_PATTERN, DecisionContext, Event, Name, OpenEnum
from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS, SOURCES, SourceTopic

MAX_SHOWN: Final = 60
"""Characters of a wrong value that a message repeats."""

_READ: Final = msgspec.json.Decoder(float_hook=float)
"""Without the hook a number beyond a double is an error also in a field that is ignored."""

_PLAIN: Final[dict[Any, str]] = {
    bool: "true or false",
    str: "a string",
    datetime: "an RFC 3339 time with an offset, such as 2026-01-31T23:59:59Z",
    dict: "an object of numbers, strings and nulls",
    list: "a list of numbers",
}

_TELLING: Final = (
    ("review_id", REVIEWS),
    ("appeal_id", APPEALS),
    ("report_id", REPORTS),
    ("reviewed_at", REVIEWS),
    ("verdict", REVIEWS),
    ("traffic_share", LAUNCHES),
    ("occurred_at", DECISIONS),
    ("score", DECISIONS),
    ("action", DECISIONS),
    ("stage", LAUNCHES),
)
"""Fields that give an event's type away, the surest first."""


class Level(StrEnum):
    """An error would be a dead letter; a note would be accepted, maybe not as meant."""

    ERROR = "error"
    NOTE = "note"


_Finding = tuple[str, str, Level]
"""Path, message, level."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about one line. `path` leads to the field, empty for the line as a whole."""

    line: int
    """Counted from 1."""
    event: str | None
    """Type the line was read as (`decision`, ...); None: no type could be told."""
    path: str
    message: str
    """What is allowed, and what was found."""
    level: Level = Level.ERROR

    def __str__(self) -> str:
        place = ".".join(part for part in (self.event, self.path) if part)
        note = "note: " if self.level is Level.NOTE else ""
        return (
            f"line {self.line}: {note}{place}: {self.message}" if place else f"line {self.line}: {note}{self.message}"
        )


def validate(lines: Iterable[bytes], *, source: SourceTopic | None = None) -> Iterator[Problem]:
    """Check events, one JSON object a line; empty lines are skipped.

    `source`: the topic that the lines are meant for; None: each line's `type` says it, or else the fields it has.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield from _check_line(number, line, source)


def guess(event: dict[str, Any]) -> SourceTopic | None:
    """The source topic that an event without `type` was meant for, judged by the fields it has; None: no idea."""
    for field, source in _TELLING:
        if field in event:
            return source
    return None


def _check_line(number: int, line: bytes, source: SourceTopic | None) -> Iterator[Problem]:
    try:
        raw = _READ.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        yield Problem(number, None, "", f"expected one JSON object in UTF-8: {error}")
        return
    if not isinstance(raw, dict):
        yield Problem(number, None, "", f"expected one JSON object, got {_show(raw)}")
        return
    if source is None:
        found = _source(raw)
        if isinstance(found, str):
            yield Problem(number, None, "type", found)
            return
        source = found
    stated = raw.get("type")
    if stated not in (None, source.name):
        yield Problem(number, source.name, "type", f"expected `{source.name}` or no type at all, got {_show(stated)}")
        return
    verdict = decode_event(source, line)
    if isinstance(verdict, Rejected) and verdict.reason is Reason.UNSUPPORTED_SCHEMA:
        yield Problem(number, source.name, verdict.field, verdict.message)
        return
    problems = [
        Problem(number, source.name, path, message, level) for path, message, level in _check(raw, source.event, "")
    ]
    if isinstance(verdict, Rejected) and all(problem.level is Level.NOTE for problem in problems):
        problems.append(Problem(number, source.name, verdict.field, verdict.message))
    yield from problems


def _source(raw: dict[str, Any]) -> SourceTopic | str:
    """The topic of an event, or why none can be told."""
    names = ", ".join(source.name for source in SOURCES)
    stated = raw.get("type")
    if stated is not None:
        for source in SOURCES:
            if source.name == stated:
                return source
        return f"expected one of {names}, got {_show(stated)}"
    return guess(raw) or f"expected `type` (one of {names}), or a field that tells it, such as decision_id with score"


def _check(raw: dict[str, Any], kind: type[Event | DecisionContext], prefix: str) -> Iterator[_Finding]:
    """Every field of `raw` on its own, so that one mistake does not hide the next."""
    hints = _hints(kind)
    for field in msgspec.structs.fields(kind):
        path, (hint, optional) = prefix + field.name, _unwrap(hints[field.name])
        value = raw.get(field.name)
        if field.name not in raw:
            if field.required:
                yield path, f"missing, expected {_allowed(hint)}", Level.ERROR
        elif hint is DecisionContext and isinstance(value, dict):
            yield from _check(value, DecisionContext, f"{path}.")
        elif not (value is None and optional):
            yield from _check_value(value, hint, path, optional=optional)
    for name in raw:
        if name not in hints:
            close = difflib.get_close_matches(name, hints, n=1)
            question = f", did you mean `{close[0]}`?" if close else ""
            yield prefix + name, f"unknown field, would be ignored{question}", Level.NOTE


def _check_value(value: Any, hint: Any, path: str, *, optional: bool) -> Iterator[_Finding]:
    try:
        msgspec.convert(value, hint)
        fits = hint != Name or name_is_allowed(value)
    except msgspec.ValidationError:
        fits = False
    if not fits:
        yield path, f"expected {_allowed(hint)}{' or null' if optional else ''}, got {_show(value)}", Level.ERROR
    elif _open(hint) and value not in {member.value for member in hint}:
        yield path, f"{_show(value)} reads as `other`, known are {_members(hint)}", Level.NOTE


@cache
def _hints(kind: type[Event | DecisionContext]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _unwrap(hint: Any) -> tuple[Any, bool]:
    """The type without None, and whether None is allowed."""
    if get_origin(hint) is UnionType or (get_origin(hint) is not Annotated and NoneType in get_args(hint)):
        kept = [one for one in get_args(hint) if one is not NoneType]
        return kept[0], len(kept) < len(get_args(hint))
    return hint, False


def _open(hint: Any) -> bool:
    return isinstance(hint, EnumType) and issubclass(hint, OpenEnum)


def _members(enumeration: Any) -> str:
    return ", ".join(member.value for member in enumeration)


def _allowed(hint: Any) -> str:
    """What a field takes, in words, from its type and constraints."""
    if _open(hint):
        return f"a string, one of {_members(hint)}"
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    limits = next((one for one in get_args(hint)[1:] if isinstance(one, msgspec.Meta)), msgspec.Meta())
    if kind in (float, int):
        number = "a number" if kind is float else "a whole number"
        return number if limits.ge is None else f"{number} from {limits.ge:.10g} to {limits.le:.16g}"
    if kind is str and limits.max_length is not None:
        pattern = f" that matches {NAME_PATTERN}" if hint == Name else ""
        return f"a string of {limits.min_length} to {limits.max_length} characters{pattern}"
    return _PLAIN.get(kind, _PLAIN.get(get_origin(kind), "an object"))


def _show(value: Any) -> str:
    """A value as JSON, cut to a readable length."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text)} characters)"
