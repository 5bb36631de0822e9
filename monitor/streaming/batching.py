"""What the app factory tells the transport, and what the transport tells of its progress.

`rewind` moves only where reading starts; the committed offset stays where processing got to.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any


def resume(_topic: str, _partition: int, committed: int) -> int:
    """Read on where processing got to."""
    return committed


def ignore(_partitions: Any) -> None:
    """Nothing to do."""


async def finish_nothing() -> None:
    """Nothing to do."""


def forget(_at: float | None) -> None:
    """Nothing to do."""


def read_all(_topic: str) -> bool:
    """Leave nothing."""
    return False


@dataclass(frozen=True, slots=True)
class Batching:
    """What the app factory tells the transport: `app.transport.batching = Batching(topics=..., rewind=...)`.

    `rewind(topic, partition, committed)` gives the offset where reading starts, at most `committed`; it is clamped to
    the log and not asked where nothing was ever committed, or what was lies beyond the log's end (the topic was made
    anew): there reading starts at the beginning.
    `on_start({TP: offset})` says where reading starts, each time before it does and maybe twice with the same offsets;
    `on_revoked({TP})` says which partitions are no longer ours. Both run on the app's loop and must not block.
    `before_revoked()` is awaited before that, on the app's loop: the group still takes our offsets, and what it
    acknowledges is committed. The others wait for us meanwhile, at most `revoked_within` seconds.
    `on_member(at)` says, on the consumer's thread, that the group still knew us when we asked at `at` (seconds of
    `time.monotonic`), or with None that it does not know us any more.
    `held(topic)` says, on the app's loop, whether the topic is left for now: what is fetched of it stays with aiokafka,
    unread.
    `max_records`: an event ends with the batch of the log that reaches it. `isolation` "read_committed" leaves aborted
    records out. A broker answers a fetch when it has `fetch_bytes` for it, or after `fetch_wait` seconds: what a fetch
    costs us would otherwise be most of the work at some thousand records a second. aiokafka has one in flight a broker,
    and a partition that becomes readable waits for its return. `stop_within` (seconds) bounds each step of a shutdown
    that needs the broker. `clock` gives seconds since the epoch.
    """

    topics: Collection[str] = frozenset()
    rewind: Callable[[str, int, int], int] = resume
    on_start: Callable[[Mapping[Any, int]], None] = ignore
    on_revoked: Callable[[Collection[Any]], None] = ignore
    before_revoked: Callable[[], Awaitable[None]] = finish_nothing
    on_member: Callable[[float | None], None] = forget
    held: Callable[[str], bool] = read_all
    max_records: int = 20_000
    isolation: str = "read_committed"
    fetch_wait: float = 0.1
    fetch_bytes: int = 256 * 1024
    stop_within: float = 4.0
    revoked_within: float = 2.0
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one partition is: the log's end as last fetched and when that was, the committed offset and when we
    committed it last.

    The end is that of what may be read: an open transaction and what follows it is not there yet. `None` = not known
    yet: nothing fetched, nothing ever committed. Times are in seconds since the epoch.
    """

    end: int | None
    fetched_at: float | None
    committed: int | None
    committed_at: float | None
