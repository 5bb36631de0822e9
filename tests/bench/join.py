"""The feedback join on its own: records a second through a joiner on RocksDB, and bytes on disk for each decision.

Run: `python -m tests.bench.join --decisions 1000000`. CPU seconds are of the process, RocksDB's threads included; wall
seconds suffer from whatever else the machine does. Making the records is not measured.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from monitor.decode import decode_event
from monitor.events import Decision, Review
from monitor.join.block import JoinSettings
from monitor.join.forwarding import forward_decision, forward_feedback
from monitor.join.joiner import JoinPartition
from monitor.join.rocks import RocksIndex
from monitor.layout import Layout
from monitor.partition import SummariseSettings
from monitor.rows import hash_id
from monitor.topics import DECISIONS, REVIEWS
from tests.bench.tables import Table, begin, show
from tests.core.strategies import T0, decision, encoded, review

FETCH = 4096
PUBLISH_EVERY = 4
"""Fetches between two publications of the open block: about a second at 15 thousand records a second."""
MODELS, LANGUAGES, REGIONS = 8, ("en", "es", "de", "pt", "hi", "ja"), ("us", "eu", "br", "in")
DIGITS = 32
"""Ids are as long as hexadecimal UUIDs and as random."""


def records(decisions: int, *, feedback: float, seed: int) -> Iterator[tuple[list[int], list[bytes | None]]]:
    """Fetches of (timestamps, values): decisions, and feedback about a share of them a good while later."""
    rng = random.Random(seed)
    timestamps: list[int] = []
    values: list[bytes | None] = []
    decided: list[str] = []
    offset = 0
    for number in range(decisions):
        at = 1000 * T0 + 20 * number
        name = f"{rng.getrandbits(128):0{DIGITS}x}"
        timestamps.append(at)
        values.append(_decision(rng, name, at))
        decided.append(name)
        if rng.random() < feedback:
            about = decided[rng.randrange(len(decided))]
            offset += 1
            timestamps.append(at)
            values.append(_review(rng, about, offset, at))
        if len(values) >= FETCH:
            yield timestamps, values
            timestamps, values = [], []
    yield timestamps, values


def _decision(rng: random.Random, name: str, at: int) -> bytes:
    event = decode_event(
        DECISIONS,
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
    assert isinstance(event, Decision)
    return forward_decision(event, timestamp_ms=at)


def _review(rng: random.Random, about: str, offset: int, at: int) -> bytes:
    name = f"{rng.getrandbits(128):0{DIGITS}x}"
    told = review(0, {"decision_id": about}, at=at / 1000, known=False, review_id=name)
    event = decode_event(REVIEWS, encoded(told))
    assert isinstance(event, Review)
    return forward_feedback(event, REVIEWS, partition=0, offset=offset, timestamp_ms=at, id_hash=hash_id(name))


def measure(decisions: int, *, feedback: float, seed: int, block_size: int) -> Table:
    """What the joiner did."""
    layout = Layout()
    settings = JoinSettings(SummariseSettings(layout=lambda _: layout, block_size=block_size))
    with TemporaryDirectory() as folder:
        index = RocksIndex(Path(folder) / "index")
        joiner = JoinPartition(0, index, settings=settings)
        cpu = wall = 0.0
        offset = reviews = 0
        topic_bytes = 0
        for fetch, (timestamps, values) in enumerate(records(decisions, feedback=feedback, seed=seed)):
            offsets = list(range(offset, offset + len(values)))
            offset += len(values)
            topic_bytes += sum(len(value) for value in values if value is not None)
            begun = time.process_time(), time.perf_counter()
            joiner.feed(offsets, timestamps, values, next_offset=offset)
            if fetch % PUBLISH_EVERY == 0:
                joiner.open_block()
            joiner.commit(offset)
            cpu += time.process_time() - begun[0]
            wall += time.perf_counter() - begun[1]
        reviews = offset - decisions
        statistics = joiner.statistics
        index.settle()
        settled = index.bytes()
        index.close()
    entries = max(1, statistics.entries)
    return Table(
        title=f"Feedback join: {decisions:,} decisions, {reviews:,} reviews without context",
        columns=("the joiner alone", ""),
        rows=[
            ("records a CPU second", f"{offset / cpu:,.0f}"),
            ("records a wall second", f"{offset / wall:,.0f}"),
            ("entries in the index", f"{statistics.entries:,}"),
            ("bytes on disk a decision, after compaction", f"{settled / entries:.1f}"),
            ("bytes before compaction", f"{statistics.bytes / entries:.1f}"),
            ("bytes in Kafka a record, uncompressed", f"{topic_bytes / offset:.1f}"),
        ],
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--feedback", type=float, default=0.2, help="reviews a decision, about any decision before")
    parser.add_argument("--block-size", type=int, default=16_384)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    return show([measure(told.decisions, feedback=told.feedback, seed=told.seed, block_size=told.block_size)])


if __name__ == "__main__":
    begin(run)
