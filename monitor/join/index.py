"""What the joiner keeps on disk, as an ordered map of bytes that changes in atomic batches.

An index holds the state at the end of a block and never between two: whoever opens it after a crash goes on from there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

Batch = Mapping[bytes, bytes | None]
"""Keys with their new values; None removes the key."""


Range = tuple[bytes, bytes]
"""All keys from the first up to the second, not including it."""


class CorruptIndex(RuntimeError):  # noqa: N818 - says what the index is
    """The index cannot be read; it is to be set aside and built again from the topic."""


class IndexUnavailable(RuntimeError):  # noqa: N818 - says what the index is
    """The disk does not take what is written, or does not let the index be opened: full, read-only, failing.

    What was committed before is still there; the same can be tried again after `reopen`.
    """


class Index(Protocol):
    """An ordered map of bytes. All methods may raise CorruptIndex and IndexUnavailable."""

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, None where there is none."""

    def scan(self, first: bytes, last: bytes, *, limit: int | None = None) -> list[bytes]:
        """The keys from `first` up to `last`, not including it, in order; the first `limit` of them."""

    def commit(self, batches: Iterable[Batch], *, drop: Iterable[Range] = ()) -> None:
        """Write all of the batches, later ones over earlier ones, and remove ranges of keys; all of it or nothing.

        Safe against a crash of the process.
        """

    def reopen(self) -> None:
        """Try again after IndexUnavailable; raises it if it still is."""

    def clear(self) -> None:
        """Remove everything."""

    def bytes(self) -> int:
        """What the index takes on disk, without what is not yet written out of memory."""

    def close(self) -> None:
        """Release the index; nothing may be asked of it afterwards."""


class MemoryIndex:
    """An index for tests: survives the joiner that uses it, not the process."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, None where there is none."""
        return [self._values.get(key) for key in keys]

    def scan(self, first: bytes, last: bytes, *, limit: int | None = None) -> list[bytes]:
        """The keys from `first` up to `last`, not including it, in order; the first `limit` of them."""
        return self._keys[bisect_left(self._keys, first) : bisect_left(self._keys, last)][:limit]

    def commit(self, batches: Iterable[Batch], *, drop: Iterable[Range] = ()) -> None:
        """Write all of the batches, then remove the ranges."""
        for batch in batches:
            for key, value in batch.items():
                if value is None:
                    if self._values.pop(key, None) is not None:
                        del self._keys[bisect_left(self._keys, key)]
                else:
                    if key not in self._values:
                        insort(self._keys, key)
                    self._values[key] = value
        for first, last in drop:
            for key in self.scan(first, last):
                del self._values[key]
            del self._keys[bisect_left(self._keys, first) : bisect_left(self._keys, last)]

    def reopen(self) -> None:
        """Always available."""

    def clear(self) -> None:
        """Remove everything."""
        self._values.clear()
        self._keys.clear()

    def bytes(self) -> int:
        """Bytes of keys and values."""
        return sum(len(key) + len(value) for key, value in self._values.items())

    def close(self) -> None:
        """Nothing to release."""
