"""What alarms at random would score, as many as the detector's: exact expectations, no simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy

from detectors.arrays import Floats, Ints
from detectors.evaluation.streams import Streams

_NEGLIGIBLE: Final = 1e-18


@dataclass(frozen=True, slots=True)
class Chance:
    """Expected values over all placements of so many episodes, each placement equally likely."""

    episodes: int
    precision: float
    """share of the observations in windows; NaN for no episode"""
    recall: float
    """NaN where there was no change"""
    f1: float
    """expectation of F1 itself, which is not F1 of the expectations"""
    restricted_delay: float
    """mean over the changes that are followed for the whole tolerance; NaN where none is"""


def chance(streams: Streams, *, count: int, tolerance: int) -> Chance:
    """Expectations for `count` episodes that begin at distinct observations drawn at random from all streams.

    With n observations and a window of w: recall 1 - C(n - w, K) / C(n, K), averaged over the windows; precision
    sum w / n; expected min(delay, tolerance) = sum over t = 1..tolerance of C(n - t, K) / C(n, K). For F1 the joint
    distribution of episodes within windows and changes found is built window by window. A detector that is not
    better knows nothing, whatever its F1. Time and memory grow with changes times `count`: a second for 50 and 1000.

    Raises ValueError for a `count` outside [0, observations].

    >>> streams = Streams.of([[200]], lengths=[1000], tolerance=99)
    >>> found = chance(streams, count=5, tolerance=99)
    >>> round(found.precision, 3), round(found.recall, 4), round(found.f1, 4)
    (0.1, 0.4102, 0.1576)
    """
    n = streams.length
    if not 0 <= count <= n:
        raise ValueError(f"count: got {count!r}, allowed are whole numbers within [0, {n}]")
    widths = streams.window - streams.change
    factorial: Floats = scipy.special.gammaln(np.arange(n + 1, dtype=np.float64) + 1.0)
    free = np.arange(n - count + 1)
    # none[t]: the probability that no episode begins at any of t given observations.
    none = np.zeros(n + 1)
    none[free] = np.exp(factorial[n - free] - factorial[n - free - count] - factorial[n] + factorial[n - count])
    followed = bool((widths > tolerance).any())
    return Chance(
        episodes=count,
        precision=float(widths.sum() / n) if count else math.nan,
        recall=float(np.mean(1.0 - none[widths])) if len(widths) else math.nan,
        f1=_expected_f1(widths.tolist(), n=n, count=count, factorial=factorial) if len(widths) else math.nan,
        restricted_delay=float(none[1 : tolerance + 1].sum()) if followed else math.nan,
    )


def _expected_f1(widths: list[int], *, n: int, count: int, factorial: Floats) -> float:
    """Sum over hits h and found d of P(h, d) 2hd / (h changes + d episodes)."""
    if not count:
        return 0.0
    joint = np.zeros((count + 1, len(widths) + 1))
    joint[0, 0] = 1.0
    left = n
    for number, width in enumerate(widths):
        after = np.zeros_like(joint)
        hits = np.flatnonzero(joint.sum(axis=1) > _NEGLIGIBLE)
        expected = count * width / n
        margin = 12.0 * math.sqrt(expected) + 20.0  # beyond it lies less than 1e-15
        for extra in range(max(0, int(expected - margin)), min(count, width, int(expected + margin)) + 1):
            rest = count - hits
            possible = (extra <= rest) & (rest - extra <= left - width)
            at, still = hits[possible], rest[possible]
            log = (
                _choose(factorial, width, np.full_like(still, extra))
                + _choose(factorial, left - width, still - extra)
                - _choose(factorial, left, still)
            )
            moved = np.exp(log)[:, None] * joint[at, : number + 1]
            after[at + extra, (extra > 0) : number + 1 + (extra > 0)] += moved
        joint, left = after, left - width
    h, d = np.ogrid[: count + 1, : len(widths) + 1]
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2.0 * h * d / (h * len(widths) + d * count))
    return float((joint * f1).sum())


def _choose(factorial: Floats, n: int, k: Ints) -> Floats:
    found: Floats = factorial[n] - factorial[k] - factorial[n - k]
    return found
