"""Rows of one model in one block to the message that says so; the bytes do not depend on the order of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from monitor.blocks import ModelBlock, Span
from monitor.cells import CellKey
from monitor.events import Launch
from monitor.layout import Group, Layout
from monitor.rows import DecisionRows, Rows, take
from monitor.summarise import summarise

GroupOf = Callable[[Layout], Group]


def model_block(
    span: Span,
    model: str,
    rows: Rows,
    keys: Sequence[CellKey],
    group: GroupOf | None,
    layout: Layout,
    *,
    launches: tuple[Launch, ...] = (),
) -> ModelBlock:
    """What a block says of one model. `rows.key` are places in `keys`; `group` is None for decisions."""
    used, local = np.unique(rows.key, return_inverse=True)
    own = [keys[code] for code in used.tolist()]
    order = sorted(range(len(own)), key=own.__getitem__)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    cells = summarise(take(rows, slice(None), key=rank[local]), group, layout)
    latest = int(rows.occurred_ms.max()) if isinstance(rows, DecisionRows) and len(rows.key) else None
    return ModelBlock(
        span=span,
        model=model,
        signature=layout.signature,
        keys=tuple(tuple(own[index][1:]) for index in order),
        cell_key=cells.key,
        cell_minute=cells.minute,
        cohort=cells.cohort,
        arrival=cells.arrival,
        launches=launches,
        last_decision_ms=latest,
    )
