"""What a decision that goes through the join costs, by stage, and what it takes on disk.

Run: `python -m tests.bench.join --decisions 1000000`. Each stage is CPU time for each forwarded decision: forwarding
(events to columns), chunks (columns to records), produce and read (aiokafka against the embedded broker, whose own time
is left out), join (the joiner with feedback, messages and look-ups), index (writing to RocksDB) and background (its
flushes and compactions). The peer makes one record of the topic for each decision. Making the events is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.broker import EmbeddedBroker
from monitor.decode import decode_event, decode_identified
from monitor.events import IdentifiedContext, Review
from monitor.join.block import JoinSettings
from monitor.join.forwarding import Forward, chunks, contexts_of, forward_decisions, forward_feedback
from monitor.join.joiner import JoinPartition
from monitor.join.name_book import NameBook
from monitor.join.rocks import IndexMemory, RocksIndex
from monitor.layout import Layout
from monitor.rows import hash_id
from monitor.service.outlet import KafkaOutlet, Record
from monitor.settings import KafkaSettings
from monitor.streaming.security import security_of
from monitor.summarise_settings import SummariseSettings
from monitor.topics import JOIN, REVIEWS
from tests.bench.tables import Table, begin, show
from tests.core.strategies import T0, decision, encoded, review

PARTITIONS = 4
PUBLISH_EVERY = 40
"""Fetches between two publications of the open block: one second at 300 thousand decisions a second."""
TOGETHER = 4
"""Fetches that are written at the same time: the source has several partitions."""
MODELS, LANGUAGES, REGIONS = 8, ("en", "es", "de", "pt", "hi", "ja"), ("us", "eu", "br", "in")
DIGITS = 32
"""Ids are as long as hexadecimal UUIDs and as random."""


@dataclass
class Spent:
    """CPU seconds by stage, and what came out."""

    seconds: dict[str, float] = field(default_factory=dict)
    decisions: int = 0
    feedback: int = 0
    records: int = 0
    kafka_bytes: int = 0
    entries: int = 0
    disk_bytes: int = 0
    settled_bytes: int = 0

    def add(self, stage: str, begun: float, clock: Callable[[], float] = time.thread_time) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + clock() - begun


Fetch = tuple[int, list[IdentifiedContext], list[Review]]
"""Kafka's time in ms, decisions that can get feedback, and reviews without context."""
Values = list[list[bytes]]
"""Values of records by partition of the join topic."""


def fetches(decisions: int, *, fetch: int, feedback: float, seed: int) -> Iterator[Fetch]:
    """Decisions, and feedback about a share of them a good while later."""
    rng = random.Random(seed)
    decided: list[str] = []
    for first in range(0, decisions, fetch):
        at = 1000 * T0 + 20 * first
        names = [f"{rng.getrandbits(128):0{DIGITS}x}" for _ in range(min(fetch, decisions - first))]
        events = [_decision(rng, name, at + 20 * number) for number, name in enumerate(names)]
        decided += names
        about = [decided[rng.randrange(len(decided))] for _ in names if rng.random() < feedback]
        yield at, events, [_review(rng, name, at) for name in about]


def _decision(rng: random.Random, name: str, at: int) -> IdentifiedContext:
    return decode_identified(
        encoded(
            decision(
                0,
                at=at / 1000,
                decision_id=name,
                model=f"classifier-{rng.randrange(MODELS)}",
                model_version="2025-10-01",
                policy=rng.choice(("hate", "spam", "violence", "nudity")),
                language=rng.choice(LANGUAGES),
                region=rng.choice(REGIONS),
                surface="feed",
                modality="text",
                score=rng.random(),
                inclusion_probability=0.05,
                design_id="weekly-audit",
            )
        ),
    )


def _review(rng: random.Random, about: str, at: int) -> Review:
    told = review(0, {"decision_id": about}, at=at / 1000, known=False, review_id=f"{rng.getrandbits(128):0{DIGITS}x}")
    event = decode_event(REVIEWS, encoded(told))
    assert isinstance(event, Review)
    return event


