"""The part of the status page about the service: lag and counters by topic, so that losses are seen at a glance."""

from __future__ import annotations

from collections import defaultdict

from monitor import catalogue
from monitor.http.markup import Markup, tag
from monitor.http.numbers import DASH, count, moment
from monitor.snapshot import Snapshot

_COLUMNS = (
    ("Records", catalogue.RECORDS),
    ("Dead letters", catalogue.DEAD_LETTERS),
    ("Duplicates", catalogue.DUPLICATES),
    ("Orphans", catalogue.ORPHANS),
    ("Late", catalogue.LATE),
    ("Tombstones", catalogue.TOMBSTONES),
)


def service_card(snapshot: Snapshot, *, now: float) -> Markup:
    """A table of the topics."""
    service = snapshot.service
    lag: defaultdict[str, int] = defaultdict(int)
    for (topic, _), records in service.lag.items():
        lag[topic] += records
    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    for _, metric in _COLUMNS:
        for labels, value in service.counters.get(metric.name, {}).items():
            counts[metric.name, labels[0]] += value
    topics = sorted({*lag, *service.last_event_at, *service.assigned, *(topic for _, topic in counts)})
    titles = ["Lag", *(title for title, _ in _COLUMNS), "Last event"]
    body = []
    for topic in topics:
        cells = [
            count(lag[topic]) if topic in lag else DASH,
            *(count(counts[metric.name, topic]) for _, metric in _COLUMNS),
            moment(service.last_event_at.get(topic), now=now),
        ]
        first = tag("td", topic, tag("small", f"{count(service.assigned.get(topic))} partitions"), class_="l")
        body.append(
            tag("tr", first, (tag("td", cell, data_label=title) for cell, title in zip(cells, titles, strict=True)))
        )
    head = tag(
        "thead",
        tag("tr", tag("th", "Topic", class_="l", scope="col"), (tag("th", title, scope="col") for title in titles)),
    )
    aside = (
        f"last commit {moment(service.last_commit_at, now=now)}; "
        f"last checkpoint {moment(service.last_checkpoint_at, now=now)}"
    )
    whole = tag("div", tag("table", head, tag("tbody", body)), class_="scroll")
    table = whole if topics else tag("p", "No topic is assigned yet.", class_="none")
    return tag("section", tag("div", tag("h2", "Service"), tag("span", aside, class_="soft"), class_="top"), table)
