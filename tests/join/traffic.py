"""Logs of the join topic for the tests, each from a seed, with everything that at-least-once forwarding may do to them.

Copies of the very record, producers' copies, early feedback, feedback about decisions nobody forwarded, tombstones,
junk, gaps in offsets, time that leaps, steps back and is absurd.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from monitor.decode import Rejected, decode_event, decode_identified
from monitor.events import Appeal, Report, Review
from monitor.join.block import JoinSettings
from monitor.join.forwarding import KINDS, Forward, chunks, contexts_of, forward_decisions, forward_feedback
from monitor.join.name_book import NameBook
from monitor.layout import Layout
from monitor.rows import hash_id
from monitor.summarise_settings import SummariseSettings
from monitor.topics import SourceTopic
from tests.core.runs import BLOCK
from tests.core.strategies import DAY, HOUR, MINUTE, T0, appeal, decision, encoded, report, review

LAYOUT: Final = Layout()
SUMMARISE: Final = SummariseSettings(layout=lambda _: LAYOUT, kinds=(), block_size=BLOCK, retention_ms=20 * DAY * 1000)
"""Without segments: everything counts once."""
SETTINGS: Final = JoinSettings(SUMMARISE, wait_ms=2 * HOUR * 1000, horizon_ms=2 * DAY * 1000, block_size=BLOCK)

Place = tuple[int, int, int]


@dataclass(frozen=True)
class Item:
    """What is forwarded, in plain terms: `about` is a decision, or feedback read at `place` of its topic."""

    source_ms: int
    about: dict[str, Any]
    place: Place | None


@dataclass(frozen=True)
class Sent:
    """One record of the join topic: a chunk of decisions or of feedback; without items junk or a tombstone."""

    offset: int
    log_ms: int
    items: tuple[Item, ...]
    value: bytes | None


def chunk(items: Sequence[Item]) -> bytes:
    """The record of the join topic that holds these."""
    ((_, value),) = chunks([_forward(item) for item in items], partitions=1)
    return value


def _forward(item: Item) -> Forward:
    event, place, at_ms = item.about, item.place, item.source_ms
    if place is None:
        contexts = contexts_of([decode_identified(encoded(event))], NameBook())
        return forward_decisions(contexts, offsets=np.array([0]), timestamps=np.array([at_ms]))
    source: SourceTopic = KINDS[place[0]]
    told = decode_event(source, encoded(event))
    assert not isinstance(told, Rejected)
    assert isinstance(told, (Review, Appeal, Report))
    return forward_feedback(
        told, source, partition=place[1], offset=place[2], timestamp_ms=at_ms, id_hash=hash_id(identity(event))
    )


def identity(event: dict[str, Any]) -> str:
    """What makes two feedback events of a kind the same."""
    if "appeal_id" in event:
        return f"{event['stage']}\x1f{event['appeal_id']}"
    return str(event.get("review_id") or event["report_id"])


def traffic(seed: int, *, decisions: int = 60, together: float = 0.4) -> list[Sent]:
    """A partition of the join topic; `together`: how probably something shares the record before where it can."""
    rng = random.Random(seed)
    clock = float(T0)
    events: list[tuple[float, float, dict[str, Any], Place | None]] = []
    places = [0, 0, 0]
    for number in range(decisions):
        clock += rng.choice((0.5, 2, 30, 300)) if rng.random() < 0.93 else rng.choice((HOUR, 5 * HOUR, 3 * DAY))
        skew = rng.choice((0, 0, 0, -30, -3 * HOUR, -30 * DAY, 2 * HOUR))
        about = decision(
            number,
            at=clock + skew,
            model=rng.choice(("m0", "m1")),
            action=rng.choice(("remove", "allow", "blur")),
            inclusion_probability=rng.choice((None, 0.25)),
            language=rng.choice(("en", "es", None)),
            variant=rng.choice(("champion", "canary")),
            modality=rng.choice(("text", "smell")),
        )
        if rng.random() < 0.85:
            later = clock + rng.choice((0, 0, 0, 60, 5 * HOUR))
            events += [(later, clock, about, None)] * rng.choice((1, 1, 1, 1, 2))
        for kind, make in enumerate((review, appeal, report)):
            for _ in range(rng.choice((0, 0, 0, 1, 2))):
                at = clock + rng.choice((-HOUR, -60, -1, 0, 5, 60, 600, HOUR, DAY, 3 * DAY))
                event = make(rng.randrange(4), about, at=at, known=False, **_fields(rng, kind))
                for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
                    places[kind] += rng.choice((1, 1, 3))
                    copies = rng.choice((1, 1, 1, 2, 3))
                    events += [
                        (at + rng.choice((0, 0, 0, 30, HOUR)), at, event, (kind, rng.randrange(2), places[kind]))
                    ] * copies
    rng.shuffle(events)
    events.sort(key=lambda event: event[0] // (5 * MINUTE))
    return _sent(rng, events, together)


def _fields(rng: random.Random, kind: int) -> dict[str, Any]:
    if kind == 0:
        return {
            "verdict": rng.choice(("violating", "benign", "unsure", "odd")),
            "source": rng.choice(("audit", "queue", "golden")),
            "inclusion_probability": rng.choice((None, 1.0, 0.3)),
        }
    return {"stage": rng.choice(("filed", "upheld", "lost"))} if kind == 1 else {}


def _sent(
    rng: random.Random, events: Sequence[tuple[float, float, dict[str, Any], Place | None]], together: float
) -> list[Sent]:
    offset = rng.choice((0, 0, 7, 1000))
    sent: list[Sent] = []
    for log_time, source_time, event, place in events:
        log_ms = round(1000 * (log_time + rng.choice((0, 0, 0, -1, 3600)) + (rng.random() < 0.01) * 900 * DAY))
        item = Item(round(1000 * source_time), event, place)
        before = sent[-1].items if sent else ()
        if before and _kind(before[0]) == _kind(item) and rng.random() < together:
            items = (*before, item)
            sent[-1] = dataclasses.replace(sent[-1], items=items, value=chunk(items))
            continue
        if rng.random() < 0.03:
            sent.append(Sent(offset, log_ms, (), rng.choice((None, b"junk", b""))))
        else:
            sent.append(Sent(offset, log_ms, (item,), chunk([item])))
        offset += 1 if rng.random() < 0.93 else rng.choice((2, 7, 16, 45))
    return sent


def _kind(item: Item) -> int | None:
    return None if item.place is None else item.place[0]
