"""How far the messages that a partition gave reach, where those of its open block are made when somebody asks."""

from __future__ import annotations

from typing import Protocol, TypeVar


class Block(Protocol):
    """Records from offset `first` on, read up to, not including, `through`."""

    first: int
    through: int


B = TypeVar("B", bound=Block)


class Told:
    """Of a partition whose blocks before `summarise_from` give no messages."""

    def __init__(self, summarise_from: int) -> None:
        self.position = -1
        """offset after the last record that was read"""
        self._from = summarise_from
        self._through = -1

    def before(self, block: Block | None) -> int:
        """Records below this offset are in messages that were handed out, or count in none; `block` is the open one."""
        if block is None or not self.tells(block):
            return self.position
        return max(block.first, self._through)

    def tells(self, block: Block) -> bool:
        """Whether a block gives messages."""
        return block.first >= self._from

    def grown(self, block: B | None, *, least_growth: float) -> B | None:
        """The open block, if it has grown by this share since it was last given here, at least by one record."""
        if block is None or not self.tells(block):
            return None
        told = max(block.first, self._through)
        if block.through <= told or block.through - told < least_growth * (told - block.first):
            return None
        self._through = block.through
        return block
