"""A tiny Faust app on the batch transport, for tests; `python -m tests.streaming.apps` runs one until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import faust
from confluent_kafka import Producer
from faust.types import TP

from monitor.streaming.fetch import RecordBatch
from monitor.streaming.transport import Batching, broker_urls

Rewind = Callable[[str, int, int], int]


class Reader:
    """What an app received: batches by partition since the last start, and where reading started, was taken away."""

    def __init__(self) -> None:
        self.batches: dict[Any, list[RecordBatch]] = {}
        self.starts: list[dict[Any, int]] = []
        self.revoked: list[set[Any]] = []
        self.owned: set[Any] = set()
        self.hold = asyncio.Event()  # cleared: batches are received but not acknowledged
        self.hold.set()

    def on_start(self, starts: Mapping[Any, int]) -> None:
        self.starts.append(dict(starts))
        self.owned.update(starts)
        self.batches.update({tp: [] for tp in starts})

    def on_revoked(self, partitions: Collection[Any]) -> None:
        self.revoked.append(set(partitions))
        self.owned.difference_update(partitions)

    def values(self, tp: Any) -> list[bytes | None]:
        return [value for batch in self.batches.get(tp, []) for value in batch.values]

    def read(self) -> int:
        return sum(len(batch) for batches in self.batches.values() for batch in batches)


def build(
    bootstrap: str,
    group: str,
    *,
    topics: Collection[str],
    session: float = 3.0,
    settings: Mapping[str, Any] | None = None,
    **batching: Any,
) -> faust.App:
    """An app with the settings of the service that matter here; `session` is the group's session timeout (seconds)."""
    defaults: dict[str, Any] = {
        "broker": broker_urls(bootstrap),
        "broker_commit_interval": 0.2,
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 6,
        "stream_wait_empty": False,
        "stream_buffer_maxsize": 8,
        "agent_supervisor": "mode.CrashingSupervisor",
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "web_enabled": False,
        "worker_redirect_stdouts": False,
        "store": "memory://",
        "datadir": Path(tempfile.gettempdir()) / "moderation-monitor-tests",  # Faust makes an empty folder there
        "consumer_max_fetch_size": 1 << 20,
    }
    defaults["datadir"].mkdir(exist_ok=True)
    app = faust.App(group, **{**defaults, **(settings or {})})
    app.transport.batching = Batching(topics=frozenset(topics), **batching)
    return app


def read_into(reader: Reader, app: faust.App, topic: str) -> None:
    """Declare the agent that receives a topic's batches."""

    async def receive(stream: Any) -> None:
        async for event in stream.noack().events():
            batch: RecordBatch = event.value
            before = reader.batches[TP(batch.topic, batch.partition)]
            expected = before[-1].next_offset if before else reader.starts[-1][TP(batch.topic, batch.partition)]
            assert expected <= batch.first_offset, f"expected offset {expected}, got {batch}"
            before.append(batch)
            await reader.hold.wait()
            event.ack()

    app.agent(app.topic(topic, value_type=None, value_serializer="raw"), name=f"receive-{topic}")(receive)


@contextlib.asynccontextmanager
async def reading(
    bootstrap: str,
    topic: str,
    *,
    group: str = "readers",
    rewind: Rewind | None = None,
    reader: Reader | None = None,
    **batching: Any,
) -> AsyncIterator[tuple[Reader, faust.App]]:
    """A started app that reads `topic` into a `Reader`."""
    reader = reader or Reader()
    options = {"on_start": reader.on_start, "on_revoked": reader.on_revoked, **batching}
    if rewind is not None:
        options["rewind"] = rewind
    app = build(bootstrap, group, topics={topic}, **options)
    read_into(reader, app, topic)
    await app.start()
    try:
        yield reader, app
    finally:
        await app.stop()


async def until(condition: Callable[[], bool], *, within: float = 60.0) -> None:
    """Wait for a condition; raises `TimeoutError`."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s")
        await asyncio.sleep(0.01)


async def committed(app: Any) -> int | None:
    """What the broker says is committed of the one partition that the app has."""
    [(offset, _, _)] = (await app.consumer._thread.bounds()).values()
    return offset


def numbers(start: int, stop: int) -> list[bytes]:
    """Values to tell records by."""
    return [b"%d" % number for number in range(start, stop)]


def publish(bootstrap: str, topic: str, values: Collection[bytes], *, partition: int = 0, **options: Any) -> None:
    """Publish the values in order and wait until the broker has them."""
    # Without idempotence a retry under load changes the order.
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True, **options})
    for value in values:
        producer.produce(topic, value, partition=partition)
        producer.poll(0)
    assert producer.flush(20) == 0


def main() -> None:
    """Append a line `[partition, first, next, values]` a batch to a file; a value "poison" raises."""
    arguments = argparse.ArgumentParser()
    for name in ("bootstrap", "topic", "output"):
        arguments.add_argument(name)
    arguments.add_argument("--rewind", type=int, default=0)
    arguments.add_argument("--pause", type=float, default=0.0)
    arguments.add_argument("--session", type=float, default=3.0)
    arguments.add_argument("--max_records", type=int, default=20_000)
    given = arguments.parse_args()

    def rewind(_topic: str, _partition: int, offset: int) -> int:
        return offset - given.rewind

    bounds = {"session": given.session, "max_records": given.max_records}
    app = build(given.bootstrap, "worker", topics={given.topic}, rewind=rewind, **bounds)

    async def write(stream: Any) -> None:
        async for event in stream.noack().events():
            batch: RecordBatch = event.value
            if b"poison" in batch.values:
                raise ValueError("poison")
            await asyncio.sleep(given.pause)
            values = [int(value or b"-1") for value in batch.values]
            line = json.dumps([batch.partition, batch.first_offset, batch.next_offset, values]) + "\n"
            os.write(output, line.encode())
            event.ack()

    app.agent(app.topic(given.topic, value_type=None, value_serializer="raw"), name="write")(write)
    output = os.open(Path(given.output), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.exit(faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline())


if __name__ == "__main__":
    main()
