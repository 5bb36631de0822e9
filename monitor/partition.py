"""One source partition: records in, dead letters and block summaries out.

Pure and deterministic: fetches may split the records anywhere; the summary of a block is the same bytes. The caller
writes what comes out to Kafka and commits; nothing here knows of either.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from monitor.blocks import BlockMessage, block_first
from monitor.cells import BlockKeys
from monitor.join.forwarding import Forward
from monitor.open_block import CLOCK_RECORDS, DeadLetter, OpenBlock
from monitor.seen_ids import SeenIds
from monitor.shared_keys import SharedKeys
from monitor.summarise_settings import SummariseSettings
from monitor.told import Told
from monitor.topics import SourceTopic


class PartitionSummariser:
    """Follows one partition of a source topic from `start`.

    Records below `summarise_from` (the first offset of the open block) only tell which ids have been seen.
    `log_start` is the first offset that the log still holds. Partitions of one source may share their `keys`.
    """

    def __init__(
        self,
        source: SourceTopic,
        partition: int,
        *,
        summarise_from: int,
        log_start: int,
        settings: SummariseSettings,
        keys: SharedKeys | None = None,
    ) -> None:
        self._source = source
        self._partition = partition
        self._settings = settings
        self._told = Told(summarise_from)
        self._log_start = log_start
        self._keys = keys or SharedKeys(settings)
        self._ids = SeenIds(horizon=settings.horizon, block_size=settings.block_size)
        self._clocks: dict[int, list[int]] = {}
        self._block: OpenBlock | None = None
        self._forwards: list[Forward] = []
        self._following = summarise_from
        """First offset of the block after the last one that had a record."""
        self._unread = 0
        """Offsets below this one were not read, or had been when a block last began."""

    def feed(
        self,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        values: Sequence[bytes | None],
        *,
        next_offset: int,
        first_offset: int | None = None,
    ) -> tuple[list[DeadLetter], list[BlockMessage]]:
        """Take records in order of offset; `next_offset` is where the log goes on, beyond gaps.

        Offsets between two records hold none: they were aborted, compacted away or are markers. A `first_offset` beyond
        where the log went on says that the log no longer holds those between. None: it holds them; of the first call,
        that it begins with the first record. Returns the refused records and the summaries of the blocks that ended.
        """
        dead: list[DeadLetter] = []
        closed: list[BlockMessage] = []
        if first_offset is None and self._told.position < 0:
            first_offset = offsets[0] if len(offsets) else next_offset
        if first_offset is not None and first_offset > self._told.position:
            self._unread = first_offset
        self._told.position = next_offset
        at = 0
        while at < len(offsets):
            first = block_first(offsets[at], self._settings.block_size)
            end = bisect_left(offsets, first + self._settings.block_size, at)
            if self._block is None or self._block.first != first:
                closed += self._close()
                closed += self._without_records(first)
                self._block = self._open(first)
                self._following = self._block.end
            dead += self._block.add(offsets[at:end], timestamps[at:end], values[at:end], base=at)
            self._forwards += self._block.take_forwards()
            at = end
        if self._block is not None:
            self._block.through = max(self._block.through, min(next_offset, self._block.end))
            if next_offset >= self._block.end:
                closed += self._close()
        return dead, closed

    @property
    def block_size(self) -> int:
        """Offsets of a block."""
        return self._settings.block_size

    @property
    def told(self) -> int:
        """Records below this offset are in summaries that were handed out, or count in none."""
        return self._told.before(self._block)

    def take_forwards(self) -> list[Forward]:
        """What goes to the join out of what was fed since the last call, in order of offset."""
        forwards, self._forwards = self._forwards, []
        return forwards

    def open_block(self, *, least_growth: float = 0.0) -> list[BlockMessage]:
        """Summaries of the open block, if it has grown by this share since it was last asked for, at least by one."""
        block = self._told.grown(self._block, least_growth=least_growth)
        return [] if block is None else block.messages(closed=False)

    def _open(self, first: int) -> OpenBlock:
        self._ids.begin(first // self._settings.block_size)
        return OpenBlock(
            self._source,
            self._partition,
            first,
            begin=max(first, self._log_start),
            clock=self._clock(first),
            keys=BlockKeys(self._keys.for_block()),
            names=self._keys.names,
            ids=self._ids,
            settings=self._settings,
        )

    def _without_records(self, end: int) -> list[BlockMessage]:
        """Summaries of the blocks before `end` that were read and hold no record: else they would count as missed."""
        size = self._settings.block_size
        read = -(-self._unread // size) * size
        blocks = (self._open(first) for first in range(max(self._following, read), end, size))
        return [message for block in blocks for message in block.messages(closed=True)]

    def _close(self) -> list[BlockMessage]:
        block = self._block
        if block is None:
            return []
        messages = block.messages(closed=True) if self._told.tells(block) else []
        self._clocks[block.first] = block.timestamps
        self._block = None
        oldest = block.first - (self._settings.horizon - 1) * self._settings.block_size
        for first in [first for first in self._clocks if first < oldest]:
            del self._clocks[first]
        return messages

    def _clock(self, first: int) -> list[int]:
        """Last timestamps before block `first`, of the blocks within the horizon: a restart reads these and no more."""
        oldest = first - self._settings.horizon * self._settings.block_size
        known = [at for start, clock in sorted(self._clocks.items()) if start >= oldest for at in clock]
        return known[-CLOCK_RECORDS:]
