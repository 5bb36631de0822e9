"""Feedback that has found its decision, collected over one block of the join topic and told as block messages.

Feedback of all kinds shares one message a model: the ledger keeps one message of each block and model, and takes
another one of the same block for a repetition.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np

from monitor import catalogue
from monitor.block_counts import BlockCounts, Key
from monitor.blocks import BlockMessage, SourceBlock, Span
from monitor.catalogue import Metric
from monitor.cells import REFUSED, BlockKeys, KeyTable
from monitor.decode import Rejected
from monitor.events import Appeal, AppealStage, DecisionContext, Modality, Review, ReviewSource, Variant, Verdict
from monitor.join.forwarding import KINDS, FeedbackEvent
from monitor.join.mixed_feedback import mixed_feedback
from monitor.model_block import GroupOf, model_block
from monitor.rows import FeedbackRows, concatenate, decision_key, feedback_rows, take
from monitor.summarise import GROUPS
from monitor.summarise_settings import SummariseSettings

_GROUPS: Final[tuple[GroupOf, ...]] = tuple(group for kind in KINDS if (group := GROUPS[kind.topic]) is not None)
"""Column group of each kind, in the order of KINDS."""


class JoinSummary:
    """What one block has joined so far. Times in ms; `kind` is an index of KINDS."""

    def __init__(self, settings: SummariseSettings) -> None:
        self._settings = settings
        self._table = KeyTable(settings.limits, settings.kinds)
        self._keys = BlockKeys(self._table)
        self._fresh: list[tuple[list[FeedbackEvent], list[int]]] = [([], []) for _ in KINDS]
        self._rows: list[list[FeedbackRows]] = [[] for _ in KINDS]
        self._counts = BlockCounts()
        self._noted: list[int] = []

    def count(self, metric: Metric, *labels: str, by: int = 1) -> None:
        """Count records under a metric of the service."""
        self._counts.add(metric, *labels, by=by)

    def add(self, kind: int, event: FeedbackEvent, *, timestamp_ms: int) -> Rejected | None:
        """Count feedback that carries its decision; `timestamp_ms` is Kafka's in the source topic.

        Returns why it cannot be counted, if one of the decision's names may not become a label.
        """
        context = event.decision
        if context is None:
            raise ValueError("joined feedback: expected the context of the decision, got none")
        topic = KINDS[kind].topic
        occurred_ms = round(context.occurred_at.timestamp() * 1000)
        # Keys are noted in order of the log, before rows are made: which of them meet a cap must not depend on how the
        # log was split into fetches.
        key = decision_key(context)
        code = self._table.codes[key]
        if code == REFUSED:
            return self._table.refusals[key]
        self._noted.append(code)
        if timestamp_ms - occurred_ms > self._settings.retention_ms:
            self.count(catalogue.LATE, topic)
            return None
        if occurred_ms - timestamp_ms > self._settings.future_ms:
            self.count(catalogue.FUTURE, topic)
            event = msgspec.structs.replace(event, decision=_clamped(context, timestamp_ms))
        self._count_unknown(topic, event, context)
        events, timestamps = self._fresh[kind]
        events.append(event)
        timestamps.append(timestamp_ms)
        return None

    def messages(self, span: Span, *, orphans: Mapping[int, int]) -> list[BlockMessage]:
        """The block's messages: one a model it speaks of, in order of name, then one of the records themselves.

        `orphans` are the records whose wait was over within the block, by kind.
        """
        self._keys.note(np.array(self._noted, dtype=np.int64))
        self._noted.clear()
        parts = [
            (take(rows, slice(None), key=self._keys.counted(rows.key)), _GROUPS[kind])
            for kind in range(len(KINDS))
            if (rows := self._taken(kind)) is not None
        ]
        table = self._table
        models = {int(number) for rows, _ in parts for number in np.unique(table.model_of(rows.key))}
        messages: list[BlockMessage] = []
        for name, number in sorted((table.models[number], number) for number in models):
            layout = self._settings.layout(name)
            own = [(take(rows, table.model_of(rows.key) == number), group) for rows, group in parts]
            mixed, whole = mixed_feedback(own, layout)
            messages.append(model_block(span, name, mixed, table, whole, layout))
        ended: dict[Key, int] = {
            (catalogue.ORPHANS.name, (KINDS[kind].topic,)): count for kind, count in orphans.items()
        }
        return [*messages, SourceBlock(span=span, counts=self._counts.entries(ended))]

    def _taken(self, kind: int) -> FeedbackRows | None:
        """All rows of a kind; those that came since the last call are made now."""
        events, timestamps = self._fresh[kind]
        if events:
            rows, _ = feedback_rows(events, np.array(timestamps, dtype=np.int64), self._table)
            self._rows[kind].append(rows)
            self._fresh[kind] = ([], [])
        if not self._rows[kind]:
            return None
        whole = concatenate(self._rows[kind])
        if not isinstance(whole, FeedbackRows):
            raise TypeError(f"joined feedback: expected feedback rows, got {type(whole).__name__}")
        self._rows[kind] = [whole]
        return whole

    def _count_unknown(self, topic: str, event: FeedbackEvent, context: DecisionContext) -> None:
        """Count enumeration values not known here, as for feedback that came with its context."""
        unknown = [
            *(("variant",) if context.variant is Variant.OTHER else ()),
            *(("modality",) if context.modality is Modality.OTHER else ()),
        ]
        match event:
            case Review():
                unknown += ["source"] if event.source is ReviewSource.OTHER else []
                unknown += ["verdict"] if event.verdict is Verdict.OTHER else []
            case Appeal():
                unknown += ["stage"] if event.stage is AppealStage.OTHER else []
        for field in unknown:
            self.count(catalogue.UNKNOWN_VALUES, topic, field)


def _clamped(context: DecisionContext, at_ms: int) -> DecisionContext:
    return msgspec.structs.replace(context, occurred_at=datetime.fromtimestamp(at_ms / 1000, UTC))
