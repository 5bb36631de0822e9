"""Series of one model: which rows of the ledger a cell key counts in.

A key counts once in `all` and once in each configured segment kind, such as `language` or `language` x `region`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.cells import DIMENSIONS, OTHER, Limits
from monitor.snapshot import SeriesKey

ALL: Final = "all"

KNOWN_KEYS: Final = 100_000
"""Keys whose rows are remembered, some 20 MB; rows never change, so forgetting costs time only."""

BlockKey = tuple[str, str, str, str, str, str, str]
"""(model_version, variant, policy, then the dimensions): a cell key without its model."""


class SeriesTable:
    """Numbers the series of one model in order of first appearance, within the limits.

    What exceeds a limit counts under `other`: a version, a policy or a segment each by its own name; when the series
    themselves run out, the whole under one series (other, other, other, all).
    """

    def __init__(self, model: str, *, kinds: Sequence[tuple[str, ...]], limits: Limits) -> None:
        self._model = model
        self._kinds = tuple((kind, tuple(DIMENSIONS.index(dimension) for dimension in kind)) for kind in kinds)
        self._overflows = {_overflow(kind) for kind in kinds}
        self._limits = limits
        self._rows: dict[SeriesKey, int] = {}
        self._versions: set[str] = set()
        self._policies: set[str] = set()
        self._segments: set[str] = set()
        self._known: dict[BlockKey, list[int]] = {}
        self.series: list[SeriesKey] = []

    def rows(self, keys: Sequence[BlockKey]) -> npt.NDArray[np.int64]:
        """Rows that each key counts in: shape (keys, 1 + kinds), -1 where a kind has no row of its own."""
        known = self._known
        if len(known) > KNOWN_KEYS:
            known.clear()
        for key in keys:
            if key not in known:
                known[key] = self._rows_of(key)
        return np.array([known[key] for key in keys], dtype=np.int64).reshape(len(keys), 1 + len(self._kinds))

    def restore(self, series: Sequence[SeriesKey]) -> None:
        """Take over series in their order."""
        for key in series:
            self._remember(key)

    def _rows_of(self, key: BlockKey) -> list[int]:
        version = _capped(self._versions, key[0], self._limits.versions)
        policy = _capped(self._policies, key[2], self._limits.policies)
        whole = self._row(version, key[1], policy, ALL)
        if whole is None:
            return [self._admit(SeriesKey(self._model, OTHER, OTHER, OTHER, ALL)), *([-1] * len(self._kinds))]
        rows = [whole]
        for kind, places in self._kinds:
            segment = ",".join(f"{name}={key[3 + place]}" for name, place in zip(kind, places, strict=True))
            if segment not in self._segments and len(self._segments) >= self._limits.segments:
                segment = _overflow(kind)
            row = self._row(version, key[1], policy, segment)
            rows.append(-1 if row is None else row)
        return rows

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
        if key.segment != ALL and key.segment not in self._overflows:
            self._segments.add(key.segment)


def _overflow(kind: Sequence[str]) -> str:
    return ",".join(f"{name}={OTHER}" for name in kind)


def _capped(seen: Collection[str], name: str, limit: int) -> str:
    """The name, or `other`. It is not remembered here but with its series: a name that got none takes no place."""
    return name if name in seen or len(seen) < limit else OTHER
