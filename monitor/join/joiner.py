"""One partition of the join topic: forwarded records in, block messages about joined feedback out.

Pure as the summaries of source partitions: a block's messages depend on the log up to its end and on the settings. Two
times matter: the log's clock (Kafka timestamps of the join topic) decides how long feedback waits and decisions are
kept, so that a source partition that is read far behind the others loses nothing; the source's timestamps, which travel
in the records, decide what is late and in which minute a label arrived.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

from monitor.blocks import BlockMessage, block_first
from monitor.join.block import JoinBlock, JoinSettings
from monitor.join.clock import WINDOW, LogClock
from monitor.join.entries import Position
from monitor.join.index import Index
from monitor.join.store import Store
from monitor.snapshot import JoinStatistics
from monitor.told import Told


class JoinPartition:
    """Follows one partition of the join topic from `position`, which the index tells.

    The log holds offsets from `log_start` up to `log_end`; an index that is ahead of it was made from another log and
    is cleared. Blocks before `summarise_from`, the begin of a block, change the index but give no messages. Whoever
    feeds this takes `told`, writes the messages, and then calls `commit` with what it took. All methods may raise
    CorruptIndex: the index is then to be set aside, and a new partition object begins again.
    """

    def __init__(
        self,
        partition: int,
        index: Index,
        *,
        settings: JoinSettings,
        log_start: int = 0,
        log_end: int | None = None,
        summarise_from: int = 0,
    ) -> None:
        self._partition = partition
        self._index = index
        self._settings = settings
        self._size = settings.block_size
        self._log_start = log_start
        self._told = Told(summarise_from)
        self._store = Store(index, block_size=self._size)
        if log_end is not None and self._store.position.offset > log_end:
            self._store.clear(Position(0, self._size))
        self._resume()
        self._block: JoinBlock | None = None

    @property
    def position(self) -> int:
        """The offset that reading has to start at: the begin of a block, which may lie before the log's start."""
        return self._store.committed.offset

    @property
    def statistics(self) -> JoinStatistics:
        """Size of the index."""
        position = self._store.position
        entries = position.decisions + position.feedback
        return JoinStatistics(entries, position.waiting, position.expired, self._index.bytes())

    def feed(
        self, offsets: Sequence[int], timestamps: Sequence[int], values: Sequence[bytes | None], *, next_offset: int
    ) -> list[BlockMessage]:
        """Take records in order of offset; `next_offset` is where the log goes on, beyond gaps.

        Returns the messages of the blocks that ended.
        """
        closed: list[BlockMessage] = []
        self._told.position = next_offset
        at = 0
        while at < len(offsets):
            first = block_first(offsets[at], self._size)
            end = bisect_left(offsets, first + self._size, at)
            if self._block is None or self._block.first != first:
                closed += self._close()
                self._block = JoinBlock(
                    self._partition,
                    first,
                    begin=max(first, self._log_start),
                    store=self._store,
                    clock=self._clock,
                    source_recent=self._source_recent,
                    settings=self._settings,
                )
            self._block.take(timestamps[at:end], values[at:end])
            self._block.through = offsets[end - 1] + 1
            at = end
        block = self._block
        if block is not None:
            block.through = max(block.through, min(next_offset, block.first + self._size))
            if next_offset >= block.first + self._size:
                closed += self._close()
        return closed

    @property
    def block_size(self) -> int:
        """Offsets of a block."""
        return self._size

    @property
    def told(self) -> int:
        """Records below this offset are in messages that were handed out, or count in none."""
        return self._told.before(self._block)

    def open_block(self, *, least_growth: float = 0.0) -> list[BlockMessage]:
        """Messages of the open block, if it has grown by this share since it was last asked for, at least by one."""
        block = self._told.grown(self._block, least_growth=least_growth)
        return [] if block is None else block.messages(block.due(), closed=False)

    def commit(self, through: int) -> None:
        """Enter finished blocks up to offset `through` into the index: their messages have been acknowledged.

        After IndexUnavailable nothing has been entered: `reopen`, then the same again.
        """
        self._store.commit(through)

    def reopen(self) -> None:
        """Open the index again after it could not be written; raises IndexUnavailable if it still cannot be opened."""
        self._store.reopen()

    def _resume(self) -> None:
        position = self._store.position
        self._clock = LogClock(position.log_recent, reached_ms=position.log_reached_ms)
        self._source_recent = deque(position.source_recent, WINDOW)

    def _close(self) -> list[BlockMessage]:
        block = self._block
        if block is None:
            return []
        due = block.due()
        told = self._told.tells(block)
        changes = block.changes(due)
        messages = block.messages(due, closed=True, evicted=changes.evicted) if told else []
        self._store.finish(changes)
        self._block = None
        if not told:
            self._store.commit(block.first + self._size)  # its messages were acknowledged in an earlier life
        return messages
