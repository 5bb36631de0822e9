"""What goes to the join is held back until it is worth a write, and nothing is acknowledged before it is written."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Iterable, Sequence
from unittest.mock import patch

import pytest

from monitor.assembly import assemble
from monitor.join.forwarding import KEY_BYTES, DecisionChunk, FeedbackChunk, decision_key, decode_chunk
from monitor.service import ingest as module
from monitor.service.ingest import Ingest
from monitor.service.outlet import Record
from monitor.service.own_time import OwnTime
from monitor.settings import BlockSettings, Settings
from monitor.topics import DECISIONS, JOIN, REVIEWS, SourceTopic
from tests.core.strategies import decision, encoded, review
from tests.service.memory_kafka import Fetched

BLOCK = 16
PARTITIONS = 3
AT_MS = 1_760_000_000_000


class SlowOutlet:
    """Each write takes some turns of the event loop; `written` is what has been acknowledged."""

    def __init__(self, rng: random.Random) -> None:
        self.written: list[Record] = []
        self._random = rng

    async def write(self, records: Iterable[Record]) -> None:
        told = list(records)
        for _ in range(self._random.randrange(12)):
            await asyncio.sleep(0)
        self.written += told

    async def partitions(self, topic: str) -> int:
        await asyncio.sleep(0)
        return PARTITIONS

    def keys(self) -> list[bytes]:
        """Of what the join was told."""
        found = []
        for record in self.written:
            if record.topic != JOIN:
                continue
            assert record.value is not None
            chunk = decode_chunk(record.value)
            if isinstance(chunk, DecisionChunk):
                found += [chunk.keys[at : at + KEY_BYTES] for at in range(0, len(chunk.keys), KEY_BYTES)]
            elif isinstance(chunk, FeedbackChunk):
                found += [one.key for one in chunk.records]
        return found

    def letters(self) -> set[int]:
        """Offsets of dead letters."""
        headers = [dict(record.headers) for record in self.written if record.topic.endswith(".dlq")]
        return {int(told["monitor.error.offset"]) for told in headers}


def began(outlet: SlowOutlet, source: SourceTopic) -> Ingest:
    pipeline = assemble(Settings(blocks=BlockSettings(size=BLOCK, horizon=2)))
    ingest = Ingest(pipeline.summarise, outlet, poison_ratio=0.9, poison_window=100, app_version="test")
    ingest.start(source.topic, 0, 0)
    return ingest


def fetched(source: SourceTopic, begin: int, values: Sequence[bytes]) -> Fetched:
    offsets = list(range(begin, begin + len(values)))
    return Fetched(source.topic, 0, offsets, [AT_MS] * len(values), [*values], begin + len(values))


async def publish_until(done: asyncio.Event, ingest: Ingest, rng: random.Random) -> None:
    while not done.is_set():
        await rng.choice((ingest.publish, lambda: ingest.publish_regularly(OwnTime())))()
        for _ in range(rng.randrange(20)):
            await asyncio.sleep(0)


@pytest.mark.parametrize("source", [DECISIONS, REVIEWS])
@pytest.mark.parametrize("held", [1, 5, 1000])
@pytest.mark.parametrize("seed", range(4))
async def test_what_is_acknowledged_has_been_written(source: SourceTopic, held: int, seed: int) -> None:
    rng = random.Random(seed)
    outlet = SlowOutlet(rng)
    ingest = began(outlet, source)
    junk = {n for n in range(30 * BLOCK) if rng.random() < 0.02}
    events = [decision(n) if source is DECISIONS else review(n, decision(n), known=False) for n in range(30 * BLOCK)]
    values = [b"junk" if n in junk else encoded(event) for n, event in enumerate(events)]
    done, acknowledged = asyncio.Event(), [0]

    def acknowledge(through: int) -> None:
        told = set(outlet.keys())
        missing = [n for n in range(through) if n not in junk and decision_key(f"d{n}") not in told]
        assert not missing, f"acknowledged below {through}, but the join was not told of {missing}"
        assert {n for n in junk if n < through} <= outlet.letters()
        acknowledged.append(through)

    with patch.object(module, "HELD_FORWARDS", held):
        publishers = [asyncio.create_task(publish_until(done, ingest, rng)) for _ in range(2)]
        begin = 0
        while begin < len(values):
            end = min(len(values), begin + rng.randint(1, 2 * BLOCK))
            await ingest.take(fetched(source, begin, values[begin:end]), functools.partial(acknowledge, end))
            for _ in range(rng.randrange(3)):
                await asyncio.sleep(0)
            begin = end
        done.set()
        await asyncio.gather(*publishers)
        await ingest.publish()
    assert len(values) == acknowledged[-1]
    assert sorted(acknowledged) == acknowledged
    told = outlet.keys()
    assert len(told) == len(set(told)) == len(values) - len(junk)
    ingest.close()


async def test_many_small_fetches_of_a_block_become_one_record_a_partition() -> None:
    outlet = SlowOutlet(random.Random(1))
    ingest = began(outlet, DECISIONS)
    for n in range(BLOCK - 1):
        await ingest.take(fetched(DECISIONS, n, [encoded(decision(n))]), lambda: None)
    assert [] == outlet.keys()
    await ingest.publish()
    assert BLOCK - 1 == len(outlet.keys())
    assert PARTITIONS >= sum(record.topic == JOIN for record in outlet.written)
    ingest.close()


async def test_what_is_worth_a_write_waits_for_no_block() -> None:
    outlet = SlowOutlet(random.Random(1))
    ingest = began(outlet, DECISIONS)
    with patch.object(module, "HELD_FORWARDS", 4):
        for n in range(6):
            await ingest.take(fetched(DECISIONS, n, [encoded(decision(n))]), lambda: None)
        for _ in range(20):
            await asyncio.sleep(0)
    assert 4 == len(outlet.keys())
    ingest.close()
