"""Rows of one model in one block to the message that says so; the bytes do not depend on the order of the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monitor.blocks import ModelBlock, Span
from monitor.cells import KeyTable
from monitor.cohorts import AHEAD
from monitor.decision_cells import decision_cells, series_met
from monitor.events import Launch
from monitor.layout import Group, Layout
from monitor.packing import pack
from monitor.rows import DecisionRows, Ints, Rows
from monitor.summarise import MINUTE_MS, summarise

GroupOf = Callable[[Layout], Group]


def model_block(
    span: Span,
    model: str,
    rows: Rows,
    table: KeyTable,
    group: GroupOf | None,
    layout: Layout,
    *,
    launches: tuple[Launch, ...] = (),
) -> ModelBlock:
    """What a block says of one model. `rows.key` are codes of `table`; `group` is None for decisions."""
    series_of = table.named(rows.key)
    used = sorted(series_met(rows, series_of, len(table.series)), key=table.series.__getitem__)
    place = np.empty(len(table.series), dtype=np.int64)
    place[used] = np.arange(len(used))
    cells = decision_cells(rows, series_of, place, len(used), layout) if isinstance(rows, DecisionRows) else None
    if cells is None:
        by_kind = series_of[rows.key].T  # one line for each kind of segment
        cells = summarise(rows, place[by_kind], group, layout)
    latest = _latest(rows.occurred_ms, span) if isinstance(rows, DecisionRows) else None
    return ModelBlock(
        span=span,
        model=model,
        signature=layout.signature,
        series=tuple(table.series[number] for number in used),
        cell_series=pack(cells.series),
        cell_minute=pack(cells.minute),
        cohort=cells.cohort,
        arrival=cells.arrival,
        launches=launches,
        last_decision_ms=latest,
    )


def _latest(occurred_ms: Ints, span: Span) -> int | None:
    """When the latest decision was made, among those that windows believe in."""
    told = occurred_ms[occurred_ms <= span.clock_ms + AHEAD * MINUTE_MS]
    return int(told.max()) if len(told) else None
