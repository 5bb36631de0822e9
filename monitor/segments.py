"""Series of one model: which row of the ledger each series of a block counts in.

A decision counts once in `all` and once in each configured kind of segment, such as `language`, or `language` x
`region`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.cells import ALL, OTHER, Limits, SeriesName
from monitor.snapshot import SeriesKey

DEFAULT_KINDS: Final = (("language",), ("region",), ("modality",))
"""Kinds of segments, each by its dimensions."""

KNOWN_SERIES: Final = 100_000
"""Series whose rows are remembered, some 20 MB; rows never change, so forgetting costs time only."""


class SeriesTable:
    """Numbers the series of one model in order of first appearance, within the limits.

    What exceeds a limit counts under `other`: a version, a policy or a segment each by its own name; when the series
    themselves run out, the whole under one series (other, other, other, all) and each kind of segment under one more.
    """

    def __init__(self, model: str, *, kinds: Sequence[tuple[str, ...]], limits: Limits) -> None:
        self._model = model
        self._overflows = {kind: _overflow(kind) for kind in kinds}
        self._limits = limits
        self._rows: dict[SeriesKey, int] = {}
        self._versions: set[str] = set()
        self._policies: set[str] = set()
        self._segments: set[str] = set()
        self._known: dict[SeriesName, int] = {}
        self.series: list[SeriesKey] = []
        self._told: tuple[SeriesKey, ...] = ()

    def told(self) -> tuple[SeriesKey, ...]:
        """The series so far: one and the same object until there are more."""
        if len(self._told) != len(self.series):
            self._told = tuple(self.series)
        return self._told

    @property
    def full(self) -> bool:
        """Whether a segment that was not seen before gets no series of its own: the cap on either is met."""
        return len(self.series) >= self._limits.series or len(self._segments) >= self._limits.segments

    def rows(self, names: Sequence[SeriesName]) -> npt.NDArray[np.int64]:
        """The row that each series counts in, -1 where it has none; shape (names,).

        In order of name, as in a block: `all` comes before the segments, which are counted only where it has a row.
        """
        known = self._known
        if len(known) > KNOWN_SERIES:
            known.clear()
        for name in names:
            if name not in known:
                known[name] = self._row_of(name)
        return np.array([known[name] for name in names], dtype=np.int64)

    def restore(self, series: Sequence[SeriesKey]) -> None:
        """Take over series in their order."""
        for key in series:
            self._remember(key)

    def _row_of(self, name: SeriesName) -> int:
        version = _capped(self._versions, name[0], self._limits.versions)
        policy = _capped(self._policies, name[2], self._limits.policies)
        whole = self._row(version, name[1], policy, ALL)
        segment = name[3]
        if segment == ALL:
            if whole is None:
                return self._admit(SeriesKey(self._model, OTHER, OTHER, OTHER, ALL))
            return whole
        overflow = self._overflows.get(tuple(part.partition("=")[0] for part in segment.split(",")))
        if whole is None or overflow is None:  # no room, or a kind of segment that is no longer configured
            return -1
        if segment not in self._segments and len(self._segments) >= self._limits.segments:
            segment = overflow
        row = self._row(version, name[1], policy, segment)
        return self._admit(SeriesKey(self._model, OTHER, OTHER, OTHER, overflow)) if row is None else row

    def _row(self, version: str, variant: str, policy: str, segment: str) -> int | None:
        key = SeriesKey(self._model, version, variant, policy, segment)
        row = self._rows.get(key)
        if row is None and len(self.series) < self._limits.series:
            return self._admit(key)
        return row

    def _admit(self, key: SeriesKey) -> int:
        row = self._rows.get(key)
        if row is None:
            row = len(self.series)
            self._remember(key)
        return row

    def _remember(self, key: SeriesKey) -> None:
        self._rows[key] = len(self.series)
        self.series.append(key)
        for seen, name in ((self._versions, key.model_version), (self._policies, key.policy)):
            if name != OTHER:
                seen.add(name)
        if key.segment != ALL and key.segment not in self._overflows.values():
            self._segments.add(key.segment)


def _overflow(kind: Sequence[str]) -> str:
    return ",".join(f"{name}={OTHER}" for name in kind)


def _capped(seen: Collection[str], name: str, limit: int) -> str:
    """The name, or `other`. It is not remembered here but with its series: a name that got none takes no place."""
    return name if name in seen or len(seen) < limit else OTHER
