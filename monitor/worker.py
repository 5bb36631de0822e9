"""The worker: joins the consumer group, runs both stages, serves metrics; exits on what it does not understand."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
import uuid
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

import scipy.special  # noqa: F401 - would load at its first use, in the event loop
import structlog

from monitor.assembly import Pipeline, assemble
from monitor.evaluate import take_snapshot
from monitor.exposition import Renderer
from monitor.hot_loops import missing
from monitor.http.app import create_app as create_http_app
from monitor.http.server import HttpServer
from monitor.join.rocks import IndexMemory
from monitor.reference import InvalidReference
from monitor.service.allocator import keep_buffers, release_unused
from monitor.service.evaluation import Evaluation
from monitor.service.forced_exit import ForcedExit
from monitor.service.ingest import Ingest
from monitor.service.join_indexes import JoinIndexes
from monitor.service.logs import LogCounts, configure_logs
from monitor.service.membership import WAITING, Membership
from monitor.service.obligations import Place, Standing, obligations
from monitor.service.outlet import KafkaOutlet, Unwritable
from monitor.service.own_time import OwnTime
from monitor.service.partition_log import PartitionLog
from monitor.service.preflight import NotReady, check_kafka, why_away
from monitor.service.restore_first import RestoreFirst
from monitor.service.state_directory import prepare
from monitor.service.watchdog import EX_STALLED, TICK_SECONDS, Owed, Stall, Watchdog
from monitor.settings import Settings
from monitor.snapshot import ServiceSnapshot, Snapshot
from monitor.streaming.app import crash, create_app, progress
from monitor.streaming.fetch import RecordBatch
from monitor.streaming.security import Security, security_of
from monitor.streaming.transport import Batching, Progress
from monitor.topics import BLOCKS, JOIN, SOURCES, STATE

log = structlog.get_logger(__name__)

SNAPSHOT_SECONDS: Final = 0.5
RELEASE_SECONDS: Final = 60.0
"""Between two times that unused memory is given back."""
STOP_WITHIN_SECONDS: Final = 20.0
"""Shared by all steps of an orderly stop."""
FORCED_AFTER_SECONDS: Final = 25.0
"""The process ends at once when it is still there so long after it was told to stop."""
LAST_WRITES_SECONDS: Final = 5.0
"""For what makes the successor read less again: the open blocks and a checkpoint."""
MAXIMUM_SHARE: Final = 0.2
"""Of the loop's computing time that one repeated step (publishing open blocks, taking a snapshot) may take."""
Step = Callable[[OwnTime], Coroutine[Any, Any, None]]
"""What is repeated. What it starts as tasks of its own is run through the OwnTime, to be counted with it."""
EX_FAILED: Final = 1
EX_CONFIG: Final = 2
EX_UNAVAILABLE: Final = 69
EX_FORCED: Final = 75


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code, as the README lists them."""
    counts = configure_logs(level=settings.log.level, form=settings.log.format)
    try:
        pipeline = assemble(settings)
        security = security_of(settings.kafka)
        prepare(settings.state.directory)
    except (InvalidReference, ValueError) as error:
        log.error("settings cannot be used", error=str(error))
        return EX_CONFIG
    keep_buffers()
    # What was imported stays: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    try:
        return asyncio.run(_run(settings, pipeline, security, counts))
    except NotReady as error:
        log.error("not started", error=str(error))
        return EX_UNAVAILABLE
    except OSError as error:
        log.error("not started", error=str(error))
        return EX_FAILED


async def _run(settings: Settings, pipeline: Pipeline, security: Security, counts: LogCounts) -> int:
    return await Worker(settings, pipeline, security, counts).run()


class Stalled(RuntimeError):  # noqa: N818 - says what the worker is
    """Something that has to move does not."""


EXIT_OF: Final[Mapping[type[BaseException], int]] = {Stalled: EX_STALLED, Unwritable: EX_UNAVAILABLE}
"""Of the failures that it understands."""


class Worker:
    """One process of the consumer group. `clock` gives seconds since the epoch, `token` a new name for an owner."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        security: Security,
        log_counts: LogCounts,
        *,
        clock: Callable[[], float] = time.time,
        token: Callable[[], str] = lambda: uuid.uuid4().hex[:12],
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._security = security
        self._log_counts = log_counts
        self._clock = clock
        self._version = version("moderation-monitor")
        kafka = settings.kafka
        self._membership = Membership(session_timeout=kafka.session_timeout_seconds)
        self._outlet = KafkaOutlet(
            kafka.bootstrap_servers,
            security,
            client_id=kafka.group_id,
            timeout=settings.watchdog.progress_seconds,
        )
        self._ingest = Ingest(
            pipeline.summarise,
            self._outlet,
            indexes=None
            if pipeline.join is None
            else JoinIndexes(
                settings.state.directory / "join", pipeline.join, IndexMemory(settings.join.memory_mb * 1024 * 1024)
            ),
            poison_ratio=settings.poison.maximum_ratio,
            poison_window=settings.poison.window_records,
            app_version=self._version,
            on_failure=self._fail,
        )
        self._evaluation = Evaluation(
            pipeline.evaluate,
            self._outlet,
            PartitionLog(kafka.bootstrap_servers, security, kafka.group_id),
            directory=settings.state.directory,
            token=token,
            clock=clock,
            may_write=lambda: self._membership.why_not(time.monotonic()) is None,
        )
        self._restore_first = RestoreFirst(lambda: bool(self._evaluation.restoring()))
        self._topics = [*(source.topic for source in SOURCES), *([JOIN] if pipeline.join else []), BLOCKS]
        self._app = create_app(
            kafka,
            security,
            topics=self._topics,
            receive=self._receive,
            directory=settings.state.directory / "faust",
            batching=Batching(
                topics=frozenset(self._topics),
                rewind=self._rewind,
                on_start=self._start,
                on_revoked=self._revoke,
                before_revoked=self._before_revoked,
                on_member=self._membership.heard,
                held=self._held,
                clock=clock,
            ),
        )
        self._snapshot = Snapshot.empty()
        self._snapshot_seconds: float | None = None
        self._last_commit_at: float | None = None
        self._starts: dict[Place, int] = {}
        self._joined = False
        self._stop = asyncio.Event()
        self._stop_by = 0.0
        self._aside: set[asyncio.Task[None]] = set()
        """what runs beside the steps that are repeated"""
        self._failure: BaseException | None = None
        self._forced_exit = ForcedExit()
        self._watchdog = Watchdog(
            loop_seconds=settings.watchdog.loop_seconds,
            reachable=self._kafka_answers,
            stop=self._stalled,
            forced_exit=self._forced_exit,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signalled = False

    # Its life.

    async def run(self) -> int:
        """Start everything, wait for a signal or a failure, stop everything within a deadline; the exit code."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        kafka = self._settings.kafka
        topics = [*self._topics, STATE, *(source.dead_letters for source in SOURCES)]
        await check_kafka(kafka.bootstrap_servers, self._security, topics=topics)
        server = self._serve_http()
        try:
            await self._outlet.start()
            try:
                await self._consume()
            finally:
                await self._outlet.stop(within=self._left(5.0))
        finally:
            server.stop(timeout=self._left(3.0))
        if self._failure is not None:
            log.error("stopped by a failure", error=str(self._failure), kind=type(self._failure).__name__)
            return next((code for kind, code in EXIT_OF.items() if isinstance(self._failure, kind)), EX_FAILED)
        log.info("stopped")
        return 0

    def _on_signal(self, number: int, _frame: object) -> None:
        # Python calls this between two instructions of the main thread, also where that does not return to the loop.
        if self._signalled:
            self._forced_exit.now(128 + number)
        self._signalled = True
        self._forced_exit.within(FORCED_AFTER_SECONDS, EX_FORCED)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def _fail(self, reason: BaseException) -> None:
        self._failure = self._failure or reason
        self._stop.set()

    def _stalled(self, stall: Stall) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._fail, Stalled(str(stall)))

    def _serve_http(self) -> HttpServer:
        app = create_http_app(
            self._exported,
            renderer=Renderer(),
            version=self._version,
            config_fingerprint=self._pipeline.fingerprint,
            live=self._watchdog.why_not_alive,
        )
        server = HttpServer(app, self._settings.http.host, self._settings.http.port)
        port = server.start()
        log.info("serving", host=self._settings.http.host, port=port)
        if absent := missing():
            why = "hot loops not compiled, decisions are read at a fifth of the speed: install again with a C compiler"
            log.warning(why, modules=absent)
        return server

    async def _consume(self) -> None:
        always = [asyncio.create_task(step) for step in (self._stopped(), self._watch(), self._beat())]
        start = asyncio.create_task(self._app.start())
        steps: list[asyncio.Task[None]] = []
        self._watchdog.start()
        try:
            await self._first_end([start, *always])
            if start.done() and not self._stop.is_set():
                intervals: list[tuple[float, Step]] = [
                    (self._settings.blocks.publish_interval_seconds, self._ingest.publish_regularly),
                    (self._settings.state.checkpoint_interval_seconds, lambda _: self._evaluation.checkpoint()),
                    (SNAPSHOT_SECONDS, lambda _: self._take_snapshot()),
                    (RELEASE_SECONDS, lambda _: _release_unused()),
                ]
                steps += [asyncio.create_task(_repeat(seconds, step, self._stop)) for seconds, step in intervals]
                await self._first_end([*steps, *always])
            self._stop.set()
            self._watchdog.stop()
            self._stop_by = time.monotonic() + STOP_WITHIN_SECONDS
            self._forced_exit.within(FORCED_AFTER_SECONDS, EX_FORCED if self._failure is None else EX_FAILED)
            if self._failure is None:
                await self._write_last(steps)
        finally:
            for task in (start, *always, *steps, *self._aside):
                task.cancel()
            self._membership.leave()
            positions = self._positions()
            await self._stop_app()
            self._ingest.close()
        log.info("left the group", read_again=self._uncommitted(positions))

    async def _stopped(self) -> None:
        await self._stop.wait()

    async def _first_end(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        done, _ = await asyncio.wait(list(tasks), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            reason = task.exception()
            if reason is not None:
                self._fail(reason)

    async def _write_last(self, steps: Collection[asyncio.Task[None]]) -> None:
        """Publish the open blocks and write a checkpoint, so that the successor has little to read again."""
        if not steps or self._membership.why_not(time.monotonic()) is not None:
            return
        try:
            async with asyncio.timeout(LAST_WRITES_SECONDS):
                await asyncio.gather(*steps)  # a checkpoint that is being written is finished, not torn
                await self._ingest.publish()
                await self._evaluation.checkpoint()
        except Exception as error:  # whatever it is, the end is near, and what is missing is read again
            log.warning("last writes failed; what they hold is read again", error=repr(error))

    async def _stop_app(self) -> None:
        try:
            await asyncio.wait_for(self._app.stop(), self._left(STOP_WITHIN_SECONDS))
        except TimeoutError:
            log.warning("stopping took too long; what was not committed is read again", seconds=STOP_WITHIN_SECONDS)

    def _uncommitted(self, positions: Mapping[Place, int]) -> int:
        """Records that were processed, and that a successor finds uncommitted."""
        found = progress(self._app)
        standings = (self._standing(place, at, positions.get(place)) for place, at in found.items())
        return sum(max(0, at.position - at.committed) for at in standings if at.position is not None)

    def _left(self, wanted: float) -> float:
        """Seconds that a step of the stop may take, of those that it wants."""
        return max(0.5, min(wanted, self._stop_by - time.monotonic()))

    # Reading.

    async def _receive(self, batch: RecordBatch, acknowledge: Callable[[], None]) -> None:
        stage = self._evaluation if batch.topic == BLOCKS else self._ingest
        if not self._stop.is_set():  # what comes later is the successor's
            await stage.take(batch, acknowledge)

    def _rewind(self, topic: str, partition: int, committed: int) -> int:
        return committed if topic == BLOCKS else self._ingest.rewind(topic, partition, committed)

    def _held(self, topic: str) -> bool:
        return topic != BLOCKS and self._restore_first.holds(time.monotonic())

    def _start(self, starts: Mapping[Any, int]) -> None:
        self._joined = True
        self._restore_first.begin(time.monotonic())
        for tp, offset in starts.items():
            self._starts[tp.topic, tp.partition] = offset
            if tp.topic == BLOCKS:
                self._evaluation.start(tp.partition, offset)
                self._run_aside(self._evaluation.restore(tp.partition))
            else:
                self._ingest.start(tp.topic, tp.partition, offset)

    def _run_aside(self, step: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(step)
        self._aside.add(task)
        task.add_done_callback(self._aside_ended)
        return task

    def _aside_ended(self, task: asyncio.Task[None]) -> None:
        self._aside.discard(task)
        reason = None if task.cancelled() else task.exception()
        if reason is not None:
            self._fail(reason)

    async def _before_revoked(self) -> None:
        """Publish the open blocks, so that who gets the partitions has little to read again."""
        if self._membership.why_not(time.monotonic()) is None:
            # A write is not broken off where nobody waits for it any longer.
            await asyncio.wait({self._run_aside(self._ingest.publish())})

    def _revoke(self, partitions: Collection[Any]) -> None:
        for tp in partitions:
            if tp.topic == BLOCKS:
                self._evaluation.revoke(tp.partition)
            else:
                self._ingest.revoke(tp.topic, tp.partition)

    # Looking on.

    def _exported(self) -> Snapshot:
        reason = self._membership.why_not(time.monotonic())
        snapshot = self._snapshot
        return snapshot if reason is None else snapshot.withheld(reason)

    async def _take_snapshot(self) -> None:
        begin = time.perf_counter()
        self._evaluation.advance()
        restoring = self._evaluation.restoring()
        if not self._joined:
            reason = WAITING
        elif restoring:
            reason = f"restoring partitions {restoring} of {BLOCKS}"
        else:
            reason = ""
        self._snapshot = take_snapshot(
            self._evaluation.evaluators(),
            objectives=self._pipeline.objectives,
            service=self._service(),
            taken_at=self._clock(),
            ready=not reason,
            reason=reason,
        )
        self._snapshot_seconds = time.perf_counter() - begin

    def _positions(self) -> dict[Place, int]:
        return self._ingest.positions() | self._evaluation.positions()

    def _service(self) -> ServiceSnapshot:
        positions = self._positions()
        assigned: dict[str, int] = {}
        lag: dict[Place, int] = {}
        for (topic, partition), found in progress(self._app).items():
            assigned[topic] = assigned.get(topic, 0) + 1
            position = positions.get((topic, partition))
            if found.end is not None and position is not None:
                lag[topic, partition] = max(0, found.end - position)
            if found.committed_at is not None:
                self._last_commit_at = max(found.committed_at, self._last_commit_at or 0.0)
        return ServiceSnapshot(
            lag=lag,
            assigned=assigned,
            last_commit_at=self._last_commit_at,
            last_checkpoint_at=self._evaluation.last_checkpoint_at,
            snapshot_seconds=self._snapshot_seconds,
            join=self._ingest.join_statistics(),
            log_messages=self._log_counts.counts(),
        )

    # Watching.

    async def _watch(self) -> None:
        """End the worker when Faust has crashed."""
        while True:
            await asyncio.sleep(0.5)
            reason = crash(self._app)
            if reason is not None:
                raise reason

    async def _beat(self) -> None:
        while True:
            self._watchdog.tell(self._obligations())
            await asyncio.sleep(TICK_SECONDS)

    def _obligations(self) -> dict[str, Owed]:
        positions = self._positions()
        found = progress(self._app) if self._joined else {}
        if self._ingest.held:  # a disk that refuses holds up the join; a restart mends nothing
            found = {place: at for place, at in found.items() if place[0] != JOIN}
        return obligations(
            group_known_at=self._membership.known_at,
            restored=self._evaluation.restored_records(),
            standings={place: self._standing(place, at, positions.get(place)) for place, at in found.items()},
            within=self._settings.watchdog.progress_seconds,
            commit_within=2
            * (self._settings.state.checkpoint_interval_seconds + self._settings.kafka.commit_interval_seconds),
        )

    def _standing(self, place: Place, at: Progress, position: int | None) -> Standing:
        start = self._starts.get(place, 0)
        return Standing(at.end, at.fetched_at, position, start if at.committed is None else at.committed)

    def _kafka_answers(self) -> bool:
        """Asked on the watchdog's thread, by a connection of its own: those of the worker may be what is stuck."""
        kafka = self._settings.kafka
        reason = asyncio.run(why_away(kafka.bootstrap_servers, self._security, topics=[*self._topics, STATE]))
        if reason is not None:
            log.warning("kafka is away", servers=kafka.bootstrap_servers, reason=reason)
        return reason is None


async def _release_unused() -> None:
    await asyncio.to_thread(release_unused)  # meanwhile the loop waits only where it needs memory


async def _repeat(seconds: float, step: Step, stop: asyncio.Event) -> None:
    """Run a step until `stop`, so often; an exception ends it. A step that computes for long comes less often.

    Waiting for Kafka is not counted: after an outage the next step has to come soon.
    """
    pause = seconds
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
            return
        own = OwnTime()
        await own.run(step(own))
        pause = max(seconds, own.seconds / MAXIMUM_SHARE)
