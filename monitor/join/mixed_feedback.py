"""Joined feedback of several kinds as rows of one kind, so that a block says it of a model in one message."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.layout import Group, Layout
from monitor.model_block import GroupOf
from monitor.rows import Rows, concatenate, take


def mixed_feedback(parts: Sequence[tuple[Rows, GroupOf]], layout: Layout) -> tuple[Rows, GroupOf]:
    """Feedback of several kinds, some rows at least, as one: columns count from the begin of the layout."""
    rows = [
        take(part, slice(None), column=part.column + group(layout).start) for part, group in parts if len(part.column)
    ]
    return concatenate(rows), _whole


def _whole(layout: Layout) -> Group:
    return Group(name="", width=layout.width, identity="", start=0, daily=False)
