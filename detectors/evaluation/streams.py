"""Streams with known changes, laid end to end: where each change can still be found, and where an alarm is false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from detectors.arrays import Ints
from detectors.evaluation.episodes import episodes, positions


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """Streams one after the other, in one numbering.

    `start` and `end` of shape (streams,); `change` of shape (changes,), and for each the end of its `window`, which an
    alarm that tells of it must precede, and `until`, where following it ends: the next change or the end of its
    stream. `before` is the change before it, or the start of its stream.
    """

    start: Ints
    end: Ints
    change: Ints
    before: Ints
    until: Ints
    window: Ints

    @classmethod
    def of(cls, changes: Sequence[npt.ArrayLike], *, lengths: Sequence[int], tolerance: int) -> Self:
        """From the positions of the changes in each stream; `tolerance` as `evaluate` has it.

        >>> streams = Streams.of([[10, 15], []], lengths=[30, 20], tolerance=8)
        >>> streams.change.tolist(), streams.window.tolist(), streams.until.tolist(), streams.quiet
        ([10, 15], [15, 24], [15, 30], 36)
        """
        if not isinstance(tolerance, int | np.integer) or tolerance < 0:
            raise ValueError(f"tolerance: got {tolerance!r}, allowed are whole numbers >= 0")
        if len(changes) != len(lengths):
            raise ValueError(f"changes: got {len(changes)} streams, allowed are as many as lengths, {len(lengths)}")
        for number, length in enumerate(lengths):
            if length < 1:
                raise ValueError(f"lengths: found {length!r} at position {number}, allowed are whole numbers >= 1")
        end = np.cumsum(np.asarray(lengths, dtype=np.int64))
        start = end - np.asarray(lengths, dtype=np.int64)
        change, before, until = [], [], []
        for number, values in enumerate(changes):
            found = start[number] + positions(f"changes[{number}]", values, length=lengths[number])
            change.append(found)
            before.append(np.append(start[number], found)[: len(found)])
            until.append(np.append(found, end[number])[1:] if len(found) else found)
        joined, limit = _join(change), _join(until)
        return cls(
            start=start,
            end=end,
            change=joined,
            before=_join(before),
            until=limit,
            window=np.minimum(joined + tolerance + 1, limit),
        )

    @property
    def length(self) -> int:
        """Observations of all streams."""
        return int((self.end - self.start).sum())

    @property
    def quiet(self) -> int:
        """Observations outside all windows: where an alarm is false."""
        return self.length - int((self.window - self.change).sum())

    def begins(self, alarms: Sequence[npt.ArrayLike], *, merge_within: int) -> Ints:
        """Where episodes begin; none reaches from one stream into the next."""
        if len(alarms) != len(self.start):
            raise ValueError(f"alarms: got {len(alarms)} streams, allowed are as many as lengths, {len(self.start)}")
        found = []
        for number, values in enumerate(alarms):
            begin, end = int(self.start[number]), int(self.end[number])
            place = positions(f"alarms[{number}]", values, length=end - begin)
            found.append(begin + episodes(place, merge_within=merge_within).first)
        return _join(found)


def _join(parts: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
