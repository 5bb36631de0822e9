"""The join's indexes on disk: one folder a partition, open while the partition is ours."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from monitor.join.block import JoinSettings
from monitor.join.joiner import JoinPartition
from monitor.join.rocks import RocksIndex, open_rocks
from monitor.snapshot import JoinStatistics

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class JoinIndexes:
    """Opens, closes and removes indexes. A lost or damaged one is rebuilt from the join topic."""

    directory: Path
    settings: JoinSettings
    memory_bytes: int
    _open: dict[int, RocksIndex] = field(default_factory=dict)

    def position(self, partition: int) -> int:
        """Where reading has to start for the index of a partition."""
        return JoinPartition(partition, self._index(partition), settings=self.settings).position

    def join(self, partition: int, *, log_start: int, summarise_from: int) -> JoinPartition:
        """A joiner on the index of a partition."""
        return JoinPartition(
            partition,
            self._index(partition),
            settings=self.settings,
            log_start=log_start,
            summarise_from=summarise_from,
        )

    def close(self, partition: int) -> None:
        """Let go of a partition's index."""
        index = self._open.pop(partition, None)
        if index is not None:
            index.close()

    def close_all(self) -> None:
        """Let go of all indexes."""
        for partition in list(self._open):
            self.close(partition)

    def discard(self, partition: int) -> None:
        """Remove an index that cannot be read; the next start rebuilds it."""
        self.close(partition)
        shutil.rmtree(self._folder(partition), ignore_errors=True)

    def _index(self, partition: int) -> RocksIndex:
        index = self._open.get(partition)
        if index is None:
            folder = self._folder(partition)
            folder.parent.mkdir(parents=True, exist_ok=True)
            index, damage = open_rocks(folder, memory_bytes=self.memory_bytes)
            if damage is not None:
                log.error("join index set aside, rebuilding from the topic", partition=partition, error=damage)
            self._open[partition] = index
        return index

    def _folder(self, partition: int) -> Path:
        return self.directory / str(partition)


def added(statistics: list[JoinStatistics]) -> JoinStatistics:
    """Statistics of several partitions as one."""
    return JoinStatistics(
        entries=sum(one.entries for one in statistics),
        waiting=sum(one.waiting for one in statistics),
        expired=sum(one.expired for one in statistics),
        bytes=sum(one.bytes for one in statistics),
    )
