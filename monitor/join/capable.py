"""Which decisions can get feedback that has to find them: those that were acted on, or sampled for review."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monitor.cells import KeyTable
from monitor.layout import ACTIONS, Layout
from monitor.rows import DecisionRows, Ints, Mask


class Capable:
    """Finds them among rows with the keys of `table`; `layout` tells what a model's positive actions are."""

    def __init__(self, table: KeyTable, layout: Callable[[str], Layout]) -> None:
        self._table = table
        self._layout = layout
        self._positive: Mask = np.empty((0, len(ACTIONS)), dtype=np.bool_)
        """by number of the model, which actions are positive"""

    def rows(self, rows: DecisionRows) -> Ints:
        """Which `rows` are of decisions that can get feedback, in order."""
        models = self._table.models
        if len(self._positive) < len(models):
            actions = [self._layout(name).positive_actions for name in models]
            self._positive = np.array([[action in positive for action in ACTIONS] for positive in actions])
        positive = self._positive[self._table.model_of(rows.key), rows.column]
        return np.flatnonzero(positive | rows.sampled)
