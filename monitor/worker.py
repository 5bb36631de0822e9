"""The worker: joins the consumer group, runs both stages, serves metrics; exits on what it does not understand."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from importlib.metadata import version
from typing import Any, Final

import structlog

from monitor.assembly import Pipeline, assemble
from monitor.evaluate import take_snapshot
from monitor.exposition import Renderer
from monitor.http.app import create_app as create_http_app
from monitor.http.server import HttpServer
from monitor.reference import InvalidReference
from monitor.service.evaluation import Evaluation
from monitor.service.ingest import Ingest
from monitor.service.join_indexes import JoinIndexes
from monitor.service.logs import configure_logs
from monitor.service.outlet import KafkaOutlet
from monitor.service.partition_log import PartitionLog
from monitor.service.preflight import NotReady, check_kafka
from monitor.service.state_directory import prepare
from monitor.settings import Settings
from monitor.snapshot import ServiceSnapshot, Snapshot
from monitor.streaming.app import crash, create_app, progress
from monitor.streaming.fetch import RecordBatch
from monitor.streaming.security import Security, security_of
from monitor.streaming.transport import Batching
from monitor.topics import BLOCKS, JOIN, SOURCES, STATE

log = structlog.get_logger(__name__)

SNAPSHOT_SECONDS: Final = 1.0
STOP_WITHIN_SECONDS: Final = 20.0
STALLED_AFTER_SECONDS: Final = 120.0
MAXIMUM_SHARE: Final = 0.2
"""Of the time that one repeated step (publishing open blocks, taking a snapshot) may take."""
EX_CONFIG: Final = 2
EX_UNAVAILABLE: Final = 69


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code: 0, 1 after a failure, 2 for bad settings, 69 without Kafka."""
    configure_logs(level=settings.log.level, form=settings.log.format)
    try:
        pipeline = assemble(settings)
        security = security_of(settings.kafka)
        prepare(settings.state.directory)
    except (InvalidReference, ValueError) as error:
        log.error("settings cannot be used", error=str(error))
        return EX_CONFIG
    try:
        return asyncio.run(_run(settings, pipeline, security))
    except NotReady as error:
        log.error("not started", error=str(error))
        return EX_UNAVAILABLE
    except OSError as error:
        log.error("not started", error=str(error))
        return 1


async def _run(settings: Settings, pipeline: Pipeline, security: Security) -> int:
    return await Worker(settings, pipeline, security).run()


