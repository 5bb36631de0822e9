"""The end of a fault test: what the workers say, beside an independent recount of what Kafka holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor import catalogue
from monitor.catalogue import Metric
from tests.e2e.accounts import COUNTERS, apart, summed
from tests.e2e.independent_count import APPEALS, DECISIONS, REPORTS, REVIEWS, Count
from tests.e2e.junk import refused
from tests.e2e.scrape import Scrape
from tests.faults.fleet import Crew
from tests.faults.read_back import DeadLetters, ReadBack, dead_letters, read_back
from tests.faults.traffic import TOPICS, Publisher

SETTLE_SECONDS = 600.0
AGREED_SECONDS = 120.0


@dataclass(frozen=True)
class Verdict:
    """What a test saw, after all that has to hold did."""

    count: Count
    events: int
    """records in the source topics"""
    lost: int
    """records and feedback that one of the two accounts has and the other has not"""
    redelivered: float | None


def settle(
    crew: Crew, bootstrap: str, publisher: Publisher | None = None, *, within: float = SETTLE_SECONDS
) -> Verdict:
    """Wait until the workers have counted what Kafka holds; AssertionError unless they say what a recount says.

    With `publisher`, Kafka has to hold what that published, each record once.
    """
    back = read_back(bootstrap)
    if publisher is not None:
        held = f"published were {dict(publisher.by_topic)}, Kafka holds {dict(back.records)}"
        assert publisher.by_topic == back.records, held
        assert publisher.fingerprint == back.fingerprint, f"as many, but not the same; {held}"

    def counted() -> bool:
        scrapes = [scrape.only(catalogue.RECORDS) for scrape in crew.scrapes()]
        return all(
            sum(scrape.total(catalogue.RECORDS, topic=topic) for scrape in scrapes) >= back.records[topic]
            for topic in TOPICS
        )

    def agreed() -> list[Scrape] | None:
        found = [scrape.only(*COUNTERS, catalogue.ORPHANS) for scrape in crew.scrapes()]
        seen[:] = apart(back.count, found)
        return None if seen else found

    seen: list[str] = []
    crew.until(counted, what=f"the workers have counted {dict(back.records)}", within=within)
    try:
        scrapes: list[Scrape] = crew.until(agreed, what="the workers say what the recount says", within=AGREED_SECONDS)
    except AssertionError as error:
        raise AssertionError("\n".join(seen[:40])) from error
    assert_each_record_is_in_one_account(back, scrapes)
    dead = dead_letters(bootstrap)
    assert_junk_is_kept(back, dead)
    return Verdict(back.count, back.events, _lost(back, scrapes), dead.redelivered)


def assert_each_record_is_in_one_account(back: ReadBack, scrapes: Sequence[Scrape]) -> None:
    """Records = counted + duplicates + dead letters + late + tombstones + orphans, and feedback that still waits."""
    left = {topic: _unaccounted(topic, counted, scrapes) for topic, counted in COUNTED.items()}
    assert 0 == left.pop(DECISIONS)
    assert back.count.waiting == sum(left.values())


def assert_junk_is_kept(back: ReadBack, dead: DeadLetters) -> None:
    """Every refused record is in its dead-letter topic, bytes unchanged, with the reason, and nothing else is."""
    reasons = refused()
    expected = {place: (value, reasons[value or b""]) for place, value in back.refused.items()}
    assert expected == dead.found


COUNTED = {
    DECISIONS: catalogue.DECISIONS,
    REVIEWS: catalogue.REVIEWS,
    APPEALS: catalogue.APPEALS,
    REPORTS: catalogue.REPORTS,
}
OTHERS = (catalogue.DUPLICATES, catalogue.DEAD_LETTERS, catalogue.ORPHANS, catalogue.TOMBSTONES, catalogue.LATE)


def _unaccounted(topic: str, counted: Metric, scrapes: Sequence[Scrape]) -> float:
    told = sum(scrape.total(counted, segment="all") for scrape in scrapes)
    told += sum(scrape.total(other, topic=topic) for scrape in scrapes for other in OTHERS)
    return sum(scrape.total(catalogue.RECORDS, topic=topic) for scrape in scrapes) - told


def _lost(back: ReadBack, scrapes: Sequence[Scrape]) -> int:
    """Records read, and decisions and feedback counted, that only one of the two accounts has."""
    apart = 0.0
    for metric, expected in ((catalogue.RECORDS, back.count.records), (catalogue.DECISIONS, back.count.decisions)):
        actual = summed(metric, scrapes)
        apart += sum(abs(expected.get(key, 0) - actual.get(key, 0)) for key in expected.keys() | actual.keys())
    apart += sum(scrape.total(catalogue.MISSED) for scrape in scrapes)
    left = sum(_unaccounted(topic, counted, scrapes) for topic, counted in COUNTED.items())
    return round(apart + abs(left - back.count.waiting))
