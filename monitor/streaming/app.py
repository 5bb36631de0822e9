"""The Faust application: one agent a topic, each handing whole batches to the stage that knows what to do with them.

Settings follow from measurements: an exception in a stage stops the app, nothing is acknowledged on its own, and no
topic is created or table kept by Faust.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import faust

from monitor.settings import KafkaSettings
from monitor.streaming.fetch import RecordBatch
from monitor.streaming.security import Security, faust_credentials
from monitor.streaming.transport import Batching, Progress, broker_urls

BATCHES_AT_ONCE: Final = 500
"""Batches of the log that are taken out of what was fetched at once. Where producers write small ones a fetch holds
thousands, and the consumer's thread, which also sends the heartbeats, would stand still for seconds."""

Receive = Callable[[RecordBatch, Callable[[], None]], Awaitable[None]]


def create_app(
    kafka: KafkaSettings,
    security: Security,
    *,
    topics: Sequence[str],
    receive: Receive,
    batching: Batching,
    directory: Path,
) -> Any:
    """A Faust app that reads `topics`; `receive(batch, acknowledge)` is awaited, in order a partition.

    `directory` is where Faust makes a folder of its own, in which nothing is kept.
    """
    app = faust.App(
        kafka.group_id,
        broker=broker_urls(kafka.bootstrap_servers),
        broker_credentials=faust_credentials(security),
        broker_commit_interval=kafka.commit_interval_seconds,
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_rebalance_timeout=max(60.0, kafka.session_timeout_seconds),  # nothing but silence ends a membership
        broker_request_timeout=max(40.0, kafka.session_timeout_seconds + 10.0),
        broker_heartbeat_interval=min(3.0, kafka.session_timeout_seconds / 3.0),
        consumer_group_instance_id=kafka.instance_id,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=BATCHES_AT_ONCE,
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_wait_empty=False,
        stream_buffer_maxsize=8,
        agent_supervisor="mode.CrashingSupervisor",
        processing_guarantee="at_least_once",
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        producer_acks=-1,
        producer_threaded=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
        store="memory://",
        datadir=directory,
    )
    app.transport.batching = batching
    for topic in topics:
        _declare(app, topic, receive)
    return app


def progress(app: Any) -> dict[tuple[str, int], Progress]:
    """How far each assigned partition is; empty before the first assignment."""
    consumer = app.consumer
    return {(tp.topic, tp.partition): found for tp, found in consumer.progress().items()} if consumer.started else {}


def crash(app: Any) -> BaseException | None:
    """What stopped the app, if something did."""
    reason: BaseException | None = app.crash_reason
    return reason


def _declare(app: Any, topic: str, receive: Receive) -> None:
    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            batch = event.value
            # The acknowledgement outlives the batch by a publish interval or a checkpoint; the records should not.
            event.value = event.message.value = None
            await receive(batch, event.ack)

    app.agent(app.topic(topic, value_type=None, value_serializer="raw"), name=topic, concurrency=1)(agent)
