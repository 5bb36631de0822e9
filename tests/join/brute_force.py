"""The join as its rules say it, over plain dictionaries, one record after the other.

What has found its decision is counted by the summary of source topics, as feedback that came with its context.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor import catalogue
from monitor.blocks import BlockMessage, Entries, ModelBlock, SourceBlock
from monitor.join.forwarding import KINDS
from monitor.packing import Packed, unpack
from monitor.partition import PartitionSummariser
from monitor.summarise_settings import SummariseSettings
from monitor.topics import JOIN
from tests.join.traffic import LAYOUT, SETTINGS, Item, Place, Sent, identity

CONTEXT = (
    *("occurred_at", "model", "model_version", "policy", "action", "language", "region", "surface", "modality"),
    *("variant", "inclusion_probability", "score"),
)


@dataclass
class Known:
    """Feedback about one decision."""

    expires: int
    first: dict[tuple[int, str], Place] = field(default_factory=dict)
    copies: set[Place] = field(default_factory=set)
    waiting: list[tuple[int, Item]] = field(default_factory=list)


class BruteForce:
    """Takes records one by one, and what they hold one after the other.

    `counts` are of the service's metrics, `joined` is feedback with its decision.
    """

    def __init__(self) -> None:
        self.counts: Counter[Any] = Counter()
        self.joined: list[tuple[Item, dict[str, Any]]] = []
        self.waiting: list[tuple[int, Item]] = []
        self.now = -1
        self._times: list[int] = []
        self._known: dict[str, Known] = {}
        self._decided: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        """time and content of all copies of a decision"""

    def take(self, sent: Sent) -> None:
        self._times.append(sent.log_ms)
        window = sorted(self._times[-64:])
        self.now = max(self.now, window[(len(window) - 1) // 2])
        self.counts[catalogue.RECORDS.name, (JOIN,)] += max(1, len(sent.items))
        if not sent.items:
            name, labels = (
                (catalogue.TOMBSTONES.name, (JOIN,))
                if sent.value is None
                else (catalogue.DEAD_LETTERS.name, (JOIN, "malformed"))
            )
            self.counts[name, labels] += 1
            return
        # All decisions of a chunk are there before the first of them is looked at.
        for item in sent.items:
            if item.place is None:
                self._decided.setdefault(item.about["decision_id"], []).append((self.now, item.about))
        for item in sent.items:
            name = item.about["decision_id"]
            known = self._known.get(name)
            if known is not None and known.expires <= self.now:
                known = self._known.pop(name) and None
            if item.place is not None:
                known = self._known.setdefault(name, known or Known(self.now + SETTINGS.horizon_ms))
                self._feedback(known, item, item.place, (item.place[0], identity(item.about)))
            elif known is not None and known.waiting:
                self._decision(known, self._decision_of(name))

    def _decision_of(self, name: str) -> dict[str, Any] | None:
        """The oldest copy that is no older than the horizon; copies are alike."""
        copies = self._decided.get(name, [])
        return next((about for at, about in copies if at > self.now - SETTINGS.horizon_ms), None)

    def _decision(self, known: Known, decision: dict[str, Any] | None) -> None:
        assert decision is not None
        known.expires = self.now + SETTINGS.horizon_ms
        early = [one for one in known.waiting if one[0] > self.now]
        known.waiting = []
        self.waiting = [one for one in self.waiting if one not in early]
        self.joined += [(item, decision) for _, item in early]

    def _feedback(self, known: Known, sent: Item, place: Place, which: tuple[int, str]) -> None:
        if which in known.first:
            if known.first[which] != place and place not in known.copies:
                known.copies.add(place)
                self.counts[catalogue.DUPLICATES.name, (KINDS[place[0]].topic,)] += 1
            return
        known.first[which] = place
        decision = self._decision_of(sent.about["decision_id"])
        if decision is not None:
            self.joined.append((sent, decision))
        else:
            one = (min(self.now + SETTINGS.wait_ms, known.expires), sent)
            known.waiting.append(one)
            self.waiting.append(one)


def expected(log: Sequence[Sent]) -> Counter[Any]:
    """All counts after a log: of cells, and of the service's metrics that are not zero."""
    join = BruteForce()
    for sent in log:
        join.take(sent)
    for deadline, item in join.waiting:
        if deadline <= join.now and item.place is not None:
            join.counts[catalogue.ORPHANS.name, (KINDS[item.place[0]].topic,)] += 1
    return join.counts + as_with_context(join.joined)


def as_with_context(joined: Sequence[tuple[Item, dict[str, Any]]]) -> Counter[Any]:
    """What the source topics' summary counts of this feedback when it carries its decision."""
    counts: Counter[Any] = Counter()
    for kind, source in enumerate(KINDS):
        own = [(sent, about) for sent, about in joined if sent.place is not None and sent.place[0] == kind]
        settings = SummariseSettings(layout=lambda _: LAYOUT, kinds=(), retention_ms=SETTINGS.summarise.retention_ms)
        summariser = PartitionSummariser(source, 0, summarise_from=0, log_start=0, settings=settings)
        values: list[bytes | None] = []
        for number, (sent, about) in enumerate(own):
            context = {field: about[field] for field in CONTEXT if about.get(field) is not None}
            # Ids repeat between decisions; here each is to count.
            ids = {name: f"{number}" for name in ("review_id", "appeal_id", "report_id") if name in sent.about}
            values.append(json.dumps(sent.about | ids | {"decision": context}).encode())
        summariser.feed(
            list(range(len(own))), [sent.source_ms for sent, _ in own], values, next_offset=max(1, len(own))
        )
        counts += counted(summariser.open_block(), without=(catalogue.RECORDS.name,))
    return counts


def counted(messages: Iterable[BlockMessage], *, without: Sequence[str] = ()) -> Counter[Any]:
    """The sums of messages about different blocks, by what is counted."""
    counts: Counter[Any] = Counter()
    for message in messages:
        if isinstance(message, SourceBlock):
            counts.update({(name, labels): count for name, labels, count in message.counts if name not in without})
        elif isinstance(message, ModelBlock):
            for what, entries in (("cohort", message.cohort), ("arrival", message.arrival)):
                counts.update(_cells(message, what, entries))
    return counts


def _cells(block: ModelBlock, what: str, entries: Entries) -> dict[Any, int]:
    def numbers(packed: Packed) -> list[int]:
        values: list[int] = unpack(packed).tolist()
        return values

    series, minutes = numbers(block.cell_series), numbers(block.cell_minute)
    return {
        (what, block.model, block.series[series[cell]], minutes[cell], column): value
        for cell, column, value in zip(
            numbers(entries.cell), numbers(entries.column), numbers(entries.value), strict=True
        )
    }