class Worker:
    """One process of the consumer group. `clock` gives seconds since the epoch, `token` a new name for an owner."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        security: Security,
        *,
        clock: Callable[[], float] = time.time,
        token: Callable[[], str] = lambda: uuid.uuid4().hex[:12],
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._security = security
        self._clock = clock
        self._version = version("moderation-monitor")
        kafka = settings.kafka
        self._outlet = KafkaOutlet(kafka.bootstrap_servers, security, client_id=kafka.group_id)
        self._ingest = Ingest(
            pipeline.summarise,
            self._outlet,
            indexes=None
            if pipeline.join is None
            else JoinIndexes(settings.state.directory / "join", pipeline.join, settings.join.memory_mb * 1024 * 1024),
            poison_ratio=settings.poison.maximum_ratio,
            poison_window=settings.poison.window_records,
            app_version=self._version,
        )
        self._evaluation = Evaluation(
            pipeline.evaluate,
            self._outlet,
            PartitionLog(kafka.bootstrap_servers, security, kafka.group_id),
            directory=settings.state.directory,
            token=token,
            clock=clock,
        )
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
                clock=clock,
            ),
        )
        self._snapshot = Snapshot.empty()
        self._snapshot_seconds: float | None = None
        self._last_commit_at: float | None = None
        self._joined = False
        self._stop = asyncio.Event()
        self._restores: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._beat = time.monotonic()
        self._moved = time.monotonic()

    async def run(self) -> int:
        """Start everything, wait for a signal or a failure, stop everything within a deadline; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        kafka = self._settings.kafka
        await check_kafka(kafka.bootstrap_servers, self._security, topics=[*self._topics, STATE])
        server = self._serve_http()
        try:
            await self._outlet.start()
            try:
                await self._consume()
            finally:
                await self._outlet.stop(within=5.0)
        finally:
            server.stop(timeout=3.0)
        if self._failure is not None:
            log.error("stopped by a failure", error=str(self._failure), kind=type(self._failure).__name__)
            return 1
        log.info("stopped")
        return 0

    def _serve_http(self) -> HttpServer:
        app = create_http_app(
            lambda: self._snapshot,
            renderer=Renderer(),
            version=self._version,
            config_fingerprint=self._pipeline.fingerprint,
            live=self._live,
        )
        server = HttpServer(app, self._settings.http.host, self._settings.http.port)
        port = server.start()
        log.info("serving", host=self._settings.http.host, port=port)
        return server

    async def _consume(self) -> None:
        intervals: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (self._settings.blocks.publish_interval_seconds, self._ingest.publish),
            (self._settings.state.checkpoint_interval_seconds, self._evaluation.checkpoint),
            (SNAPSHOT_SECONDS, self._take_snapshot),
        ]
        await self._app.start()
        tasks = [asyncio.create_task(_repeat(seconds, step)) for seconds, step in intervals]
        tasks.append(asyncio.create_task(self._watch()))
        stop = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                self._failure = self._failure or task.exception()
        finally:
            for task in (*tasks, stop, *self._restores):
                task.cancel()
            await self._stop_app()
            self._ingest.close()

    async def _stop_app(self) -> None:
        try:
            await asyncio.wait_for(self._app.stop(), STOP_WITHIN_SECONDS)
        except TimeoutError:
            log.warning("stopping took too long; what was not committed is read again", seconds=STOP_WITHIN_SECONDS)

    async def _receive(self, batch: RecordBatch, acknowledge: Callable[[], None]) -> None:
        self._moved = time.monotonic()
        stage = self._evaluation if batch.topic == BLOCKS else self._ingest
        await stage.take(batch, acknowledge)
        self._moved = time.monotonic()

    def _rewind(self, topic: str, partition: int, committed: int) -> int:
        return committed if topic == BLOCKS else self._ingest.rewind(topic, partition, committed)

    def _start(self, starts: Mapping[Any, int]) -> None:
        self._joined = True
        for tp, offset in starts.items():
            if tp.topic == BLOCKS:
                self._evaluation.start(tp.partition, offset)
                task = asyncio.create_task(self._evaluation.restore(tp.partition))
                self._restores.add(task)
                task.add_done_callback(self._restored)
            else:
                self._ingest.start(tp.topic, tp.partition, offset)

    def _restored(self, task: asyncio.Task[None]) -> None:
        self._restores.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
            self._stop.set()

    def _revoke(self, partitions: Collection[Any]) -> None:
        for tp in partitions:
            if tp.topic == BLOCKS:
                self._evaluation.revoke(tp.partition)
            else:
                self._ingest.revoke(tp.topic, tp.partition)

    async def _take_snapshot(self) -> None:
        begin = time.perf_counter()
        self._evaluation.advance()
        restoring = self._evaluation.restoring()
        if not self._joined:
            reason = "waiting for the consumer group"
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
        self._beat = time.monotonic()

    def _service(self) -> ServiceSnapshot:
        positions = self._ingest.positions() | self._evaluation.positions()
        assigned: dict[str, int] = {}
        lag: dict[tuple[str, int], int] = {}
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
        )

    async def _watch(self) -> None:
        """End the worker when Faust has crashed, or when records wait and none arrives: a restart mends both."""
        while True:
            await asyncio.sleep(0.5)
            reason = crash(self._app)
            if reason is not None:
                raise reason
            waits = (
                any(self._snapshot.service.lag.values()) and not self._ingest.held
            )  # a full disk: a restart mends nothing
            if waits and time.monotonic() - self._moved > STALLED_AFTER_SECONDS:
                raise Stalled(f"records wait, and none has arrived for {STALLED_AFTER_SECONDS:g} s")

    def _live(self) -> str | None:
        silent = time.monotonic() - self._beat
        return None if silent < STALLED_AFTER_SECONDS else f"no readings for {silent:.0f} s"


class Stalled(RuntimeError):  # noqa: N818 - says what the worker is
    """The consumer no longer receives records although there are some."""


async def _repeat(seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    """Run a step for ever, so often; an exception ends it. A step that takes long comes less often."""
    pause = seconds
    while True:
        await asyncio.sleep(pause)
        begin = time.perf_counter()
        await step()
        pause = max(seconds, (time.perf_counter() - begin) / MAXIMUM_SHARE)
