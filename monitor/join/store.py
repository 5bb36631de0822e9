"""The index together with the blocks that are finished but not yet committed to it.

A block's changes may enter the index only after its messages are acknowledged: otherwise a crash between the two would
leave a block that is never told. Until then they are kept here, and reading sees them.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from monitor.join.entries import DEADLINE, EXPIRY, POSITION, Position, decode_position, encode, time_key
from monitor.join.index import Index

Changes = dict[bytes, bytes | None]


@dataclass(slots=True)
class BlockChanges:
    """What one finished block changes in the index, by kind of key, and the position after it."""

    position: Position
    entries: Changes = field(default_factory=dict)
    deadlines: Changes = field(default_factory=dict)
    expiries: Changes = field(default_factory=dict)


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

    @property
    def position(self) -> Position:
        """The position after the last finished block."""
        return self._finished[-1].position if self._finished else self.committed

    def clear(self, position: Position) -> None:
        """Forget everything and begin at a position."""
        self._finished.clear()
        self._index.clear()
        self.committed = position

    def read(self, names: Sequence[bytes]) -> list[bytes | None]:
        """The entries with these keys."""
        if not self._finished:
            return self._index.read(names)
        found: dict[bytes, bytes | None] = {}
        for block in self._finished:
            found.update((name, block.entries[name]) for name in names if name in block.entries)
        missing = [name for name in names if name not in found]
        found.update(zip(missing, self._index.read(missing), strict=True))
        return [found[name] for name in names]

    def deadlines(self, *, since_ms: int, until_ms: int, more: Changes) -> list[bytes]:
        """Keys of deadlines from `since_ms` through `until_ms`, in order, as `more` leaves them."""
        return self._through(DEADLINE, since_ms, until_ms, [block.deadlines for block in self._finished] + [more])

    def expiries(self, *, since_ms: int, until_ms: int, more: Changes) -> list[bytes]:
        """Keys of expiries from `since_ms` through `until_ms`, in order, as `more` leaves them."""
        return self._through(EXPIRY, since_ms, until_ms, [block.expiries for block in self._finished] + [more])

    def finish(self, changes: BlockChanges) -> None:
        """Take the changes of the next finished block."""
        self._finished.append(changes)

    def commit(self, through: int) -> None:
        """Write the finished blocks that end at or below offset `through` to the index, at once."""
        blocks = []
        while self._finished and self._finished[0].position.offset <= through:
            blocks.append(self._finished.popleft())
        if blocks:
            position = blocks[-1].position
            batches = [batch for block in blocks for batch in (block.entries, block.deadlines, block.expiries)]
            self._index.commit([*batches, {POSITION: encode(position)}])
            self.committed = position

    def _through(self, prefix: bytes, since_ms: int, until_ms: int, layers: Iterable[Changes]) -> list[bytes]:
        if until_ms < 0:
            return []
        first, last = time_key(prefix, max(since_ms, 0)), time_key(prefix, until_ms + 1)
        names = self._index.scan(first, last)
        for layer in layers:
            changed = {name: value for name, value in layer.items() if first <= name < last}
            if changed:
                names = [name for name in names if name not in changed]
                for name, value in changed.items():
                    if value is not None:
                        insort(names, name)
        return names
