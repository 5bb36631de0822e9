"""Testing one hypothesis after the other for ever: what LORD++, SAFFRON and e-LOND say, and how they go along.

Each is a frozen specification with one method, `decide(values, state) -> (OnlineTests, state)`: one value is a step,
many are the same steps, computed together up to each discovery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from detectors.arrays import Bools, Floats, Ints

State = TypeVar("State")

REMEMBERED: Final = 1000
"""Discoveries whose times a state holds; what an older one would still add to a level is left out."""

AHEAD: Final = 512
"""At most so many thresholds are computed at a time, 4 after a discovery; those behind the next one are thrown away."""


@dataclass(frozen=True, slots=True, eq=False)
class OnlineTests:
    """What was decided of n hypotheses in their order; arrays of shape (n,).

    `threshold` is the level that a p-value must not exceed, or the e-value that must be reached. Where the evidence is
    NaN it is NaN too, nothing is rejected, and the hypothesis does not count as tested.
    """

    threshold: Floats
    rejected: Bools


def in_order(
    values: Floats,
    state: State,
    *,
    thresholds: Callable[[State, Floats], Floats],
    rejects: Callable[[Floats, Floats], Bools],
    after: Callable[[State, Floats, bool], State],
) -> tuple[OnlineTests, State]:
    """Test `values` (n,) in order.

    `thresholds(state, next_values)` are those of the next hypotheses if none of them is a discovery, `after(state,
    tested_values, discovery)` is the state behind some of which at most the last is one.
    """
    if values.ndim != 1:
        raise ValueError(f"hypotheses in order: got an array of shape {values.shape}, allowed is (n,)")
    places = np.flatnonzero(~np.isnan(values))
    known = values[places]
    tests = OnlineTests(threshold=np.full(len(values), np.nan), rejected=np.zeros(len(values), dtype=np.bool_))
    done, size = 0, 4
    while done < len(known):
        ahead = known[done : done + size]
        threshold = thresholds(state, ahead)
        found = rejects(ahead, threshold)
        discovery = bool(found.any())
        taken = int(np.argmax(found)) + 1 if discovery else len(ahead)
        tests.threshold[places[done : done + taken]] = threshold[:taken]
        tests.rejected[places[done + taken - 1]] = discovery
        state = after(state, ahead[:taken], discovery)
        done += taken
        size = 4 if discovery else min(2 * size, AHEAD)
    return tests, state


def earned_levels(
    times: Ints,
    share: Callable[[Ints], Floats],
    *,
    latest: Sequence[int],
    discovered: int,
    alpha: float,
    wealth: float,
) -> Floats:
    """Levels at `times` (n,): w0 share(t) + (alpha - w0) share(t - t1) + alpha sum over j > 1 of share(t - tj).

    w0 is the initial `wealth`, tj the time of discovery j; `latest` are the times of the last of `discovered` ones,
    oldest first, and the first discovery is left out with the oldest where not all are remembered. `share(1)`,
    `share(2)`, ... add up to at most 1.

    >>> earned_levels(np.array([3]), lambda t: 0.5**t, latest=(1, 2), discovered=2, alpha=0.05, wealth=0.01).round(5)
    array([0.03625])
    """
    level = wealth * share(times)
    if latest:
        earned = np.full(len(latest), alpha)
        if len(latest) == discovered:
            earned[0] -= wealth
        # No matrix product: the order of its sum, and so the last bit, depends on how many levels there are.
        level += (share(times[:, None] - np.array(latest)) * earned).sum(axis=-1)
    return np.asarray(level, dtype=np.float64)
