"""What the simulation tests share: small scenarios and the events of a log, decoded by the contract's own decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from monitor.decode import Rejected, decode_event
from monitor.events import Appeal, Decision, Event, Report, Review
from monitor.simulate import MinuteBatch, Scenario, TruthRow, generate
from monitor.simulate.designs import AnyDesign
from monitor.simulate.scenario import Appeals, Model, Policy, Queue, Reports
from monitor.topics import APPEALS, DECISIONS, REPORTS, REVIEWS, SourceTopic

START = 1_790_000_040_000 // 60_000 * 60_000
SEED = 20260314


def model(name: str = "m", *, rate: float = 2000.0, audit: AnyDesign | None = None, **fields: object) -> Model:
    """A text model with two policies and three languages."""
    values: dict[str, object] = {
        "policies": (
            Policy(name="hate", prevalence=0.2, threshold=0.5),
            Policy(name="spam", prevalence=0.3, threshold=0.6, action="restrict", escalate_from=0.4),
        ),
        "languages": {"en": 0.5, "es": 0.3, "de": 0.2},
        "regions": {"us": 0.6, "eu": 0.4},
        "separation": 2.5,
    }
    return Model(name=name, modality="text", decisions_per_minute=rate, audit=audit, **(values | fields))  # type: ignore[arg-type]


def scenario(*models: Model, **fields: object) -> Scenario:
    """A scenario with appeals, reports and a queue unless told otherwise."""
    values: dict[str, object] = {"queue": Queue(), "appeals": Appeals(), "reports": Reports()} | fields
    return Scenario(name="test", models=models or (model(),), **values)  # type: ignore[arg-type]


_LOGS: dict[tuple[str, int, int, bool], tuple[MinuteBatch, ...]] = {}


def log(what: Scenario, *, minutes: int = 5, seed: int = SEED, drain: bool = True) -> tuple[MinuteBatch, ...]:
    """The log of a scenario from START, generated once."""
    key = (repr(what), minutes, seed, drain)
    if key not in _LOGS:
        _LOGS[key] = tuple(generate(what, seed=seed, start_ms=START, minutes=minutes, drain=drain))
    return _LOGS[key]


def flat(batches: Iterable[MinuteBatch]) -> list[tuple[str, int, bytes, bytes]]:
    """(topic, timestamp, key, value) of every record, in order."""
    return [
        (topic, at, key, value)
        for batch in batches
        for topic, records in batch.records.items()
        for at, key, value in zip(records.timestamps.tolist(), records.keys, records.values, strict=True)
    ]


def _events(batches: Iterable[MinuteBatch], source: SourceTopic) -> list[Event]:
    result = []
    for batch in batches:
        for value in batch.records[source.topic].values:
            event = decode_event(source, value)
            assert not isinstance(event, Rejected), f"{event}: {value.decode()}"
            result.append(event)
    return result


def decisions(batches: Iterable[MinuteBatch]) -> list[Decision]:
    return [event for event in _events(batches, DECISIONS) if isinstance(event, Decision)]


def reviews(batches: Iterable[MinuteBatch]) -> list[Review]:
    return [event for event in _events(batches, REVIEWS) if isinstance(event, Review)]


def appeals(batches: Iterable[MinuteBatch]) -> list[Appeal]:
    return [event for event in _events(batches, APPEALS) if isinstance(event, Appeal)]


def reports(batches: Iterable[MinuteBatch]) -> list[Report]:
    return [event for event in _events(batches, REPORTS) if isinstance(event, Report)]


def total(batches: Iterable[MinuteBatch], **where: str) -> Counter[str]:
    """Sums of the truth over all minutes, for the rows that match."""
    sums: Counter[str] = Counter()
    for batch in batches:
        for row in batch.truth:
            if all(getattr(row, name) == value for name, value in where.items()):
                sums.update({name: getattr(row, name) for name in COUNTS})
    return sums


COUNTS = tuple(name for name, kind in TruthRow.__annotations__.items() if kind == "int")


def precision(sums: Counter[str]) -> float:
    return sums["true_positives"] / sums["acted"]
