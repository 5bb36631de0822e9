"""Batches prepared once and published again and again, moved in time: load without the cost of drawing it.

A move rewrites the minutes inside the bytes (times, and the minute in every id), so moved decisions are new decisions
and feedback still points at them. Nothing is decoded; only what `encode` wrote can be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.simulate.encode import ID_MINUTE, ID_WIDTH, minute_text
from monitor.simulate.records import MinuteBatch, Records
from monitor.simulate.rows import MS_PER_MINUTE, Ints

_TIME_FIELDS = (b'"occurred_at":"', b'"reviewed_at":"', b'"at":"')
_ID_FIELDS = (b'"decision_id":"', b'_id":"ra-', b'_id":"rq-', b'_id":"ap-', b'_id":"rp-')
_MINUTE_WIDTH = len("2026-01-31T23:59")


@dataclass(frozen=True, slots=True)
class _Marks:
    """Places in a buffer that hold a minute since the epoch, and which one."""

    places: Ints
    """First byte of each place, shape (places,)."""
    codes: Ints
    """Index into `minutes`, shape (places,)."""
    minutes: list[int]

    @classmethod
    def of(cls, places: Ints, minutes: Ints) -> _Marks:
        distinct, codes = np.unique(minutes, return_inverse=True)
        return cls(places, codes, distinct.tolist())

    def write(self, buffer: npt.NDArray[np.uint8], text: Callable[[int], bytes], *, shift: int) -> None:
        """Overwrite every place with the text of its minute plus `shift`."""
        if self.minutes:
            table = np.array([list(text(minute + shift)) for minute in self.minutes], dtype=np.uint8)
            buffer[self.places[:, None] + np.arange(table.shape[1])] = table[self.codes]


@dataclass(frozen=True, slots=True)
class _Topic:
    timestamps: Ints
    buffer: npt.NDArray[np.uint8]
    """All values, one after the other."""
    bounds: list[int]
    """Where each value begins, and the end of the last."""
    times: _Marks
    ids: _Marks
    key_at: list[int]
    """Where the key begins in the buffer; -1: the key is `fixed_keys` as it is."""
    fixed_keys: list[bytes]


class Prepared:
    """Batches that can be moved in time by whole minutes."""

    def __init__(self, batches: Iterable[MinuteBatch]) -> None:
        self._batches = [
            (batch, {topic: _index(records) for topic, records in batch.records.items()}) for batch in batches
        ]

    def __len__(self) -> int:
        """Number of records."""
        return sum(len(batch) for batch, _ in self._batches)

    @property
    def minutes(self) -> int:
        """Length in minutes: a move by this much continues the log without a gap and without an id twice."""
        if not self._batches:
            return 0
        return (self._batches[-1][0].start_ms - self._batches[0][0].start_ms) // MS_PER_MINUTE + 1

    def moved(self, *, minutes: int) -> Iterator[MinuteBatch]:
        """The batches, `minutes` later."""
        for batch, topics in self._batches:
            yield MinuteBatch(
                start_ms=batch.start_ms + minutes * MS_PER_MINUTE,
                records={topic: _move(records, minutes) for topic, records in topics.items()},
                truth=tuple(
                    msgspec.structs.replace(row, minute=row.minute + timedelta(minutes=minutes)) for row in batch.truth
                ),
            )


def _index(records: Records) -> _Topic:
    lengths = np.array([len(value) for value in records.values], dtype=np.int64)
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    joined = b"".join(records.values)
    times = _find(joined, _TIME_FIELDS)
    ids = _find(joined, _ID_FIELDS) + ID_MINUTE.start
    text = np.frombuffer(joined, dtype=np.uint8)
    moments = text[times[:, None] + np.arange(_MINUTE_WIDTH)].tobytes()
    hexadecimal = text[ids[:, None] + np.arange(ID_MINUTE.stop - ID_MINUTE.start)].tobytes()
    minutes = np.frombuffer(moments, dtype=f"S{_MINUTE_WIDTH}").astype("U").astype("datetime64[m]").astype(np.int64)
    numbers = [int(one, 16) for one in np.frombuffer(hexadecimal, dtype="S8").tolist()]
    keys = [
        start + value.find(key) if len(key) == ID_WIDTH and key in value else -1
        for start, key, value in zip(bounds.tolist(), records.keys, records.values, strict=False)
    ]
    return _Topic(
        timestamps=records.timestamps,
        buffer=text,
        bounds=bounds.tolist(),
        times=_Marks.of(times, minutes),
        ids=_Marks.of(ids, np.array(numbers, dtype=np.int64)),
        key_at=keys,
        fixed_keys=records.keys,
    )


def _find(text: bytes, fields: tuple[bytes, ...]) -> Ints:
    """Positions right behind every occurrence of the fields."""
    found: list[int] = []
    for field in fields:
        place = text.find(field)
        while place >= 0:
            found.append(place + len(field))
            place = text.find(field, place + len(field))
    return np.array(found, dtype=np.int64)


def _move(topic: _Topic, minutes: int) -> Records:
    buffer = topic.buffer.copy()
    topic.times.write(buffer, minute_text, shift=minutes)
    topic.ids.write(buffer, lambda minute: b"%08x" % minute, shift=minutes)
    data = buffer.tobytes()
    bounds = topic.bounds
    return Records(
        timestamps=topic.timestamps + minutes * MS_PER_MINUTE,
        keys=[
            data[place : place + ID_WIDTH] if place >= 0 else key
            for place, key in zip(topic.key_at, topic.fixed_keys, strict=True)
        ],
        values=[data[begin:end] for begin, end in pairwise(bounds)],
    )