class Topic:
    """The join topic in the embedded broker."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        kafka = KafkaSettings(bootstrap_servers=bootstrap)
        self._outlet = KafkaOutlet(bootstrap, security_of(kafka), client_id="bench")

    async def start(self) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        await self._outlet.start()
        await self._consumer.start()
        at = [TopicPartition(JOIN, number) for number in range(PARTITIONS)]
        self._consumer.assign(at)
        await self._consumer.seek_to_beginning(*at)

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._outlet.stop(within=5.0)

    async def write(self, records: Sequence[tuple[int, bytes]]) -> None:
        await self._outlet.write([Record(JOIN, None, value, partition=number) for number, value in records])

    async def read(self, count: int) -> Values:
        """The values of so many records, by partition, in order."""
        found: Values = [[] for _ in range(PARTITIONS)]
        while sum(map(len, found)) < count:
            for at, records in (await self._consumer.getmany(timeout_ms=500)).items():
                found[at.partition] += [record.value for record in records]
        return found


async def measure(
    bootstrap: str,
    folder: Path,
    traffic: Iterator[Fetch],
    *,
    cut: Callable[[Sequence[Forward]], list[tuple[int, bytes]]],
) -> Spent:
    """All stages over the traffic; `cut` makes records of what is forwarded."""
    spent = Spent()
    layout = Layout()
    settings = JoinSettings(SummariseSettings(layout=lambda _: layout))
    memory = IndexMemory()
    indexes = [RocksIndex(folder / str(number), memory=memory) for number in range(PARTITIONS)]
    joiners = [JoinPartition(number, index, settings=settings) for number, index in enumerate(indexes)]
    topic = Topic(bootstrap)
    await topic.start()
    offset, book = 0, NameBook()
    waiting: list[Coroutine[None, None, None]] = []
    times: list[int] = []
    """Kafka's time of each fetch"""
    written: list[list[int]] = [[] for _ in range(PARTITIONS)]
    """fetch of each record, by partition"""
    for fetch, (at, decisions, reviews) in enumerate(traffic):
        times.append(at)
        begun = time.thread_time()
        offsets, at_once = np.arange(len(decisions)), np.full(len(decisions), at)
        forwards: list[Forward] = [forward_decisions(contexts_of(decisions, book), offsets=offsets, timestamps=at_once)]
        spent.add("forwarding", begun)
        told = []
        for event in reviews:
            offset += 1
            hashed = hash_id(event.review_id)
            begun = time.thread_time()
            one = forward_feedback(event, REVIEWS, partition=0, offset=offset, timestamp_ms=at, id_hash=hashed)
            spent.add("feedback forwarding", begun)
            told.append(one)
        begun = time.thread_time()
        records = [*cut(forwards), *cut(told)]
        spent.add("chunks", begun)
        waiting.append(topic.write(records))
        if len(waiting) == TOGETHER:
            await _write(spent, waiting)
        for number, _ in records:
            written[number].append(fetch)
        spent.decisions += len(decisions)
        spent.feedback += len(reviews)
        spent.records += len(records)
        spent.kafka_bytes += sum(len(value) for _, value in records)
    await _write(spent, waiting)
    begun = time.thread_time()
    read = await topic.read(spent.records)
    spent.add("read", begun)
    begun = time.process_time() - time.thread_time()
    for fetch, at in enumerate(times):
        _join(spent, joiners, read, written, fetch, at)
    spent.add("background", begun, lambda: time.process_time() - time.thread_time())
    await topic.stop()
    begun = time.process_time() - time.thread_time()
    for index in indexes:
        index.flush()
    spent.add("background", begun, lambda: time.process_time() - time.thread_time())
    for joiner, index in zip(joiners, indexes, strict=True):
        spent.entries += joiner.statistics.entries
        spent.disk_bytes += index.bytes()
        index.settle()
        spent.settled_bytes += index.bytes()
        index.close()
    return spent


async def _write(spent: Spent, waiting: list[Coroutine[None, None, None]]) -> None:
    begun = time.thread_time()
    await asyncio.gather(*waiting)
    spent.add("produce", begun)
    waiting.clear()


def _join(
    spent: Spent, joiners: Sequence[JoinPartition], read: Values, written: Sequence[Sequence[int]], fetch: int, at: int
) -> None:
    """Give each joiner the records that were written of a fetch."""
    for joiner, values, fetches_of in zip(joiners, read, written, strict=True):
        begin, end = bisect_left(fetches_of, fetch), bisect_right(fetches_of, fetch)
        if begin == end:
            continue
        begun = time.thread_time()
        joiner.feed(range(begin, end), [at] * (end - begin), values[begin:end], next_offset=end)
        if fetch % PUBLISH_EVERY == 0:
            joiner.open_block()
        spent.add("join", begun)
        begun = time.thread_time()
        joiner.commit(end)
        spent.add("index", begun)


def together(forwards: Sequence[Forward]) -> list[tuple[int, bytes]]:
    """One record for what a fetch brings for a partition."""
    return chunks(forwards, partitions=PARTITIONS)


def one_by_one(forwards: Sequence[Forward]) -> list[tuple[int, bytes]]:
    """One record for each decision and each feedback."""
    return chunks(forwards, partitions=PARTITIONS, at_most=1)


def table(spent: dict[str, Spent]) -> Table:
    """CPU by stage, beside the peer where it was measured."""
    one = next(iter(spent.values()))
    rows = [
        (stage, *(f"{1e6 * each.seconds[stage] / max(1, each.decisions):.2f} µs" for each in spent.values()))
        for stage in one.seconds
    ]
    rows.append(
        ("together", *(f"{1e6 * sum(e.seconds.values()) / max(1, e.decisions):.2f} µs" for e in spent.values()))
    )
    rows.append(("on disk an entry", *(f"{e.disk_bytes / max(1, e.entries):.1f} B" for e in spent.values())))
    rows.append(("on disk, compacted", *(f"{e.settled_bytes / max(1, e.entries):.1f} B" for e in spent.values())))
    rows.append(("in Kafka a decision", *(f"{e.kafka_bytes / max(1, e.decisions):.1f} B" for e in spent.values())))
    note = (
        f"{one.decisions:,} decisions, {one.feedback:,} reviews without context, {one.records:,} records of the topic."
    )
    return Table("Feedback join: CPU a forwarded decision", ("stage", *spent), rows, (note,))


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=400_000)
    parser.add_argument("--feedback", type=float, default=0.1, help="reviews a decision, about any decision before")
    parser.add_argument("--fetch", type=int, default=400, help="forwarded decisions a fetch: 5 %% of 8000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peer", action="store_true", help="measure one record a decision as well")
    told = parser.parse_args(arguments)
    cuts = {"chunks": together, **({"one record a decision": one_by_one} if told.peer else {})}
    spent: dict[str, Spent] = {}
    for name, cut in cuts.items():
        with TemporaryDirectory() as folder, EmbeddedBroker({JOIN: PARTITIONS}) as broker:
            traffic = fetches(told.decisions, fetch=told.fetch, feedback=told.feedback, seed=told.seed)
            spent[name] = asyncio.run(measure(broker.bootstrap, Path(folder), traffic, cut=cut))
    return show([table(spent)])


if __name__ == "__main__":
    begin(run)
