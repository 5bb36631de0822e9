"""The join's indexes on disk: one folder a partition, open while the partition is ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from monitor.join.block import JoinSettings
from monitor.join.index import CorruptIndex, IndexUnavailable
from monitor.join.joiner import JoinPartition
from monitor.join.rocks import IndexMemory, RocksIndex
from monitor.service.quarantine import remove, set_aside
from monitor.snapshot import JoinStatistics

log = structlog.get_logger(__name__)

QUARANTINE: Final = "quarantine"
UNTOLD: Final = "untold"
"""A file that says: the process that met the damage ended before anybody could ask it."""
UNAVAILABLE: Final = "unavailable"
CORRUPT: Final = "corrupt"


@dataclass(slots=True)
class JoinIndexes:
    """Opens, closes and sets aside indexes. A lost or damaged one is rebuilt from the join topic.

    Methods that open one raise IndexUnavailable when the disk does not let them.
    """

    directory: Path
    settings: JoinSettings
    memory: IndexMemory
    failures: dict[str, int] = field(default_factory=lambda: {UNAVAILABLE: 0, CORRUPT: 0})
    """how often an index could not be written or opened, and how often one was set aside"""
    _open: dict[int, RocksIndex] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            (self.directory / UNTOLD).unlink()
        except OSError:
            return  # there is none, or the disk refuses, which whoever opens an index will say
        self.failures[CORRUPT] += 1

    def position(self, partition: int) -> int:
        """Where reading has to start for the index of a partition."""
        return self.join(partition, log_start=0, summarise_from=0).position

    def join(self, partition: int, *, log_start: int, summarise_from: int) -> JoinPartition:
        """A joiner on the index of a partition; an index that is damaged is set aside first."""
        try:
            return self._join(partition, log_start, summarise_from)
        except CorruptIndex as error:
            self.discard(partition, str(error))
            return self._join(partition, log_start, summarise_from)

    def close(self, partition: int) -> None:
        """Let go of a partition's index."""
        index = self._open.pop(partition, None)
        if index is not None:
            try:
                index.close()
            except (CorruptIndex, IndexUnavailable) as error:
                log.warning("join index not closed properly", partition=partition, error=str(error))

    def close_all(self) -> None:
        """Let go of all indexes."""
        for partition in list(self._open):
            self.close(partition)

    def discard(self, partition: int, damage: str, *, ending: bool = False) -> None:
        """Set an index aside that cannot be read; whoever opens it next rebuilds it.

        `ending`: this process ends for it, so it counts with the next one.
        """
        self.failures[CORRUPT] += 1
        if ending:
            with contextlib.suppress(OSError):  # the log has it all the same
                (self.directory / UNTOLD).touch()
        self.close(partition)
        folder = self._folder(partition)
        try:
            kept = str(set_aside(folder, self.directory / QUARANTINE))
        except OSError as error:
            remove(folder)
            kept = f"nowhere: {error}"
        log.error("join index set aside, rebuilding from the topic", partition=partition, error=damage, kept=kept)

    def _join(self, partition: int, log_start: int, summarise_from: int) -> JoinPartition:
        index = self._open.get(partition)
        if index is None:
            index = self._open[partition] = RocksIndex(self._folder(partition), memory=self.memory)
        return JoinPartition(
            partition, index, settings=self.settings, log_start=log_start, summarise_from=summarise_from
        )

    def _folder(self, partition: int) -> Path:
        return self.directory / str(partition)


def added(statistics: Iterable[JoinStatistics], failures: dict[str, int], *, held: int) -> JoinStatistics:
    """Statistics of several partitions as one; `held` of them wait for the disk."""
    parts = list(statistics)
    return JoinStatistics(
        entries=sum(one.entries for one in parts),
        waiting=sum(one.waiting for one in parts),
        expired=sum(one.expired for one in parts),
        bytes=sum(one.bytes for one in parts),
        failures=dict(failures),
        held=held,
    )
