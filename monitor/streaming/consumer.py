"""Faust's consumer, made to read whole batches: what leaves a fetch, where reading starts, what is acknowledged.

Faust reads a partition from its committed offset, takes the jump between two batches for a gap, acknowledges what a
stream skipped unseen, goes on when a seek timed out and commits in one assignment what was processed in another; each
override below undoes one of these, and the contract test pins what it stands on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from aiokafka.errors import IllegalGenerationError, IllegalStateError, KafkaError
from aiokafka.protocol.commit import OffsetCommitRequest
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from mode import Service

from monitor.streaming.batching import Batching, Progress
from monitor.streaming.fetch import RecordBatch, as_record, deliver_batches, merge

SOUGHT_AGAIN_SECONDS = 0.1
"""After a seek that came to nothing: the next assignment is on its way."""
HELD_SECONDS = 0.1
"""So soon it is seen that a topic is not held any more."""
REFUSALS = 3
"""How often in a row the group may refuse us, before the app stops with the reason."""


class BatchScheduler:
    """Decides what leaves a fetch: of batched topics one record a partition, its value the merged `RecordBatch`.

    Merged batches end at `max_records` or with the batch of the log that passes it, so one event is bounded by that.
    """

    def __init__(self, *, topics: Collection[str], max_records: int) -> None:
        self.topics = topics
        self.max_records = max_records

    def iterate(self, records: Mapping[Any, list[Any]]) -> Iterator[tuple[Any, Any]]:
        """Pairs of (TP, aiokafka record) from what one fetch brought, partition by partition, in offset order."""
        for tp, found in records.items():
            if tp.topic not in self.topics:
                for record in found:
                    yield tp, record
                continue
            group: list[RecordBatch] = []
            size = 0
            for record in found:
                group.append(record.value)
                size += len(record.value)
                if size >= self.max_records:
                    yield tp, as_record(merge(group))
                    group, size = [], 0
            if group:
                yield tp, as_record(merge(group))


class Fetched(dict[Any, list[Any]]):
    """Records of one fetch, with the number of the seek after which they were read."""

    def __init__(self, records: Mapping[Any, list[Any]], seeks: int) -> None:
        super().__init__(records)
        self.seeks = seeks


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's thread around the aiokafka consumer: delivers batches and seeks where it is told."""

    seeks = 0
    _refusals = 0

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = self.transport.batching.isolation  # noqa: SLF001
        consumer._fetch_max_wait_ms = int(1000 * self.transport.batching.fetch_wait)  # noqa: SLF001
        consumer._fetch_min_bytes = self.transport.batching.fetch_bytes  # noqa: SLF001
        return consumer

    async def on_start(self) -> None:
        await super().on_start()  # joins no group and fetches nothing before the app subscribes
        deliver_batches(self._consumer._fetcher, topics=self.transport.batching.topics)  # noqa: SLF001
        watch_membership(self._consumer._coordinator, self.transport.batching.on_member)  # noqa: SLF001
        bind_commits(self._consumer._coordinator)  # noqa: SLF001

    @Service.task  # type: ignore[untyped-decorator]
    async def _watch_group(self) -> None:
        # aiokafka keeps an error of the group (refused, no right, fenced) for its own getmany, which Faust does not
        # call, and waits until somebody takes it: without this the worker would wait for ever and look alive.
        while not self.should_stop:
            await self.sleep(1.0)
            if self._consumer is None or self._consumer._coordinator is None:  # noqa: SLF001
                continue
            try:
                self._consumer._coordinator.check_errors()  # noqa: SLF001
            except KafkaError as error:
                self._refusals += 1
                if self._refusals == REFUSALS:
                    raise
                self.log.warning("The group refuses us (%d of %d times): %r", self._refusals, REFUSALS, error)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        self._refusals = 0
        self.transport.batching.on_member(time.monotonic())
        await super().on_partitions_assigned(assigned, generation_id)

    def _stopped_set(self) -> None:
        # A crash ends the thread before anybody stops it, and its loop with it.
        try:
            super()._stopped_set()
        except RuntimeError:
            if not self.thread_loop.is_closed():
                raise
            self._stopped.set()

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        self.log.exception(msg.format(*fmt))  # Faust prints it past the log

    async def on_thread_stop(self) -> None:
        within = self.transport.batching.stop_within
        await bounded(super().on_thread_stop(), within, self.log, "Shutdown: leaving the group")

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Fetched:
        records = await super()._fetch_records(*args, **kwargs)
        return Fetched(records, self.seeks)

    async def commit_in(self, generation: int, offsets: Mapping[Any, int]) -> bool:
        """Commit as a member of that generation of the group; False, and nothing committed, when it is over."""
        return bool(await self.call_thread(self._commit_in, generation, offsets))

    async def _commit_in(self, generation: int, offsets: Mapping[Any, int]) -> bool:
        # The coordinator asks again before it sends; before that Faust fails where none of the partitions is ours.
        if self._ensure_consumer()._coordinator.generation != generation:  # noqa: SLF001
            return False
        token = COMMITTED_IN.set(generation)
        try:
            return bool(await self._commit(offsets))
        finally:
            COMMITTED_IN.reset(token)

    async def bounds(self) -> dict[Any, tuple[int | None, int, int]]:
        """For each assigned partition the committed offset, the log's first offset and the offset after its end."""
        return dict(await self.call_thread(self._bounds))

    async def _bounds(self) -> dict[Any, tuple[int | None, int, int]]:
        consumer = self._ensure_consumer()
        tps = sorted(consumer.assignment())
        committed = await asyncio.gather(*(consumer.committed(tp) for tp in tps))
        first = await consumer.beginning_offsets(tps)
        end = await consumer.end_offsets(tps)
        return {tp: (offset, first[tp], end[tp]) for tp, offset in zip(tps, committed, strict=True)}

    def ends(self) -> dict[Any, tuple[int | None, float | None]]:
        """End of what can be read of each assigned partition as the last fetch told it, and when; callable anywhere."""
        subscription = self._consumer and self._consumer._subscription.subscription  # noqa: SLF001
        assignment = subscription and subscription.assignment
        return {ensure_TP(tp): self._end(assignment.state_value(tp)) for tp in assignment.tps} if assignment else {}

    def _end(self, state: Any) -> tuple[int | None, float | None]:
        stable = self.transport.batching.isolation == "read_committed" and state.lso is not None and state.lso >= 0
        end: int | None = state.lso if stable else state.highwater
        return end, None if state.timestamp is None else state.timestamp / 1000

    async def seek_all(self, starts: Mapping[Any, int]) -> None:
        """Read on at these offsets; whatever was fetched before is stale."""
        await self.call_thread(self._seek_all, starts)

    async def _seek_all(self, starts: Mapping[Any, int]) -> None:
        consumer = self._ensure_consumer()
        self.seeks += 1
        for tp, offset in starts.items():
            consumer.seek(driver.ensure_aiokafka_TP(tp), offset)


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer for events that are batches: acknowledged in order, read from where `Batching.rewind` says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batching: Batching = self.transport.batching
        self.scheduler = BatchScheduler(topics=self.batching.topics, max_records=self.batching.max_records)
        self._generation_sought: int | None = None
        self._assignment: object | None = None  # that in force; None between two
        self._sought: object | None = None  # the assignment for which was sought last
        self._seeking = asyncio.Lock()
        self._committed: dict[Any, tuple[int | None, float | None]] = {}  # offset, and when we committed it
        self._room = asyncio.Event()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Nothing: the watchdog looks for what stands still.

        Faust's own look fails on a partition that has no position, as after an assignment or an offset out of range.
        """

    # Reading.

    async def perform_seek(self) -> None:
        """Start reading every assigned partition: batched ones at `rewind`, the others at their committed offset.

        Nothing starts when the assignment ends meanwhile: who was told of the end must not be told of a start after it.
        Several who ask at once, as Faust and `_getmany` do after an assignment, get one start: each throws away what
        the one before had begun to read.
        """
        seeks = self._thread.seeks
        async with self._seeking:
            if self._thread.seeks == seeks or not self._is_sought():
                await self._seek()

    def _is_sought(self) -> bool:
        """Whether reading has started in this assignment."""
        holds = self._assignment is not None and self._assignment is self._sought
        return holds and self._generation_sought == self.app.consumer_generation_id

    async def _seek(self) -> None:
        generation, assignment = self.app.consumer_generation_id, self._assignment
        bounds = await self._thread.bounds()
        if not self._holds(assignment):
            return
        committed: dict[Any, int | None] = {}
        starts: dict[Any, int] = {}
        for assigned, (offset, first, end) in bounds.items():
            tp = ensure_TP(assigned)
            committed[tp] = offset
            if offset is None:
                starts[tp] = first
            elif offset > end:
                self.log.error(
                    "%s: committed offset %d is beyond the log's end %d: a topic made anew. What counted of the former"
                    " one hides as many records of this one: see the runbook, A topic was made anew",
                    tp,
                    offset,
                    end,
                )
                committed[tp], starts[tp] = None, first
            elif tp.topic in self.batching.topics:
                starts[tp] = max(first, min(offset, self.batching.rewind(tp.topic, tp.partition, offset)))
            else:
                starts[tp] = max(first, offset)
        await self._thread.seek_all(starts)
        if not self._holds(assignment):
            return
        # Faust drops what it reads below the read offset and acknowledges nothing below the committed one.
        self._read_offset.update(starts)
        self._committed_offset.update(committed)
        self._committed.update(
            {tp: (offset, self._committed.get(tp, (None, None))[1]) for tp, offset in committed.items()}
        )
        again = sum(max(0, offset - starts[tp]) for tp, offset in committed.items() if offset is not None)
        self.log.info("Reading %d partitions; %d records are read again", len(starts), again)
        self._generation_sought, self._sought = generation, assignment
        self.batching.on_start({tp: offset for tp, offset in starts.items() if tp.topic in self.batching.topics})

    def _holds(self, assignment: object | None) -> bool:
        """Whether this is an assignment that has not ended."""
        holds = assignment is not None and assignment is self._assignment
        if not holds:
            self.log.info("Assignment changed while seeking")
        return holds

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        if not self.app.client_only and self._generation_sought != self.app.consumer_generation_id:
            try:  # Faust goes on when its own seek takes too long: never read without it
                await self.perform_seek()
            except IllegalStateError:
                self.log.info("Assignment changed while seeking")
            if self._generation_sought != self.app.consumer_generation_id:
                await self.sleep(SOUGHT_AGAIN_SECONDS)
                return {}
        held = {tp for tp in active_partitions or () if self.batching.held(tp.topic)}
        if held:
            active_partitions, timeout = active_partitions - held, min(timeout, HELD_SECONDS)
            if not active_partitions:
                await self.sleep(HELD_SECONDS)
                return {}
        records = await super()._getmany(active_partitions, timeout)
        if getattr(records, "seeks", self._thread.seeks) != self._thread.seeks:
            return {}  # read before the last seek: they come again
        return records

    async def _wait_next_records(self, timeout: float) -> Any:
        # Without this Faust sleeps a whole second when the buffers of all partitions are full.
        if self.flow_active and self._buffered_partitions and not self._get_active_partitions():
            self._room.clear()
            await self.wait(self._room, timeout=1.0)
        return await super()._wait_next_records(timeout)

    def on_buffer_drop(self, tp: Any) -> None:
        super().on_buffer_drop(tp)
        self._room.set()

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        self._assignment = object()
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        if self._assignment is not None:
            await bounded(self._commit_before_revoked(), self.batching.revoked_within, self.log, "Last commit")
        self._assignment = None
        self.batching.on_revoked({tp for tp in revoked if tp.topic in self.batching.topics})
        for tp in revoked:
            self._committed.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    async def _commit_before_revoked(self) -> None:
        await self.batching.before_revoked()
        await self.maybe_wait_for_commit_to_finish()
        await self.commit()

    # Acknowledging.

    def ack(self, message: Any) -> bool:
        # Faust's streams also "acknowledge" what they skip unseen during a rebalance or a stop: it was never tracked.
        # What an earlier assignment read is read again, also when its acknowledgement comes between two assignments:
        # kept, it would be committed in the next one, behind what another worker committed meanwhile.
        if message.topic in self.batching.topics and (
            not message.tracked or message.generation_id != self._generation_read
        ):
            message.acked = True
            return False
        return bool(super().ack(message))

    @property
    def _generation_read(self) -> int | None:
        """The generation of the group whose partitions we read now; None between two."""
        generation: int | None = self._generation_sought
        return generation if self._assignment and generation == self.app.consumer_generation_id else None

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self.batching.topics:  # the offsets inside a batch are no gap
            await super()._add_gap(tp, offset_from, offset_to)

    def _new_offset(self, tp: Any) -> int | None:
        if tp.topic not in self.batching.topics:
            offset: int | None = super()._new_offset(tp)
            return offset
        acked = self._acked[tp]
        if not acked:
            return None
        offset = max(acked) + 1  # in order, and an agent that fails stops the app: all below is processed
        acked.clear()
        self._acked_index[tp].clear()
        return offset

    async def _commit_offsets(self, offsets: Mapping[Any, int], start_new_transaction: bool = True) -> bool:
        """Commit in the generation that the offsets are of, or not at all: Kafka takes what a member of it says.

        Faust asks only whether the partitions are ours when it is done waiting, maybe for the next time.
        """
        generation = self._generation_read
        await self.app.producer.flush()
        # A crash may have ended the thread; what was not committed is read again.
        if generation is None or self._thread.thread_loop.is_closed():
            return False
        done: bool = await self._thread.commit_in(generation, offsets)
        if done and generation == self._generation_read:
            now = self.batching.clock()
            self._committed_offset.update(offsets)
            self._committed.update({tp: (offset, now) for tp, offset in offsets.items()})
        return done

    async def on_stop(self) -> None:
        await bounded(self._commit_last(), self.batching.stop_within, self.log, "Shutdown: the last commit")

    async def _commit_last(self) -> None:
        await self.maybe_wait_for_commit_to_finish()  # or Faust takes a commit that is on its way for the last one
        await super().on_stop()

    # Looking on.

    def progress(self) -> dict[Any, Progress]:
        """Progress of each assigned partition of the batched topics; asks nobody, so it never waits."""
        return {
            tp: Progress(end, fetched_at, *self._committed.get(tp, (None, None)))
            for tp, (end, fetched_at) in self._thread.ends().items()
            if tp.topic in self.batching.topics
        }


COMMITTED_IN: ContextVar[int] = ContextVar("generation of the group that a commit belongs to")


def bind_commits(coordinator: Any) -> None:
    """Let this one aiokafka coordinator send each commit in its generation only: its own retries know the latest."""
    send: Callable[[Any, Any], Awaitable[None]] = coordinator._do_commit_offsets  # noqa: SLF001

    async def send_in_generation(assignment: Any, offsets: Any) -> None:
        if coordinator.generation != COMMITTED_IN.get():
            raise IllegalGenerationError(coordinator.group_id)
        await send(assignment, offsets)

    coordinator._do_commit_offsets = send_in_generation  # noqa: SLF001


def watch_membership(coordinator: Any, on_member: Callable[[float | None], None]) -> None:
    """Tell of each heartbeat of this one aiokafka coordinator whether the group still knew us, and when we asked."""
    beat: Callable[[], Awaitable[bool]] = coordinator._do_heartbeat  # noqa: SLF001

    async def beat_and_tell() -> bool:
        asked = time.monotonic()
        known = await beat()
        if known:
            on_member(asked)
        elif coordinator.generation == OffsetCommitRequest.DEFAULT_GENERATION_ID:
            on_member(None)
        return known

    coordinator._do_heartbeat = beat_and_tell  # noqa: SLF001


async def bounded(step: Awaitable[None], seconds: float, log: Any, name: str) -> None:
    """Await a step that needs the broker, but not longer than `seconds`; what is then not committed is read again."""
    try:
        await asyncio.wait_for(step, timeout=seconds)
    except TimeoutError:
        log.warning("%s took more than %g s, going on without", name, seconds)
    except KafkaError as error:
        log.warning("%s failed: %s", name, error)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        log.warning("%s was cancelled from within", name)  # left alone it would end the thread unnoticed
