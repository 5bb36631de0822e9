"""The first stage at work: records of source partitions in, dead letters and block messages written, then acknowledged.

A record's offset may be committed once its dead letter, or a block message that covers it, is acknowledged by Kafka.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from monitor.blocks import BlockMessage, Clock, ModelBlock, block_first, encode_block, reach_of, rewind, source_of
from monitor.decode import Reason
from monitor.join.forwarding import Forward, chunks, events_in, since
from monitor.join.index import CorruptIndex, IndexUnavailable
from monitor.join.joiner import JoinPartition
from monitor.open_block import DeadLetter
from monitor.partition import PartitionSummariser
from monitor.rows import hash_id
from monitor.service.join_indexes import UNAVAILABLE, JoinIndexes, added
from monitor.service.outlet import Outlet, Record, dead_letter
from monitor.service.own_time import OwnTime
from monitor.service.underway import Underway
from monitor.shared_keys import SharedKeys
from monitor.snapshot import JoinStatistics
from monitor.state import SEPARATOR
from monitor.summarise_settings import SummariseSettings
from monitor.topics import BLOCKS, BY_TOPIC, JOIN

log = structlog.get_logger(__name__)

STAGE: Final = "summarise"
LEAST_GROWTH: Final = 1 / 16
PASS_OVER: Final = 4
"""The open block is published when it has grown by this share, or after it was passed over so often: a large block that
grows slowly is not written again each second for a few records."""


HELD_FORWARDS: Final = 1024
"""So much waits for a block to end, or for the open one to be published, before it goes to the join: few large records
cost little to write and to read, and it could not be acknowledged before anyway."""


LAST_PAUSE_SECONDS: Final = 15.0
"""Between two attempts to use an index that the disk refuses; the first ones come sooner."""


class Batch(Protocol):
    """What the transport hands over: records of one partition as columns."""

    topic: str
    partition: int
    next_offset: int

    @property
    def first_offset(self) -> int:
        """Where the log was read from; beyond the `next_offset` before, what lies between was lost."""

    @property
    def offsets(self) -> Sequence[int]: ...
    @property
    def timestamps(self) -> Sequence[int]: ...
    @property
    def values(self) -> Sequence[bytes | None]:
        """None: a tombstone"""

    def __len__(self) -> int: ...
    def key(self, index: int) -> bytes | None: ...
    def headers(self, index: int) -> Sequence[tuple[str, bytes | None]]: ...


class PoisonBudgetExceeded(RuntimeError):  # noqa: N818 - says what happened
    """So much of a topic is refused that a producer must have broken the contract; stopping loses nothing."""


@dataclass(slots=True)
class _Partition:
    topic: str
    number: int
    summariser: PartitionSummariser | JoinPartition | None
    """None while the index of a partition of the join cannot be opened"""
    committed: int
    position: int
    """offset after the last record that was summarised"""
    handed_over: int
    """what came of records below is under way or written"""
    underway: Underway
    """dead letters and what goes to the join"""
    letters: list[Record] = field(default_factory=list)
    """dead letters that are not under way yet"""
    forwards: list[Forward] = field(default_factory=list)
    """what goes to the join and is not under way yet"""
    closed: list[BlockMessage] = field(default_factory=list)
    waiting: deque[tuple[int, Callable[[], None]]] = field(default_factory=deque)
    passed_over: int = 0
    """times in a row that the open block was not published"""
    asked_at: int = 0
    """position when it was last asked whether to"""
    clock_ms: int = -1
    told_clock_ms: int = -1
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    open: Callable[[], JoinPartition] | None = None
    """makes the joiner of a partition of the join"""
    refused: int = 0
    """times in a row that the disk refused the index; while it is not 0 the partition takes no records"""
    retry_at: float = 0.0
    """when to try again, on the clock of the event loop"""


class Ingest:
    """Source partitions of this worker. Methods run on one event loop.

    `on_failure` is told at once the error of a dead letter, or of what goes to the join, that could not be written.
    """

    def __init__(
        self,
        settings: SummariseSettings,
        outlet: Outlet,
        *,
        indexes: JoinIndexes | None = None,
        poison_ratio: float,
        poison_window: int,
        app_version: str,
        on_failure: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._on_failure = on_failure
        self._indexes = indexes
        self._outlet = outlet
        self._keys = {topic: SharedKeys(settings) for topic in BY_TOPIC}
        self._poison = {topic: _PoisonBudget(topic, poison_ratio, poison_window) for topic in BY_TOPIC}
        self._version = app_version
        self._partitions: dict[tuple[str, int], _Partition] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self._counts: dict[str, int] = {}

    def rewind(self, topic: str, partition: int, committed: int) -> int:
        """Where reading has to start for a partition that was processed up to `committed`."""
        self._committed[topic, partition] = committed
        return self._rewound(topic, partition, committed)

    def _rewound(self, topic: str, partition: int, committed: int) -> int:
        """First offset that the open block at `committed` depends on."""
        if topic == JOIN and self._indexes is not None:
            size = self._indexes.settings.block_size
            try:
                return min(block_first(committed, size), self._indexes.position(partition))
            except IndexUnavailable:
                return 0  # what the index turns out to hold is passed over
        return rewind(committed, size=self._settings.block_size, horizon=self._settings.horizon)

    def start(self, topic: str, partition: int, offset: int) -> None:
        """A partition is ours: records will come from `offset` on."""
        committed = self._committed.pop((topic, partition), offset)
        wanted = self._rewound(topic, partition, committed)
        log_start = offset if offset > wanted else 0
        underway = Underway(self._on_failure)
        owned = _Partition(topic, partition, None, committed, offset, offset, underway, asked_at=offset)
        self._partitions[topic, partition] = owned
        if topic == JOIN and self._indexes is not None:
            summarise_from = block_first(committed, self._indexes.settings.block_size)
            owned.open = functools.partial(
                self._indexes.join, partition, log_start=log_start, summarise_from=summarise_from
            )
            self._mend(owned)
        else:
            owned.summariser = PartitionSummariser(
                BY_TOPIC[topic],
                partition,
                summarise_from=block_first(committed, self._settings.block_size),
                log_start=log_start,
                settings=self._settings,
                keys=self._keys[topic],
            )

    def revoke(self, topic: str, partition: int) -> None:
        """A partition is no longer ours."""
        gone = self._partitions.pop((topic, partition), None)
        if gone is not None:
            gone.underway.abandon()
        if topic == JOIN and self._indexes is not None:
            self._indexes.close(partition)

    def close(self) -> None:
        """Let go of what is under way and of what is on disk."""
        for partition in self._partitions.values():
            partition.underway.abandon()
        self._partitions.clear()
        if self._indexes is not None:
            self._indexes.close_all()

    def join_statistics(self) -> JoinStatistics | None:
        """Size of the indexes of this worker, and what the disk refused; None without a join."""
        if self._indexes is None:
            return None
        joins = [one.summariser for one in self._partitions.values() if isinstance(one.summariser, JoinPartition)]
        return added([join.statistics for join in joins], self._indexes.failures, held=self.held)

    @property
    def held(self) -> int:
        """Partitions of the join that take no records until the disk takes their index again."""
        return sum(one.refused > 0 for one in self._partitions.values())

    def positions(self) -> dict[tuple[str, int], int]:
        """Offset after the last summarised record of each partition."""
        return {key: partition.position for key, partition in self._partitions.items()}

    async def take(self, batch: Batch, acknowledge: Callable[[], None]) -> None:
        """Summarise a batch; `acknowledge` is called once its records are safe. Raises PoisonBudgetExceeded."""
        partition = self._partitions.get((batch.topic, batch.partition))
        if partition is None:
            return
        if not await self._usable(partition):
            return
        follower = partition.summariser
        if isinstance(follower, JoinPartition):
            closed = self._join(follower, batch)
        elif follower is None:
            return
        else:
            dead, closed = follower.feed(
                batch.offsets,
                batch.timestamps,
                batch.values,
                next_offset=batch.next_offset,
                first_offset=batch.first_offset,
            )
            fresh = [letter for letter in dead if letter.offset >= partition.committed]
            self._poison[batch.topic].spend(len(batch), len(fresh))
            partition.letters += [self._dead_letter(batch, letter) for letter in fresh]
            partition.forwards += since(follower.take_forwards(), partition.committed)
        # Before anything is awaited: whoever publishes the open block meanwhile publishes the closed ones before it.
        partition.closed += closed
        partition.position = batch.next_offset
        await asyncio.sleep(0)  # nothing else here need wait: let the other stage and the steps have their turn
        if partition.letters or events_in(partition.forwards) >= HELD_FORWARDS:
            await self._hand_over(partition)
        partition.waiting.append((batch.next_offset, acknowledge))
        if closed:
            await self._publish(partition)

    async def publish(self) -> None:
        """Publish all open blocks, however little they have grown, and the clocks; acknowledge what that makes safe."""
        await self._publish_each(lambda _: 0.0, OwnTime())

    async def publish_regularly(self, own: OwnTime) -> None:
        """Publish, in one call of many, without the open block of a partition that went on by a block since the last.

        At that pace the ends of its blocks publish each record as soon, and doing it twice takes time from reading just
        when there is most to read. `own` measures what of this is computing.
        """
        await self._publish_each(_worth_publishing, own)

    async def _publish_each(self, least_growth: Callable[[_Partition], float | None], own: OwnTime) -> None:
        await asyncio.gather(
            *(own.run(self._publish(one, least_growth=least_growth(one))) for one in self._partitions.values())
        )
        await self._publish_clocks()

    async def _publish(self, partition: _Partition, *, least_growth: float | None = None) -> None:
        """Publish finished blocks, and the open one if it has grown so much; None: not the open one."""
        async with partition.lock:
            # While this waited for the lock the partition may have gone, and its index with it.
            if not self._ours(partition) or partition.summariser is None or not self._mend(partition):
                return
            messages, partition.closed = partition.closed, []
            if least_growth is not None:
                told = partition.summariser.open_block(least_growth=least_growth)
                partition.passed_over = 0 if told else partition.passed_over + 1
                messages = messages + told
            through = partition.summariser.told
            # The clock is that of the last block: a batch may be one record, and its timestamp absurd.
            told_clocks = (reach_of(message).clock_ms for message in reversed(messages))
            partition.clock_ms = next((at for at in told_clocks if at >= 0), partition.clock_ms)
            await self._hand_over(partition)
            await self._write(messages)
            if isinstance(partition.summariser, JoinPartition) and not self._commit(partition, through):
                return
            await partition.underway.done(through)
            while partition.waiting and partition.waiting[0][0] <= through:
                partition.waiting.popleft()[1]()

    def _join(self, follower: JoinPartition, batch: Batch) -> list[BlockMessage]:
        """Feed the joiner what its index does not hold yet."""
        begin = bisect_left(batch.offsets, follower.position)
        try:
            return follower.feed(
                batch.offsets[begin:], batch.timestamps[begin:], batch.values[begin:], next_offset=batch.next_offset
            )
        except CorruptIndex as error:
            self._discard(batch.partition, error)
            raise

    def _commit(self, partition: _Partition, through: int) -> bool:
        """Enter blocks whose messages are acknowledged into the index; not those of a partition that has gone.

        False when the disk refuses: nothing is acknowledged, and the partition takes no records until `_mend` succeeds.
        """
        if not self._ours(partition):
            return True
        try:
            partition.summariser.commit(through)  # type: ignore[union-attr]  # asked for joiners only
        except CorruptIndex as error:
            self._discard(partition.number, error)
            raise
        except IndexUnavailable as error:
            self._refuse(partition, error)
            return False
        if partition.refused:
            log.info("join index usable again", partition=partition.number)
        partition.refused = 0
        return True

    async def _usable(self, partition: _Partition) -> bool:
        """Wait until the index takes what is written; False when the partition has gone meanwhile."""
        while partition.refused and self._ours(partition):
            await asyncio.sleep(max(0.0, partition.retry_at - asyncio.get_running_loop().time()))
            if partition.refused and self._ours(partition):
                await self._publish(partition) if self._mend(partition) else None
        return self._ours(partition)

    def _mend(self, partition: _Partition) -> bool:
        """Open an index, or open it again after the disk refused it, if it is time to try; whether it is open."""
        if partition.open is None or (partition.summariser is not None and not partition.refused):
            return True
        if partition.refused and asyncio.get_running_loop().time() < partition.retry_at:
            return False
        try:
            if isinstance(partition.summariser, JoinPartition):
                partition.summariser.reopen()
            else:
                partition.summariser = partition.open()
                partition.refused = 0
        except IndexUnavailable as error:
            self._refuse(partition, error)
            return False
        return True

    def _refuse(self, partition: _Partition, error: IndexUnavailable) -> None:
        partition.refused += 1
        pause = min(LAST_PAUSE_SECONDS, 0.5 * 2.0 ** min(partition.refused, 10))
        partition.retry_at = asyncio.get_running_loop().time() + pause
        if self._indexes is not None:
            self._indexes.failures[UNAVAILABLE] += 1
        log.error("join index not usable, the join waits", partition=partition.number, error=str(error), retry_in=pause)

    def _ours(self, partition: _Partition) -> bool:
        return self._partitions.get((partition.topic, partition.number)) is partition

    def _discard(self, number: int, error: CorruptIndex) -> None:
        if self._indexes is not None:
            self._indexes.discard(number, str(error), ending=True)

    async def _hand_over(self, partition: _Partition) -> None:
        """Begin to write dead letters and what goes to the join."""
        if not (partition.letters or partition.forwards):
            return
        targets = await self._count(JOIN) if partition.forwards else 0
        # From here on nothing is awaited until it is under way: nobody acknowledges in between.
        records, partition.letters = partition.letters, []
        forwards, partition.forwards = partition.forwards, []
        records += [Record(JOIN, None, value, partition=to) for to, value in chunks(forwards, partitions=targets)]
        handed_over, partition.handed_over = partition.handed_over, partition.position
        if records:
            await partition.underway.begin(handed_over, self._outlet.write(records))

    async def _write(self, messages: Sequence[BlockMessage]) -> None:
        count = await self._count(BLOCKS)
        records = []
        for message in messages:
            name = message.model if isinstance(message, ModelBlock) else source_of(message)
            number = block_partition(name, count)
            records.append(Record(BLOCKS, block_key(message), encode_block(message), partition=number))
        await self._outlet.write(records)

    async def _publish_clocks(self) -> None:
        count = await self._count(BLOCKS)
        records = []
        for partition in self._partitions.values():
            if partition.clock_ms != partition.told_clock_ms:
                partition.told_clock_ms = partition.clock_ms
                clock = Clock(partition.topic, partition.number, partition.clock_ms)
                key, data = block_key(clock), encode_block(clock)
                records += [Record(BLOCKS, key, data, partition=number) for number in range(count)]
        await self._outlet.write(records)

    async def _count(self, topic: str) -> int:
        """Number of partitions of a topic, asked once."""
        if topic not in self._counts:
            self._counts[topic] = await self._outlet.partitions(topic)
        return self._counts[topic]

    def _dead_letter(self, batch: Batch, letter: DeadLetter) -> Record:
        value = batch.values[letter.index]
        why = {
            "exception": letter.why.reason.value,
            "message": str(letter.why),
            "stacktrace": "",
            "stage": STAGE,
            "app_version": self._version,
        }
        if letter.why.reason is Reason.OVERSIZE and value is not None:
            # The body would not fit where records of the source's size are not allowed; its size and hash identify it.
            why |= {"size": str(len(value)), "sha256": hashlib.sha256(value).hexdigest()}
            value = b""
        return dead_letter(
            batch.topic,
            batch.partition,
            letter.offset,
            key=batch.key(letter.index),
            value=value,
            headers=batch.headers(letter.index),
            why=why,
        )


class _PoisonBudget:
    """Refused records among the last ones of a topic."""

    def __init__(self, topic: str, ratio: float, window: int) -> None:
        self._topic = topic
        self._ratio = ratio
        self._window = window
        self._recent: deque[tuple[int, int]] = deque()
        self._read = 0
        self._refused = 0

    def spend(self, read: int, refused: int) -> None:
        self._recent.append((read, refused))
        self._read += read
        self._refused += refused
        while self._recent and self._read - self._recent[0][0] >= self._window:
            gone = self._recent.popleft()
            self._read -= gone[0]
            self._refused -= gone[1]
        if self._read >= self._window and self._refused > self._ratio * self._read:
            raise PoisonBudgetExceeded(
                f"{self._topic}: {self._refused} of the last {self._read} records were refused, allowed are"
                f" {self._ratio:.0%}. What is not in {self._topic}.dlq yet is read again: mend the producer, or raise"
                " poison.maximum_ratio"
            )


def _worth_publishing(partition: _Partition) -> float | None:
    """The growth from which on the open block is published; None if a block or more went by since this was asked."""
    moved, partition.asked_at = partition.position - partition.asked_at, partition.position
    if partition.summariser is not None and moved >= partition.summariser.block_size:
        return None
    return LEAST_GROWTH if partition.passed_over < PASS_OVER else 0.0


def block_partition(name: str, count: int) -> int:
    """Partition of the blocks topic for a model or a source."""
    return hash_id(name) % count


def block_key(message: BlockMessage) -> bytes:
    """Key of a message: the model, "" where it is about the source itself, and after the last separator its reach."""
    if isinstance(message, Clock):
        name, about, reach = "", "clock", message.clock_ms
    else:
        name = message.model if isinstance(message, ModelBlock) else ""
        about, reach = str(message.span.first), message.span.through
    return SEPARATOR.join((name, source_of(message), about, str(reach))).encode()


def furthest(keys: Iterable[bytes | None]) -> list[int]:
    """Indices, ascending, of the messages that no other message with the same subject outreaches.

    A reader that is behind needs only these: what reaches further replaces what reaches less far. Of equals the first
    counts: a former owner's next block may lie between it and its repetition, and blocks must be taken in order.
    """
    best: dict[bytes, tuple[int, int]] = {}
    for index, key in enumerate(keys):
        about, _, reach = (key or b"").rpartition(SEPARATOR.encode())
        told = int(reach) if reach.isdigit() else index
        if about not in best or told > best[about][0]:
            best[about] = (told, index)
    return sorted(index for _, index in best.values())
