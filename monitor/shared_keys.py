"""The numbers of keys that the partitions of one source share: each would learn the same ones.

What a block's summary says does not depend on them (`monitor.cells`), only how fast it is made, and how much memory a
worker of many partitions takes.
"""

from __future__ import annotations

from typing import Final

from monitor.cells import KeyTable
from monitor.join.name_book import NameBook
from monitor.summarise_settings import SummariseSettings

KEYS_KEPT: Final = 20_000
"""A key table with more keys, some 20 MB, is begun anew with the next block."""
CROWDED_KEYS: Final = 8_000
CROWDED_BLOCKS: Final = 64
"""One that has met more names than the caps allow is begun anew with so many keys, or after so many blocks: the names
may have gone."""


class SharedKeys:
    """A key table; a block keeps the one that it began with. And the names of contexts."""

    def __init__(self, settings: SummariseSettings) -> None:
        self.names = NameBook()
        self._settings = settings
        self._table = self._begin()
        self._blocks = 0

    def for_block(self) -> KeyTable:
        """The one of a block that begins."""
        self._blocks += 1
        keys = len(self._table.keys) + len(self._table.refusals)
        tired = self._table.crowded and (keys > CROWDED_KEYS or self._blocks > CROWDED_BLOCKS)
        if tired or keys > KEYS_KEPT:
            self._table = self._begin()
            self._blocks = 0
        return self._table

    def _begin(self) -> KeyTable:
        return KeyTable(self._settings.limits, self._settings.kinds)
