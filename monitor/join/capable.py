"""Which decisions can get feedback that has to find them: those that were acted on, or sampled for review."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import compress
from operator import attrgetter
from typing import Final

import numpy as np

from monitor.cells import KeyTable
from monitor.events import Action, CountedDecision
from monitor.layout import ACTIONS, Layout
from monitor.rows import DecisionRows

_SAMPLED: Final = attrgetter("sampled")
_PROBABILITY: Final = attrgetter("inclusion_probability")


def is_sampled(sampled: bool | None, inclusion_probability: float | None) -> bool:
    """Whether a decision was sampled for review.

    A probability alone says so only where `sampled` is not told: many producers log it for all.
    """
    return inclusion_probability is not None if sampled is None else sampled


def can_get_feedback(decision: CountedDecision, positive_actions: Collection[Action]) -> bool:
    """Whether feedback may come that has to find this decision: it was acted on, or sampled for review."""
    return decision.action in positive_actions or is_sampled(decision.sampled, decision.inclusion_probability)


class Capable:
    """Finds them among rows with the keys of `table`; `layout` tells what a model's positive actions are."""

    def __init__(self, table: KeyTable, layout: Callable[[str], Layout]) -> None:
        self._table = table
        self._layout = layout
        self._positive: list[list[bool]] = []
        """by number of the model, which actions are positive"""

    def rows(self, rows: DecisionRows, events: Sequence[CountedDecision]) -> list[int]:
        """Which `rows`, made of these events, `can_get_feedback` says, in order."""
        if not events:
            return []
        for name in self._table.models[len(self._positive) :]:
            positive = self._layout(name).positive_actions
            self._positive.append([action in positive for action in ACTIONS])
        capable = np.array(self._positive)[self._table.model_of(rows.key), rows.column]
        numbers = range(len(events))
        told = compress(numbers, map(_PROBABILITY, events))  # of few decisions: a loop in C finds them
        capable[[*compress(numbers, map(_SAMPLED, events))]] = True
        capable[[row for row in told if is_sampled(events[row].sampled, events[row].inclusion_probability)]] = True
        found: list[int] = np.flatnonzero(capable).tolist()
        return found
