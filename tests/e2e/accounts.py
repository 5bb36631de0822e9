"""The counters of all workers together beside an independent count: every label set, every number.

The sum over the workers is what Prometheus sees after `sum without (instance)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from monitor import catalogue
from monitor.catalogue import Metric
from monitor.topics import JOIN
from tests.e2e.independent_count import Count
from tests.e2e.scrape import Scrape, Values, difference, nonzero

COUNTERS: Final[Mapping[Metric, str]] = {
    catalogue.DECISIONS: "decisions",
    catalogue.REVIEWS: "reviews",
    catalogue.APPEALS: "appeals",
    catalogue.REPORTS: "reports",
    catalogue.RECORDS: "records",
    catalogue.DUPLICATES: "duplicates",
    catalogue.DEAD_LETTERS: "dead",
    catalogue.TOMBSTONES: "tombstones",
    catalogue.LATE: "late",
    catalogue.FUTURE: "future",
}
"""Metric -> attribute of `Count`."""


def summed(metric: Metric, scrapes: Sequence[Scrape]) -> dict[Values, float]:
    """A counter of all workers together. How often a crash wrote into the internal topic again is nobody's number."""
    total: Counter[Values] = Counter()
    for scrape in scrapes:
        total.update({at: number for at, number in scrape.counted(metric).items() if at != (JOIN,)})
    return dict(total)


def apart(expected: Count, scrapes: Sequence[Scrape]) -> list[str]:
    """What the sum of the scrapes says otherwise than the count, a line each."""
    wrong: list[str] = []
    for metric, name in COUNTERS.items():
        wrong += difference(nonzero(getattr(expected, name)), nonzero(summed(metric, scrapes)))
    return wrong
