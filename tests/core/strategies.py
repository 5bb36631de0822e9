"""Events, logs of partitions and whole worlds of traffic for the tests of the core, each from a seed.

Hypothesis draws seeds and cuts, not single records: a log of a hundred events is cheap to make and its failures replay
by their seed, but they do not shrink to the smallest log.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS, SourceTopic

T0: Final = 1_760_000_000
"""2025-10-09T08:53:20Z, the begin of most logs."""
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400

Event = dict[str, Any]
Record = tuple[int, bytes | None]
"""(Kafka timestamp in ms, value)"""


def examples(count: int) -> settings:
    """A deterministic Hypothesis profile with so many examples."""
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


seeds = st.integers(min_value=0, max_value=2**32 - 1)


def instant(seconds: float) -> str:
    """RFC 3339 text of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def decision(number: int | str, *, at: float = T0, **fields: Any) -> Event:
    """A decision with id d<number>."""
    event = {
        "decision_id": f"d{number}",
        "occurred_at": instant(at),
        "model": "m",
        "model_version": "1",
        "policy": "p",
        "action": "remove",
        "score": 0.5,
    }
    return event | fields


def context(about: Event) -> Event:
    """What feedback carries of its decision."""
    names = ("occurred_at", "model", "model_version", "policy", "action", "language", "region", "modality", "variant")
    return {name: about[name] for name in names if name in about}


def review(number: int | str, about: Event, *, at: float = T0, known: bool = True, **fields: Any) -> Event:
    """A review with id r<number> of a decision; without its context unless `known`."""
    event = {
        "review_id": f"r{number}",
        "decision_id": about["decision_id"],
        "reviewed_at": instant(at),
        "verdict": "violating",
        "source": "audit",
        "inclusion_probability": 0.5,
    }
    return event | ({"decision": context(about)} if known else {}) | fields


def appeal(number: int | str, about: Event, *, at: float = T0, known: bool = True, **fields: Any) -> Event:
    """A step of the appeal a<number>; without its decision's context unless `known`."""
    event = {"appeal_id": f"a{number}", "decision_id": about["decision_id"], "at": instant(at), "stage": "filed"}
    return event | ({"decision": context(about)} if known else {}) | fields


def report(number: int | str, about: Event, *, at: float = T0, known: bool = True, **fields: Any) -> Event:
    """The report u<number>; without its decision's context unless `known`."""
    event = {"report_id": f"u{number}", "decision_id": about["decision_id"], "at": instant(at)}
    return event | ({"decision": context(about)} if known else {}) | fields


def launch(version: str, *, at: float = T0, **fields: Any) -> Event:
    """A version of model `m` takes a share of the traffic."""
    event = {"model": "m", "model_version": version, "variant": "champion", "stage": "full", "at": instant(at)}
    return event | fields


def encoded(event: Event) -> bytes:
    """The bytes of an event."""
    return json.dumps(event).encode()


@dataclass(frozen=True)
class Log:
    """One partition of a source topic. `end` is where the log goes on, beyond a gap behind the last record."""

    source: SourceTopic
    partition: int
    offsets: list[int]
    timestamps: list[int]
    values: list[bytes | None]
    end: int

    def __len__(self) -> int:
        return len(self.offsets)


def log(
    source: SourceTopic, events: Sequence[Event | bytes | None], *, at: float | Sequence[float] = T0, partition: int = 0
) -> Log:
    """A log without gaps. `at` are Kafka timestamps in seconds: one for all records, or one each."""
    times = [at] * len(events) if isinstance(at, (int, float)) else list(at)
    return Log(
        source=source,
        partition=partition,
        offsets=list(range(len(events))),
        timestamps=[round(1000 * time) for time in times],
        values=[encoded(event) if isinstance(event, dict) else event for event in events],
        end=len(events),
    )


POISON: Final = (b"", b"{", b"\xff\xfe", b"[" * 2000, b'{"decision_id": 1}', b'\xef\xbb\xbf{"a": 1}')


