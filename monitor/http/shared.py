"""One computation for all who ask for the same within a second: what is asked of the service costs ingestion little."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from monitor.snapshot import Snapshot

SHARED_SECONDS = 1.0

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    snapshot: Snapshot
    at: float
    value: Value


class Shared(Generic[Key, Value]):
    """Values made of the current snapshot, by key. Keeps `max_entries` and only those of one snapshot."""

    def __init__(self, source: Callable[[], Snapshot], *, now: Callable[[], float], max_entries: int = 8) -> None:
        self._source = source
        self._now = now
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._entries: dict[Key, _Entry[Value]] = {}

    def get(self, key: Key, make: Callable[[Snapshot, float], Value]) -> Value:
        """The value of `key`, made of the snapshot and the time if there is none of this snapshot and this second."""
        with self._lock:
            snapshot, now = self._source(), self._now()
            found = self._entries.get(key)
            if found is None or found.snapshot is not snapshot or not 0 <= now - found.at < SHARED_SECONDS:
                found = _Entry(snapshot, now, make(snapshot, now))
                kept = [(name, one) for name, one in self._entries.items() if one.snapshot is snapshot and name != key]
                self._entries = dict([*kept[-self._max_entries + 1 :], (key, found)])
            return found.value
