"""What the service is measured beside, each run in a process of its own: `python -m tests.bench.peers PEER ...`.

`bare` is a plain aiokafka loop that decodes every decision into a struct and does nothing else. `stock` is a Faust
agent as its documentation shows it: an event at a time, a River detector and prometheus-client metrics updated for
each. Both take the fetch settings of the service. A peer prints one line of JSON when it has read what it was asked
for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from enum import StrEnum
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from monitor.topics import DECISIONS

MAX_RECORDS: Final = 20_000
MAX_FETCH_BYTES: Final = 4 * 1024 * 1024
FETCH_WAIT_MS: Final = 250
"""As the service fetches."""

Identifier = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]


class Open(StrEnum):
    """An enumeration that reads what it does not know as `other`."""

    @classmethod
    def _missing_(cls, value: object) -> Open | None:
        return cls.__members__.get("OTHER") if isinstance(value, str) else None


class Action(Open):
    """What was done."""

    ALLOW = "allow"
    REMOVE = "remove"
    RESTRICT = "restrict"
    LABEL = "label"
    AGE_GATE = "age_gate"
    ESCALATE = "escalate"
    OTHER = "other"


class Modality(Open):
    """What was looked at."""

    VIDEO = "video"
    IMAGE = "image"
    AUDIO = "audio"
    TEXT = "text"
    MULTIMODAL = "multimodal"
    OTHER = "other"


class Variant(Open):
    """The role of the version."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"
    OTHER = "other"


class PeerDecision(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Every field of a decision with its constraints, as the contract says."""

    decision_id: Identifier
    occurred_at: Annotated[datetime, Meta(tz=True)]
    model: Name
    model_version: Name
    policy: Name
    action: Action
    score: Unit
    type: str | None = None
    schema_version: str = "1.0"
    policy_version: Name | None = None
    modality: Modality | None = None
    automated: bool | None = None
    threshold: Unit | None = None
    region: Name | None = None
    language: Name | None = None
    surface: Name | None = None
    variant: Variant = Variant.CHAMPION
    actor_key: Identifier | None = None
    sampled: bool | None = None
    inclusion_probability: Annotated[float, Meta(ge=1e-5, le=1.0)] | None = None
    design_id: Name | None = None
    latency_seconds: Annotated[float, Meta(ge=0.0, le=86_400.0)] | None = None
    views: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    features: dict[str, float | str | None] | None = None
    embedding_sketch: list[float] | None = None


class Measured(msgspec.Struct, frozen=True):
    """What a peer read after its first batch or event, in how much wall time and CPU time of its process."""

    decisions: int
    wall_seconds: float
    cpu_seconds: float


class _Meter:
    """Measures from the first call of `seen` on; what that call brought is not counted."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._first = 0
        self._begin = (0.0, 0.0)
        self.count = 0

    def seen(self, records: int) -> bool:
        """Note that so many were processed; True once there are enough."""
        self.count += records
        if not self._first:
            self._first = records
            self._begin = (time.perf_counter(), time.process_time())
        return self.count >= self._wanted

    def report(self) -> str:
        wall, cpu = self._begin
        found = Measured(self.count - self._first, time.perf_counter() - wall, time.process_time() - cpu)
        return msgspec.json.encode(found).decode()


async def bare(bootstrap: str, wanted: int) -> None:
    """aiokafka and msgspec, nothing else."""
    from aiokafka import AIOKafkaConsumer

    decode = msgspec.json.Decoder(PeerDecision).decode
    consumer = AIOKafkaConsumer(
        DECISIONS.topic,
        bootstrap_servers=bootstrap,
        group_id=f"bare-{os.getpid()}",
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        isolation_level="read_committed",
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    await consumer.start()
    meter = _Meter(wanted)
    done = False
    while not done:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=MAX_RECORDS)).values():
            for record in records:
                decode(record.value)
            done = meter.seen(len(records))
    print(meter.report(), flush=True)
    await consumer.stop()


def stock(bootstrap: str, wanted: int, data: str) -> None:
    """Faust, River and prometheus-client, one event at a time. `data` is a folder for Faust."""
    import faust
    from prometheus_client import Counter, Histogram
    from river.drift import ADWIN

    app = faust.App(
        f"stock-{os.getpid()}",
        datadir=data,
        broker=f"kafka://{bootstrap}",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=MAX_FETCH_BYTES,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        store="memory://",
    )
    topic = app.topic(DECISIONS.topic, value_type=None, value_serializer="raw")
    decode = msgspec.json.Decoder(PeerDecision).decode
    labels = ("model", "model_version", "policy", "language")
    decided = Counter("decisions", "Decisions.", (*labels, "action"))
    scores = Histogram("score", "Scores.", labels, buckets=[step / 20 for step in range(1, 21)])
    latencies = Histogram("latency_seconds", "Latencies.", labels)
    detectors: dict[tuple[str, ...], Any] = {}
    meter = _Meter(wanted)

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def count(stream: Any) -> None:
        async for value in stream:
            event = decode(value)
            segment = (event.model, event.model_version, event.policy, event.language or "unknown")
            decided.labels(*segment, event.action.value).inc()
            scores.labels(*segment).observe(event.score)
            if event.latency_seconds is not None:
                latencies.labels(*segment).observe(event.latency_seconds)
            detector = detectors.get(segment)
            if detector is None:
                detector = detectors[segment] = ADWIN()
            detector.update(event.score)
            if meter.seen(1):
                print(meter.report(), flush=True)
                os._exit(0)  # what comes after the measurement is not asked for

    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


def measure(peer: str, bootstrap: str, *, decisions: int, within: float = 300.0) -> Measured:
    """Run a peer in a process of its own. RuntimeError with what it wrote when it fails."""
    with TemporaryDirectory() as data:
        command = [sys.executable, "-m", "tests.bench.peers", peer, bootstrap, str(decisions), data]
        done = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"{' '.join(command[1:])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return msgspec.convert(json.loads(lines[-1]), Measured)


def main() -> None:
    """Run one peer until it has read enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=("bare", "stock"))
    parser.add_argument("bootstrap")
    parser.add_argument("decisions", type=int)
    parser.add_argument("data", help="folder for what the peer writes")
    told = parser.parse_args()
    if told.peer == "bare":
        asyncio.run(bare(told.bootstrap, told.decisions))
    else:
        stock(told.bootstrap, told.decisions, told.data)


if __name__ == "__main__":
    main()
