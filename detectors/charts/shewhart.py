"""Run lengths of the Shewhart chart with supplementary run rules: what rules such as "2 of 3 beyond 2 sigmas" cost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import scipy

from detectors.arrays import Floats
from detectors.charts.run_length import RunLength, absorption, eliminated_mean


class RunRule(NamedTuple):
    """An alarm if `needed` of the last `last` observations are more than `beyond` sigmas off on the same side."""

    needed: int
    last: int
    beyond: float


SHEWHART: Final = RunRule(1, 1, 3.0)
"""One observation beyond three sigmas."""

MOST_STATES: Final = 4000


def shewhart_run_length(shift: float = 0.0, *, rules: Sequence[RunRule] = (SHEWHART,)) -> RunLength:
    """The run length of a chart that alarms as soon as one of the `rules` does, on independent normal observations.

    `shift` is the distance of the mean from the target in sigmas. Exact: a state for each reachable memory of the
    rules. Each rule that is added finds small shifts sooner and costs a large part of the average run length.

    Source: Champ and Woodall 1987, Technometrics 29, 393-399.
    Raises ValueError for no rule, for one that needs more observations than it looks at, and for too many states.

    >>> round(shewhart_run_length().mean, 1), round(shewhart_run_length(rules=[SHEWHART, RunRule(2, 3, 2.0)]).mean, 1)
    (370.4, 225.4)
    """
    if not rules or any(not 1 <= rule.needed <= rule.last <= 16 or rule.beyond < 0 for rule in rules):
        raise ValueError(f"rules: got {list(rules)}, allowed are rules with 1 <= needed <= last <= 16 and beyond >= 0")
    sided = [(rule, side) for rule in rules for side in (1.0, -1.0)]
    edges = sorted({side * rule.beyond for rule, side in sided})
    # By the nearer tail, so that chances far out keep their digits.
    lower, upper = (np.array(ends) - shift for ends in ([-np.inf, *edges], [*edges, np.inf]))
    mirrored = lower > 0.0
    lower, upper = np.where(mirrored, -upper, lower), np.where(mirrored, -lower, upper)
    chances = scipy.special.ndtr(upper) - scipy.special.ndtr(lower)
    inside = [edges[0] - 1.0, *((a + b) / 2.0 for a, b in itertools.pairwise(edges)), edges[-1] + 1.0]
    told = [[int(side * place > rule.beyond) for rule, side in sided] for place in inside]

    def after(memory: tuple[int, ...], news: list[int]) -> tuple[int, ...] | None:
        """The last observations of each rule as bits; None for an alarm."""
        seen = [(bits << 1) | new for bits, new in zip(memory, news, strict=True)]
        if any(bits.bit_count() >= rule.needed for bits, (rule, _) in zip(seen, sided, strict=True)):
            return None
        return tuple(bits & ((1 << (rule.last - 1)) - 1) for bits, (rule, _) in zip(seen, sided, strict=True))

    states = {(0,) * len(sided): 0}
    found: list[tuple[int, int, float]] = []
    alarms: list[float] = []
    for memory in (waiting := list(states)):
        alarms.append(0.0)
        for news, chance in zip(told, chances.tolist(), strict=True):
            following = after(memory, news)
            if following is None:
                alarms[-1] += chance
                continue
            if following not in states:
                states[following] = len(states)
                waiting.append(following)
            found.append((states[memory], states[following], chance))
        if len(states) > MOST_STATES:
            raise ValueError(f"rules: more than {MOST_STATES} states, allowed are fewer or shorter rules")
    transition: Floats = np.zeros((len(states), len(states)))
    for origin, to, chance in found:
        transition[origin, to] += chance
    fresh, alarm = np.eye(1, len(states))[0], np.array(alarms)
    return absorption(transition, transition[0], long=lambda: eliminated_mean(transition, alarm, fresh))
