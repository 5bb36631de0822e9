"""The joiner's index in RocksDB: one directory a partition, one process at a time.

It is a copy of what the topic holds: one that cannot be read is removed and built again, except while another process
holds it. A batch survives a crash of the process; after a loss of power the index may lack the last ones, never a part.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, ReadOptions, WriteBatch

from monitor.join.index import Batch, CorruptIndex

MEMORY_BYTES: Final = 32 * 1024 * 1024
"""Half for what is read, filters included; half for two memtables, one filled while the other is written."""
BLOCK_BYTES: Final = 16 * 1024
"""Large blocks compress the repeated names in the contexts well; most reads end at the filter and read none."""
FILTER_BITS: Final = 10
"""Bits of the Bloom filter a key: one in a hundred ids that are not there costs a read."""

_LOCKED: Final = ("lock hold", "lock file", "LOCK:")


class IndexInUse(RuntimeError):  # noqa: N818 - says what the index is
    """Another process, or this one, has the index open."""


class RocksIndex:
    """An `Index` in a directory, with about so much memory for caches and what is not yet written.

    Raises IndexInUse if someone else has it open, CorruptIndex if it cannot be read.
    """

    def __init__(self, directory: Path, *, memory_bytes: int = MEMORY_BYTES) -> None:
        directory.parent.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._memory_bytes = memory_bytes
        self._db = _open(directory, memory_bytes)

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, None where there is none."""
        if not keys:
            return []
        with self._telling("read"):
            found: list[bytes | None] = self._db.get(list(keys))
            return found

    def scan(self, first: bytes, last: bytes) -> list[bytes]:
        """The keys from `first` up to `last`, not including it, in order."""
        with self._telling("scan"):
            options = ReadOptions()
            options.set_iterate_upper_bound(last)
            iterator = self._db.iter(options)
            iterator.seek(first)
            keys = []
            while iterator.valid():
                keys.append(iterator.key())
                iterator.next()
            iterator.status()
            return keys

    def commit(self, batches: Iterable[Batch]) -> None:
        """Write all of the batches, later ones over earlier ones, or nothing."""
        with self._telling("write"):
            whole = WriteBatch(raw_mode=True)
            for batch in batches:
                for key, value in batch.items():
                    if value is None:
                        whole.delete(key)
                    else:
                        whole.put(key, value)
            self._db.write(whole)

    def clear(self) -> None:
        """Remove everything."""
        self._db.close()
        shutil.rmtree(self.directory)
        self._db = _open(self.directory, self._memory_bytes)

    def bytes(self) -> int:
        """What the index takes on disk, without what is not yet written out of memory."""
        with self._telling("measure"):
            return self._db.property_int_value("rocksdb.total-sst-files-size") or 0

    def settle(self) -> None:
        """Write out what is in memory and compact it all: for measurements of size."""
        with self._telling("compact"):
            self._db.flush(True)
            self._db.compact_range(None, None)

    def close(self) -> None:
        """Release the directory."""
        self._db.close()

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        # rocksdict raises bare Exception for whatever RocksDB reports; there is no narrower class to name.
        try:
            yield
        except Exception as error:
            raise CorruptIndex(f"{self.directory}: cannot {what}: {error}") from error


def open_rocks(directory: Path, *, memory_bytes: int = MEMORY_BYTES) -> tuple[RocksIndex, str | None]:
    """The index of a directory, made anew if it is damaged; then the second value says what was wrong.

    Raises IndexInUse if someone else has it open: removing it then would pull it from under a living joiner.
    """
    try:
        return RocksIndex(directory, memory_bytes=memory_bytes), None
    except CorruptIndex as error:
        if directory.is_dir():
            shutil.rmtree(directory)
        else:
            directory.unlink(missing_ok=True)
        return RocksIndex(directory, memory_bytes=memory_bytes), str(error)


def _open(directory: Path, memory_bytes: int) -> Rdict:
    try:
        return Rdict(str(directory), _options(memory_bytes))
    except Exception as error:  # rocksdict raises nothing narrower
        if any(sign in str(error) for sign in _LOCKED):
            raise IndexInUse(f"{directory}: expected an index that nobody has open: {error}") from error
        raise CorruptIndex(f"{directory}: cannot open: {error}") from error


def _options(memory_bytes: int) -> Options:
    table = BlockBasedOptions()
    table.set_block_size(BLOCK_BYTES)
    table.set_block_cache(Cache(memory_bytes // 2))
    table.set_bloom_filter(FILTER_BITS, False)
    table.set_cache_index_and_filter_blocks(True)  # filters grow with the entries; in the cache they are bounded
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_format_version(5)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_paranoid_checks(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_bottommost_compression_type(DBCompressionType.zstd())
    options.set_write_buffer_size(memory_bytes // 4)
    options.set_max_write_buffer_number(2)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_max_background_jobs(2)
    options.set_max_open_files(256)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1024 * 1024)
    return options
