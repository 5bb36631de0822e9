"""The joiner's index in RocksDB: one directory a partition, one process at a time.

It is a copy of what the topic holds: one that cannot be read is set aside and built again, except while another process
holds it or the disk is to blame. A batch survives a crash of the process; after a loss of power the index may lack the
last ones, never a part.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
)

from monitor.join.index import Batch, CorruptIndex, IndexUnavailable, Range

MEMORY_BYTES: Final = 32 * 1024 * 1024
"""Of all indexes of a process."""
BLOCK_BYTES: Final = 4 * 1024
"""What a look-up that finds something has to decompress."""
FILTER_BITS: Final = 10
"""Bits of the Bloom filter a key: one in a hundred ids that are not there costs a read."""

_LOCKED: Final = ("lock hold", "lock file", "LOCK:")
_DISK: Final = (
    *("No space left", "Disk quota exceeded", "Read-only file system", "Input/output error", "File too large"),
    *("Permission denied", "Operation not permitted", "Too many open files", "Space limit reached"),
)
"""What RocksDB says when the disk is to blame, not what is on it."""
_FAILED: Final = ("Background error", "read only mode", "previous error", "Shutdown in progress")
"""What it says of writes that follow."""


class IndexInUse(RuntimeError):  # noqa: N818 - says what the index is
    """Another process, or this one, has the index open."""


class IndexMemory:
    """Memory that the indexes of a process share, about `size` bytes however many they are.

    Half of it for what is read, filters included; half for what is not yet written.
    """

    def __init__(self, size: int = MEMORY_BYTES) -> None:
        self.size = size
        self.cache = Cache(size // 2)
        self.unwritten = WriteBufferManager(size // 2, False)


class RocksIndex:
    """An `Index` in a directory, with memory of its own unless it is given one to share.

    Raises IndexInUse if someone else has it open, CorruptIndex if it cannot be read, IndexUnavailable if the disk does
    not let it be opened.
    """

    def __init__(self, directory: Path, *, memory: IndexMemory | None = None) -> None:
        self.directory = directory
        self._memory = memory or IndexMemory()
        self._db = _open(directory, self._memory)
        self._closed = False
        self._bytes = 0

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, None where there is none."""
        if not keys:
            return []
        with self._telling("read"):
            found: list[bytes | None] = self._db.get(list(keys))
            return found

    def scan(self, first: bytes, last: bytes, *, limit: int | None = None) -> list[bytes]:
        """The keys from `first` up to `last`, not including it, in order; the first `limit` of them."""
        with self._telling("scan"):
            options = ReadOptions()
            options.set_iterate_upper_bound(last)
            iterator = self._db.iter(options)
            iterator.seek(first)
            keys: list[bytes] = []
            while iterator.valid() and (limit is None or len(keys) < limit):
                keys.append(iterator.key())
                iterator.next()
            iterator.status()
            return keys

    def commit(self, batches: Iterable[Batch], *, drop: Iterable[Range] = ()) -> None:
        """Write all of the batches, later ones over earlier ones, then remove the ranges; all of it or nothing."""
        with self._telling("write"):
            whole = WriteBatch(raw_mode=True)
            put, delete = whole.put, whole.delete
            for batch in batches:
                for key, value in batch.items():
                    if value is None:
                        delete(key)
                    else:
                        put(key, value)
            for first, last in drop:
                whole.delete_range(first, last)
            self._db.write(whole)

    def reopen(self) -> None:
        """Close and open again: what was committed is still there. RocksDB takes no writes after one has failed."""
        with suppress(IndexUnavailable):  # it repeats what the failed write has said; the lock is released all the same
            self.close()
        self._db = _open(self.directory, self._memory)
        self._closed = False

    def clear(self) -> None:
        """Remove everything."""
        self.close()
        with self._telling("remove"):
            shutil.rmtree(self.directory)
        self._db = _open(self.directory, self._memory)
        self._closed = False

    def bytes(self) -> int:
        """What the index takes on disk, without what is not yet written out of memory; what it took, once closed."""
        if not self._closed:
            with self._telling("measure"):
                self._bytes = self._db.property_int_value("rocksdb.total-sst-files-size") or 0
        return self._bytes

    def flush(self) -> None:
        """Write out what is in memory."""
        with self._telling("flush"):
            self._db.flush(True)

    def settle(self) -> None:
        """Write out what is in memory and compact it all: for measurements of size."""
        with self._telling("compact"):
            self._db.flush(True)
            self._db.compact_range(None, None)

    def close(self) -> None:
        """Release the directory."""
        if not self._closed:
            self._closed = True
            with self._telling("close"):
                self._db.close()

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        # rocksdict raises bare Exception for whatever RocksDB reports; there is no narrower class to name.
        try:
            yield
        except Exception as error:
            raise _told(self.directory, what, error) from error


def _open(directory: Path, memory: IndexMemory) -> Rdict:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        return Rdict(str(directory), _options(memory))
    except Exception as error:  # rocksdict raises nothing narrower
        if any(sign in str(error) for sign in _LOCKED) and not any(sign in str(error) for sign in _DISK):
            raise IndexInUse(f"{directory}: expected an index that nobody has open: {error}") from error
        raise _told(directory, "open", error) from error


def _told(directory: Path, what: str, error: Exception) -> CorruptIndex | IndexUnavailable:
    signs = (*_DISK, *_FAILED)
    kind = IndexUnavailable if any(sign in str(error) for sign in signs) else CorruptIndex
    return kind(f"{directory}: cannot {what}: {error}")


def _options(memory: IndexMemory) -> Options:
    table = BlockBasedOptions()
    table.set_block_size(BLOCK_BYTES)
    table.set_block_cache(memory.cache)
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
    options.set_write_buffer_manager(memory.unwritten)
    options.set_write_buffer_size(memory.size // 4)
    options.set_max_write_buffer_number(2)  # one is filled while the other is written
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_max_background_jobs(2)
    options.set_max_open_files(256)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1024 * 1024)
    return options
