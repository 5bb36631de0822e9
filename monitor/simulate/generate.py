"""The simulated log, minute by minute.

Feedback belongs to the minute it is given in, not to its decision's: to start in the middle of a scenario, name its
`origin_ms`; earlier decisions are then drawn again, unpublished, for the feedback that is still to come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from monitor.simulate import truth
from monitor.simulate.encode import Encoder, launch
from monitor.simulate.feedback import Kind, follow_up
from monitor.simulate.records import MinuteBatch, Records, empty_topics
from monitor.simulate.rows import MS_PER_MINUTE
from monitor.simulate.scenario import Scenario
from monitor.simulate.traffic import Purpose, Traffic, draw, stream
from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS

_TOPICS = {
    Kind.AUDIT: REVIEWS.topic,
    Kind.QUEUE: REVIEWS.topic,
    Kind.APPEAL: APPEALS.topic,
    Kind.REPORT: REPORTS.topic,
}

_Pending = defaultdict[int, list[tuple[int, str, bytes, bytes]]]
"""Minute -> (timestamp, topic, key, value) of the feedback that is due then."""


def generate(
    scenario: Scenario,
    *,
    seed: int,
    start_ms: int,
    minutes: int,
    origin_ms: int | None = None,
    drain: bool = False,
) -> Iterator[MinuteBatch]:
    """The log of `minutes` minutes from `start_ms` (milliseconds since the epoch), one batch a minute.

    `origin_ms`: when the scenario began (incidents count from it); default `start_ms`. The same scenario, seed, origin
    and minute give the same bytes, whichever range they are asked for in. `drain`: afterwards also the feedback that
    falls behind the range, as far behind as it is; otherwise that is cut off.

    Raises ValueError if a time is not a whole minute, the origin lies after the start, or the seed is negative.
    """
    origin_ms = start_ms if origin_ms is None else origin_ms
    for name, value in (("start_ms", start_ms), ("origin_ms", origin_ms)):
        if value % MS_PER_MINUTE:
            raise ValueError(f"{name}: expected a whole minute (a multiple of {MS_PER_MINUTE}), got {value}")
    if origin_ms > start_ms:
        raise ValueError(f"origin_ms: expected at most start_ms {start_ms}, got {origin_ms}")
    if seed < 0 or minutes < 0:
        raise ValueError(f"seed and minutes: expected 0 or more, got {seed} and {minutes}")
    origin, start = origin_ms // MS_PER_MINUTE, start_ms // MS_PER_MINUTE
    return _minutes(scenario, seed=seed, origin=origin, start=start, end=start + minutes, drain=drain)


def _minutes(scenario: Scenario, *, seed: int, origin: int, start: int, end: int, drain: bool) -> Iterator[MinuteBatch]:
    encoders = [Encoder(model, model_index=index, seed=seed) for index, model in enumerate(scenario.models)]
    pending: _Pending = defaultdict(list)
    for minute in range(origin, end):
        topics = empty_topics()
        rows: list[truth.TruthRow] = []
        for index, encoder in enumerate(encoders):
            traffic = draw(scenario, index, seed=seed, minute=minute, origin=origin)
            _hold_back(pending, scenario, traffic, encoder, seed=seed, until=None if drain else end)
            if minute >= start:
                topics[DECISIONS.topic] += _decisions(scenario, traffic, encoder, seed=seed)
                rows += truth.count(traffic)
        due = pending.pop(minute, [])
        if minute >= start:
            topics[LAUNCHES.topic].append(_launches(scenario, elapsed=minute - origin, at_ms=minute * MS_PER_MINUTE))
            yield _batch(minute, topics, due, rows)
    while pending:
        minute = min(pending)
        yield _batch(minute, empty_topics(), pending.pop(minute), [])


def _batch(
    minute: int,
    topics: dict[str, list[Records]],
    due: list[tuple[int, str, bytes, bytes]],
    rows: list[truth.TruthRow],
) -> MinuteBatch:
    due.sort()  # by time, then content: the order in which minutes were drawn must not show
    for topic, parts in topics.items():
        mine = [(at, key, value) for at, name, key, value in due if name == topic]
        if mine:
            at, keys, values = zip(*mine, strict=True)
            parts.append(Records(np.array(at, dtype=np.int64), list(keys), list(values)))
    return MinuteBatch(
        start_ms=minute * MS_PER_MINUTE,
        records={topic: Records.in_time_order(parts) for topic, parts in topics.items()},
        truth=tuple(rows),
    )


def _hold_back(
    pending: _Pending, scenario: Scenario, traffic: Traffic, encoder: Encoder, *, seed: int, until: int | None
) -> None:
    """Draw the feedback on these decisions and keep it until its minute; what is due at `until` or later is cut."""
    rng = stream(seed, traffic.minute, traffic.model_index, Purpose.FEEDBACK)
    for feedback in follow_up(scenario, traffic, rng):
        topic = _TOPICS[feedback.kind]
        records = encoder.feedback(traffic, feedback)
        due = (records.timestamps // MS_PER_MINUTE).tolist()
        for minute, at, key, value in zip(due, records.timestamps.tolist(), records.keys, records.values, strict=True):
            if until is None or minute < until:
                pending[minute].append((at, topic, key, value))


def _decisions(scenario: Scenario, traffic: Traffic, encoder: Encoder, *, seed: int) -> list[Records]:
    records = encoder.decisions(traffic)
    if scenario.retry_share == 0:
        return [records]
    rng = stream(seed, traffic.minute, traffic.model_index, Purpose.RETRY)
    again = records.take(np.flatnonzero(rng.random(len(records)) < scenario.retry_share))
    wait = 1 + np.rint(rng.random(len(again)) * scenario.retry_seconds * 1000).astype(np.int64)
    last = traffic.start_ms + MS_PER_MINUTE - 1
    return [records, Records(np.minimum(again.timestamps + wait, last), again.keys, again.values)]


def _launches(scenario: Scenario, *, elapsed: int, at_ms: int) -> Records:
    """Launch events of one minute: each model's first version at the origin, then the rollouts."""
    events: list[tuple[str, bytes]] = []
    for model in scenario.models:
        if elapsed == 0:
            first = launch(
                model.name, version=model.version, variant="champion", stage="live", traffic_share=1.0, at_ms=at_ms
            )
            events.append((model.name, first))
        events += [
            (
                model.name,
                launch(
                    model.name,
                    version=rollout.version,
                    variant=rollout.variant,
                    stage=rollout.stage,
                    traffic_share=rollout.traffic_share,
                    at_ms=at_ms,
                ),
            )
            for rollout in scenario.rollouts(model.name)
            if rollout.start_minute == elapsed
        ]
    return Records(
        np.full(len(events), at_ms, dtype=np.int64),
        [name.encode() for name, _ in events],
        [value for _, value in events],
    )
