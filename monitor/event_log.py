"""Where events are read from outside a worker: partitions of records in order, here those of files.

A file is one partition: the offset of a record is the number of its line (from 0), its Kafka timestamp the event's own
time. That differs from the topic where a producer published late.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, Protocol

from monitor.decode import decode_decisions, decode_many
from monitor.events import CountedDecision, Event, Review
from monitor.topics import DECISIONS, SourceTopic

LINES: Final = 4096
"""Lines of a file that are read at once."""
GZIP: Final = b"\x1f\x8b"
"""How a gzip file begins."""
UNKNOWN_TIME: Final = -1
"""Timestamp of records before the first one whose time is known."""


class UnreadableLog(ValueError):  # noqa: N818 - says what the log is
    """A file or topic that cannot be read to its end; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Adjacent records of one partition, at least one; `next_offset` is where the log goes on, beyond gaps."""

    offsets: Sequence[int]
    timestamps: Sequence[int]
    """ms since the epoch"""
    values: Sequence[bytes | None]
    next_offset: int

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, begin: int, end: int) -> Batch:
        """The records from `begin` to before `end`, counted from 0."""
        last = end == len(self)
        return Batch(
            self.offsets[begin:end],
            self.timestamps[begin:end],
            self.values[begin:end],
            self.next_offset if last else self.offsets[end],
        )


class EventLog(Protocol):
    """The records of one partition; may be read again from the beginning."""

    source: SourceTopic
    partition: int
    size: int
    """How much there is, in the unit of `position`."""
    position: int
    """How much of it has been read."""

    def batches(self) -> Iterator[Batch]:
        """All records, from the first; UnreadableLog if that fails on the way."""
        ...


class FileLog:
    """A file of events of one type, one JSON object a line; gzip is decompressed. Size and position are bytes.

    Blank lines are skipped and counted; they keep their line number. A line that is no event has the time of the line
    before.
    """

    def __init__(self, source: SourceTopic, path: Path) -> None:
        self.source = source
        self.partition = 0
        self.position = 0
        self.blank_lines = 0
        self._path = path
        try:
            self.size = path.stat().st_size
        except OSError as error:
            raise UnreadableLog(f"{path}: cannot be read: {error.strerror}") from error

    def batches(self) -> Iterator[Batch]:
        """All records, from the first; UnreadableLog if the file cannot be read to its end."""
        self.position = self.blank_lines = 0
        latest = UNKNOWN_TIME
        try:
            with self._open() as raw, event_lines(raw, self._path) as lines:
                numbered = enumerate(lines)
                while chunk := list(islice(numbered, LINES)):
                    self.position = raw.tell()
                    filled = [(number, line.rstrip(b"\r\n")) for number, line in chunk if not line.isspace()]
                    self.blank_lines += len(chunk) - len(filled)
                    if filled:
                        values: list[bytes | None] = [value for _, value in filled]
                        times = _times(self.source, [value for _, value in filled], latest)
                        latest = times[-1]
                        yield Batch([number for number, _ in filled], times, values, chunk[-1][0] + 1)
        except OSError as error:
            raise UnreadableLog(f"{self._path}: cannot be read: {error.strerror or error}") from error
        except (EOFError, zlib.error) as error:
            raise UnreadableLog(f"{self._path}: expected a whole gzip file: {error}") from error

    def _open(self) -> BufferedReader:
        raw = self._path.open("rb")
        if not raw.seekable():
            raw.close()
            raise UnreadableLog(f"{self._path}: expected a regular file, which can be read twice, got a pipe")
        return raw


def event_time(event: Event | CountedDecision) -> datetime:
    """When an event happened, as it says itself: of feedback its own time, not its decision's."""
    if isinstance(event, CountedDecision):
        return event.occurred_at
    return event.reviewed_at if isinstance(event, Review) else event.at


@contextmanager
def event_lines(raw: BufferedReader[Any], path: Path) -> Iterator[Iterable[bytes]]:
    """The lines of a file that is gzip by its name or its first bytes, or plain; without a byte order mark."""
    if path.suffix.lower() != ".gz" and not raw.peek(len(GZIP)).startswith(GZIP):
        yield _without_mark(raw)
        return
    with gzip.GzipFile(fileobj=raw) as lines:
        yield _without_mark(lines)


def _without_mark(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Editors put the mark before the first line, where it would spoil an event."""
    rest = iter(lines)
    first = next(rest, b"").removeprefix(codecs.BOM_UTF8)
    return chain([first] if first else [], rest)


def _times(source: SourceTopic, values: list[bytes], latest: int) -> list[int]:
    """When the events happened, in ms; of a record that is none, and of one that is refused, what the one before says.

    A decision that a worker counts has its own time, whatever is wrong with what nothing is counted of.
    """
    found = decode_decisions(values, features=False) if source is DECISIONS else decode_many(source, values)
    told = dict(zip(found.places, found.events, strict=True))
    times: list[int] = []
    for index in range(len(values)):
        event = told.get(index)
        if event is not None:
            latest = max(0, round(event_time(event).timestamp() * 1000))
        times.append(latest)
    first = next((at for at in times if at != UNKNOWN_TIME), UNKNOWN_TIME)
    return [first if at == UNKNOWN_TIME else at for at in times]
