"""Which rows of a block count: the first copy of each id, with a known decision, not late; how many do not, and why.

What a row counts as depends on the rows before it only: it is decided once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from monitor import catalogue
from monitor.block_counts import BlockCounts
from monitor.cells import BlockKeys
from monitor.events import Action, AppealStage, ReviewSource, Verdict
from monitor.layout import ACTIONS, REVIEW_KINDS, STAGES
from monitor.rows import DecisionRows, Ints, Rows, take
from monitor.seen_ids import Mask, SeenIds
from monitor.summarise_settings import SummariseSettings
from monitor.topics import APPEALS, DECISIONS, REVIEWS, SourceTopic


def accept(
    rows: Rows, *, source: SourceTopic, ids: SeenIds, keys: BlockKeys, counts: BlockCounts, settings: SummariseSettings
) -> tuple[Rows, Mask]:
    """The rows that count, times clamped, and which of all are first copies; `counts` takes how many do not count."""
    topic = source.topic
    fresh = ids.add(rows.id_hash)
    keys.note(rows.key)
    known = rows.key >= 0
    ahead = rows.occurred_ms - rows.timestamp_ms
    allowed = settings.lateness_ms if isinstance(rows, DecisionRows) else settings.retention_ms
    timely = ahead >= -allowed
    accepted = fresh & known & timely
    future = accepted & (ahead > settings.future_ms)
    counts.add(catalogue.DUPLICATES, topic, by=int(np.count_nonzero(~fresh)))
    counts.add(catalogue.ORPHANS, topic, by=0 if settings.join else int(np.count_nonzero(fresh & ~known)))
    counts.add(catalogue.LATE, topic, by=int(np.count_nonzero(fresh & known & ~timely)))
    counts.add(catalogue.FUTURE, topic, by=int(np.count_nonzero(future)))
    kept = rows
    if future.any():
        kept = replace(kept, occurred_ms=np.where(future, rows.timestamp_ms, rows.occurred_ms))
    if not accepted.all():
        kept = take(kept, accepted)
    _count_unknown(kept, source, keys, counts)
    return kept, fresh


def _count_unknown(rows: Rows, source: SourceTopic, keys: BlockKeys, counts: BlockCounts) -> None:
    """Count enumeration values not known here among the rows that count."""
    for name, codes in keys.table.unknown.items():
        if codes:
            counts.add(catalogue.UNKNOWN_VALUES, source.topic, name, by=int(np.isin(rows.key, codes).sum()))
    for name, columns in _UNKNOWN_COLUMNS.get(source.topic, {}).items():
        found = sum(int(np.count_nonzero(rows.column == column)) for column in columns)
        counts.add(catalogue.UNKNOWN_VALUES, source.topic, name, by=found)


def _where(kinds: Iterable[bool]) -> Ints:
    return np.flatnonzero(np.fromiter(kinds, dtype=np.bool_))


_UNKNOWN_COLUMNS: Final[dict[str, dict[str, Ints]]] = {
    DECISIONS.topic: {"action": _where(action is Action.OTHER for action in ACTIONS)},
    REVIEWS.topic: {
        "source": _where(source is ReviewSource.OTHER for source, _ in REVIEW_KINDS),
        "verdict": _where(verdict is Verdict.OTHER for _, verdict in REVIEW_KINDS),
    },
    APPEALS.topic: {"stage": _where(stage is AppealStage.OTHER for stage in STAGES)},
}
"""Columns that stand for an enumeration value not known here, by topic and field."""