def traffic(seed: int, *, decisions: int = 90, models: int = 3) -> list[Log]:
    """All that services publish: two partitions of decisions, feedback and launches, with everything that goes wrong.

    Copies, tombstones, poison, late and future events, time that leaps and steps back, gaps in offsets.
    """
    rng = random.Random(seed)
    clock = float(T0 + rng.randrange(2 * DAY))
    made: list[tuple[float, Event]] = []
    for number in range(decisions):
        clock += rng.choice((1, 2, 5, 5, 20, 40, 70, 400)) if rng.random() < 0.97 else rng.choice((HOUR, 5 * HOUR, DAY))
        skew = rng.choice((0, 0, 0, 0, -30, -3 * HOUR, -30 * HOUR, 200, 3600))
        made.append((clock, _random_decision(rng, number, clock + skew, models)))
    halves: list[list[Record]] = [[], []]
    for time, event in made:
        halves[rng.randrange(2)].append((round(1000 * (time + rng.uniform(-20, 20))), encoded(event)))
    logs = [_spoil(rng, DECISIONS, partition, records) for partition, records in enumerate(halves)]
    feedback: dict[SourceTopic, list[Record]] = {REVIEWS: [], APPEALS: [], REPORTS: []}
    for number, (time, event) in enumerate(made):
        for source, make in ((REVIEWS, _random_review), (APPEALS, _random_appeal), (REPORTS, report)):
            if rng.random() < 0.35:
                later = time + rng.choice((60, 600, 4 * HOUR, 3 * DAY, 20 * DAY, 200 * DAY))
                about = make(number, event, at=later, known=rng.random() < 0.85, **_random_fields(rng, source))
                feedback[source].append((round(1000 * later), encoded(about)))
    for source, records in feedback.items():
        logs.append(_spoil(rng, source, 0, sorted(records, key=lambda record: record[0])))
    launches = [(round(1000 * time), encoded(launch(str(n), at=time))) for n, (time, _) in enumerate(made[::30])]
    logs.append(_spoil(rng, LAUNCHES, 0, [(at, value) for at, value in launches]))
    return logs


def _random_decision(rng: random.Random, number: int, at: float, models: int) -> Event:
    event = decision(
        number,
        at=at,
        model=f"m{rng.randrange(models)}",
        model_version=rng.choice(("1", "2")),
        policy=rng.choice(("spam", "hate")),
        action=rng.choice(("allow", "remove", "label", "blur")),
        score=rng.random(),
        variant=rng.choice(("champion", "shadow")),
    )
    for name, values in {"language": ("en", "es", "de"), "region": ("us", "eu"), "modality": ("text", "smell")}.items():
        if rng.random() < 0.8:
            event[name] = rng.choice(values)
    if rng.random() < 0.7:
        event["latency_seconds"] = rng.expovariate(4.0)
    if rng.random() < 0.7:
        event["features"] = {"length": rng.gauss(0, 2), "kind": rng.choice(("a", "b", "zzz", None))}
    return event


def _random_fields(rng: random.Random, source: SourceTopic) -> Event:
    if source is REVIEWS:
        return {
            "verdict": rng.choice(("violating", "benign", "unsure")),
            "source": rng.choice(("audit", "queue", "golden")),
            "inclusion_probability": rng.choice((None, 1.0, 0.3, 0.01)),
        }
    return {"stage": rng.choice(("filed", "upheld", "overturned", "lost"))} if source is APPEALS else {}


_random_review = review
_random_appeal = appeal


def _spoil(rng: random.Random, source: SourceTopic, partition: int, records: list[Record]) -> Log:
    """The records with copies, tombstones and poison between them, at offsets with gaps."""
    spoiled: list[Record] = []
    for at, value in records:
        spoiled.append((at, value))
        chance = rng.random()
        if chance < 0.08:
            back = rng.choice((1, 1, 2, 20, 60))
            spoiled.append((at + 500, spoiled[-min(back, len(spoiled))][1]))
        elif chance < 0.11:
            spoiled.append((at, None))
        elif chance < 0.14:
            spoiled.append((at, rng.choice(POISON)))
    offset = rng.choice((0, 0, 5, 1000))
    offsets = []
    for _ in spoiled:
        offsets.append(offset)
        offset += 1 if rng.random() < 0.93 else rng.choice((2, 7, 16, 45))
    return Log(source, partition, offsets, [at for at, _ in spoiled], [value for _, value in spoiled], offset)
