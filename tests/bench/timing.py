"""How long a piece of computation takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def least_seconds(work: Callable[[], object], *, runs: int) -> float:
    """The least CPU time of some runs, after one that warms up: whatever disturbs a run only makes it longer."""
    work()
    least = float("inf")
    for _ in range(runs):
        begun = time.thread_time()
        work()
        least = min(least, time.thread_time() - begun)
    return least
