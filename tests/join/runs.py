"""Runs of a joiner over a log: a calm one, and ones that crash at any point and lose their disk."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from monitor.blocks import BlockMessage, block_first, decode_block, encode_block
from monitor.join.block import JoinSettings
from monitor.join.index import Index, MemoryIndex
from monitor.join.joiner import JoinPartition
from tests.join.traffic import SETTINGS, Sent


def feed(joiner: JoinPartition, log: Sequence[Sent], begin: int, end: int) -> list[BlockMessage]:
    """Give a joiner the records with index `begin` to `end`."""
    part = log[begin:end]
    following = log[end].offset if end < len(log) else log[-1].offset + 1
    return joiner.feed(
        [sent.offset for sent in part],
        [sent.log_ms for sent in part],
        [sent.value for sent in part],
        next_offset=following,
    )


def index_at(log: Sequence[Sent], offset: int) -> int:
    """The place in the log of the first record at or beyond an offset."""
    return next((index for index, sent in enumerate(log) if sent.offset >= offset), len(log))


def calm(log: Sequence[Sent], index: Index | None = None, *, settings: JoinSettings = SETTINGS) -> list[BlockMessage]:
    """All messages of a log that is read in one fetch, its finished blocks committed."""
    joiner = JoinPartition(0, MemoryIndex() if index is None else index, settings=settings)
    closed = feed(joiner, log, 0, len(log))
    joiner.commit(log[-1].offset + 1)
    return [*closed, *joiner.open_block()]


class Storm:
    """A worker that fetches as it likes and dies between any two of its steps, and what it has published.

    Its steps are those of the service: take records, write what came out, commit the index, let Kafka commit.
    """

    def __init__(
        self,
        log: Sequence[Sent],
        rng: random.Random,
        *,
        renew: Callable[[], Index],
        lose_disk: float = 0.0,
        settings: JoinSettings = SETTINGS,
    ) -> None:
        self.published: list[BlockMessage] = []
        self._log = log
        self._rng = rng
        self._renew = renew
        self._lose_disk = lose_disk
        self._settings = settings
        self._committed = 0
        self.index = renew()

    def run(self, *, lives: int) -> None:
        """Live so many times; the last life reads everything."""
        for life in range(lives):
            last = life == lives - 1
            self._live(crash=0.0 if last else 0.08)
            if not last and self._rng.random() < self._lose_disk:
                self.index.close()
                self.index = self._renew()

    def _live(self, *, crash: float) -> None:
        rng, log = self._rng, self._log
        size = self._settings.block_size
        joiner = JoinPartition(
            0,
            self.index,
            settings=self._settings,
            log_end=log[-1].offset + 1,
            summarise_from=block_first(self._committed, size),
        )
        at = index_at(log, joiner.position)
        while at < len(log):
            end = min(len(log), at + rng.choice((1, 3, 10, 40)))
            closed = feed(joiner, log, at, end)
            at = end
            if rng.random() < crash:
                return
            written = [*closed, *(joiner.open_block() if rng.random() < 0.4 or at == len(log) else [])]
            told = joiner.told
            torn = rng.randrange(len(written) + 1) if rng.random() < crash else len(written)
            self.published += [decode_block(encode_block(message)) for message in written[:torn]]
            if torn < len(written) or rng.random() < crash:
                return
            if rng.random() < 0.7 or at == len(log):
                joiner.commit(told)
            if rng.random() < crash:
                return
            self._committed = max(self._committed, told)
