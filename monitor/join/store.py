"""The index together with the blocks that are finished but not yet committed to it.

A block's changes may enter the index only after its messages are acknowledged: otherwise a crash between the two would
leave a block that is never told. Until then they are kept here, and reading sees them.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from monitor.join.awaited import Awaited
from monitor.join.entries import (
    DEADLINE,
    EXPIRY,
    POSITION,
    Position,
    deadline_parts,
    decode_position,
    encode,
    names_key,
    time_key,
)
from monitor.join.index import Index, Range

Changes = dict[bytes, bytes | None]

PAGE: Final = 65_536
"""Deadlines that are read at once when the index is opened."""
NAMES_REMEMBERED: Final = 4096
LAST_MS: Final = 2**63


@dataclass(slots=True)
class BlockChanges:
    """What one finished block changes in the index, by kind of key, and the position after it."""

    position: Position
    values: Changes = field(default_factory=dict)
    """decisions, names, entries of feedback"""
    deadlines: Changes = field(default_factory=dict)
    expiries: Changes = field(default_factory=dict)
    drop: list[Range] = field(default_factory=list)
    """buckets that are gone; nothing asks for their keys any more"""
    evicted: int = 0
    """decisions and entries of feedback that went for lack of room"""


class Store:
    """Reads through the changes of finished blocks into the index.

    An index that blocks of this size, or this version, cannot go on from is cleared.
    """

    def __init__(self, index: Index, *, block_size: int) -> None:
        self._index = index
        self._finished: deque[BlockChanges] = deque()
        position = decode_position(index.read([POSITION])[0], block_size=block_size)
        if position is None:
            index.clear()
            position = Position(0, block_size)
        self.committed = position
        """the position in the index"""
        self.awaited = Awaited()
        """decisions that feedback waits for"""
        self._names: dict[bytes, bytes] = {}
        self._read_awaited()

    @property
    def position(self) -> Position:
        """The position after the last finished block."""
        return self._finished[-1].position if self._finished else self.committed

    def clear(self, position: Position) -> None:
        """Forget everything and begin at a position."""
        self._finished.clear()
        self._index.clear()
        self.committed = position
        self.awaited = Awaited()
        self._names.clear()

    def read(self, names: Sequence[bytes]) -> list[bytes | None]:
        """The values of these keys."""
        if not self._finished:
            return self._index.read(names)
        found: Changes = {}
        for block in self._finished:
            found.update((name, block.values[name]) for name in names if name in block.values)
        missing = [name for name in names if name not in found]
        found.update(zip(missing, self._index.read(missing), strict=True))
        return [found[name] for name in names]

    def names(self, bucket: int, hashed: int) -> bytes | None:
        """The encoded names with a hash that decisions of a bucket have; the last ones are remembered."""
        key = names_key(bucket, hashed)
        names = self._names.get(key)
        if names is None:
            names = self.read([key])[0]
            if names is not None:
                if len(self._names) >= NAMES_REMEMBERED:
                    self._names.clear()
                self._names[key] = names
        return names

    def deadlines(self, *, since_ms: int, until_ms: int, more: Changes) -> list[bytes]:
        """Keys of deadlines from `since_ms` through `until_ms`, in order, as `more` leaves them."""
        return self._through(DEADLINE, since_ms, until_ms, [*(block.deadlines for block in self._finished), more])

    def expiries(self, *, since_ms: int, until_ms: int, more: Changes) -> list[bytes]:
        """Keys of expiries from `since_ms` through `until_ms`, in order, as `more` leaves them."""
        return self._through(EXPIRY, since_ms, until_ms, [*(block.expiries for block in self._finished), more])

    def first_expiries(self, count: int, *, since_ms: int, more: Changes) -> list[bytes]:
        """Keys of the first expiries from `since_ms` on, as `more` leaves them."""
        layers = [*(block.expiries for block in self._finished), more]
        removed = sum(value is None for layer in layers for value in layer.values())
        return self._through(EXPIRY, since_ms, LAST_MS, layers, limit=count + removed)[:count]

    def finish(self, changes: BlockChanges) -> None:
        """Take the changes of the next finished block."""
        self._finished.append(changes)
        self.awaited.forget(changes.position.log_reached_ms)

    def commit(self, through: int) -> None:
        """Write the finished blocks that end at or below offset `through` to the index, at once.

        When it cannot be written they stay finished, and the same may be tried again.
        """
        blocks = [block for block in self._finished if block.position.offset <= through]
        if blocks:
            position = blocks[-1].position
            batches = [batch for block in blocks for batch in (block.values, block.deadlines, block.expiries)]
            drop = [one for block in blocks for one in block.drop]
            self._index.commit([*batches, {POSITION: encode(position)}], drop=drop)
            self.committed = position
            for _ in blocks:
                self._finished.popleft()

    def reopen(self) -> None:
        """Open the index again after it was unavailable."""
        self._index.reopen()

    def _read_awaited(self) -> None:
        first, last = DEADLINE, time_key(DEADLINE, LAST_MS)
        while page := self._index.scan(first, last, limit=PAGE):
            for name in page:
                deadline_ms, key, _ = deadline_parts(name)
                self.awaited.add(key, deadline_ms=deadline_ms)
            self.awaited.forget(self.committed.log_reached_ms)
            first = page[-1] + b"\0"

    def _through(
        self, prefix: bytes, since_ms: int, until_ms: int, layers: Sequence[Changes], *, limit: int | None = None
    ) -> list[bytes]:
        if until_ms < 0:
            return []
        first, last = time_key(prefix, max(since_ms, 0)), time_key(prefix, until_ms + 1)
        names = self._index.scan(first, last, limit=limit)
        for layer in layers:
            changed = {name: value for name, value in layer.items() if first <= name < last}
            if changed:
                names = [name for name in names if name not in changed]
                for name, value in changed.items():
                    if value is not None:
                        insort(names, name)
        return names
