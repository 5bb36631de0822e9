"""The files of a replay: readings and dead letters as JSON Lines, metrics as text.

A value that is undefined is `null`; a part that a reading does not have at all (an interval, a threshold) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Final

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from monitor.open_block import DeadLetter
from monitor.snapshot import Floats, ModelSnapshot, Snapshot

READINGS: Final = "readings.jsonl"
METRICS: Final = "metrics.prom"
DEAD_LETTERS: Final = "dead_letters.jsonl"


class ReadingLine(msgspec.Struct, frozen=True, gc=False):
    """One reading. `at` is the end of the minute up to which records were taken, `sample` what stands behind it."""

    at: str
    model: str
    model_version: str
    variant: str
    policy: str
    segment: str
    window: str
    quantity: str
    method: str | UnsetType
    input: str | UnsetType
    value: float
    lower: float | UnsetType
    upper: float | UnsetType
    sample: float
    p_value: float | UnsetType
    threshold: float | UnsetType


class DeadLetterLine(msgspec.Struct, frozen=True):
    """A refused record and why."""

    topic: str
    partition: int
    offset: int
    reason: str
    field: str
    message: str


class ReadingWriter:
    """Writes all readings of a snapshot that something stands behind."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._encoder = msgspec.json.Encoder()

    def write(self, at_ms: int, snapshot: Snapshot) -> int:
        """Write the readings of one tick; returns their number."""
        at = f"{np.datetime64(at_ms // 1000, 's')}Z"
        written = 0
        for model in snapshot.models:
            lines = list(_lines(at, model))
            self._file.write(self._encoder.encode_lines(lines))
            written += len(lines)
        return written


class DeadLetterWriter:
    """Writes refused records in the order in which they are met."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._encoder = msgspec.json.Encoder()

    def write(self, topic: str, partition: int, letters: Sequence[DeadLetter]) -> None:
        """Write the refused records of one partition."""
        self._file.write(
            self._encoder.encode_lines(
                [
                    DeadLetterLine(
                        topic, partition, letter.offset, letter.why.reason.value, letter.why.field, letter.why.message
                    )
                    for letter in letters
                ]
            )
        )


def _lines(at: str, model: ModelSnapshot) -> Iterator[ReadingLine]:
    for column in model.readings:
        rows = np.flatnonzero(column.sample > 0).tolist()
        method, name = column.method or UNSET, column.input or UNSET
        threshold = UNSET if column.threshold is None else column.threshold
        values, samples = column.value.tolist(), column.sample.tolist()
        lower, upper, p_value = (_listed(array, len(values)) for array in (column.lower, column.upper, column.p_value))
        for row in rows:
            yield ReadingLine(
                at,
                *model.series[row],
                column.window,
                column.quantity.value,
                method,
                name,
                values[row],
                lower[row],
                upper[row],
                samples[row],
                p_value[row],
                threshold,
            )


def _listed(array: Floats | None, length: int) -> Sequence[float | UnsetType]:
    return [UNSET] * length if array is None else array.tolist()
