"""Pieces of PromQL that every rule shares.

While a partition moves, two workers show the same series for a few scrapes: nothing is compared or summed before the
worker's own labels (`WORKER`) are gone, or a join would find two partners and fail.
"""

from __future__ import annotations

from typing import Final

from monitor import topics
from monitor.catalogue import LAG, PARTITIONS, SERIES, Metric

WORKER: Final = ("instance", "pod")
"""Labels that tell one worker from another; `pod` is there on Kubernetes only."""
JOB: Final = "moderation-monitor"
"""Scrape job of the workers in `prometheus.yml`."""

REMEMBERED: Final = "1d"
"""How long a number of partitions and a sum are remembered while workers or Prometheus are away."""
SETTLING: Final = "5m"
"""How long a number of partitions has to be known before it is believed: workers are scraped one after another."""
SEEN_EVERY: Final = "15s"
"""Step of subqueries: as often as workers are scraped."""

_OF_BLOCKS: Final = f'{{topic="{topics.BLOCKS}"}}'
BLOCKS_LAG: Final = f"{LAG}{_OF_BLOCKS}"
"""Lag of the partitions of the blocks topic, which a worker exports for those that its other metrics contain."""


def select(metric: Metric | str, *matchers: str) -> str:
    """`metric{matchers}`; matchers are written as in PromQL."""
    return f"{metric}{{{','.join(matchers)}}}" if matchers else str(metric)


def worst(metric: Metric | str, *matchers: str) -> str:
    """The larger of what the workers say of a series; its other labels stay."""
    return f"max without ({', '.join(WORKER)}) ({select(metric, *matchers)})"


def total(expression: str, *dropped: str) -> str:
    """Sum over workers, and over the labels in `dropped`."""
    return f"sum without ({', '.join((*WORKER, *dropped))}) ({expression})"


def seen_partitions() -> str:
    """Partitions of the blocks topic that some worker exports."""
    several = f"count without ({', '.join(WORKER)}) ({BLOCKS_LAG})"
    return f"count without (partition, topic) ({several})"


def known(record: str, counter: str, *, partitions: str, settling: str = SETTLING) -> str:
    """The sum of a counter over the workers, for `record`: while partitions move its latest value stays.

    A worker exports the lag of those partitions of the blocks topic that its counters contain: the sum is whole where
    each partition is there once and none is being restored. One expression, so that all of it is of the same scrapes.
    `partitions` is the recorded number of them, believed once it was the same for `settling`.
    """
    exported = f"count without ({', '.join((*WORKER, 'partition', 'topic'))}) ({BLOCKS_LAG})"
    assigned = total(f"{PARTITIONS}{_OF_BLOCKS}", "topic")
    settled = (
        f"{exported}\n      == {seen_partitions()}\n      == {assigned}\n"
        f"      == {partitions}\n      == {partitions} offset {settling}"
    )
    return (
        f"(\n  {counter}\n  and ignoring (topic, label) (\n    {settled}\n  )\n)\n"
        f"or\nlast_over_time({record}[{REMEMBERED}])"
    )


def risen(record: str, window: str) -> str:
    """By how much a record of `known` lies above its least value in the window. Counting on from less is no rise."""
    return f"({record} - min_over_time({record}[{window}]))"


def bound(metric: Metric, *keys: str) -> str:
    """A configured bound, one sample a key: the one side of a many-to-one join."""
    return f"max by ({', '.join(('job', *keys))}) ({metric})"


def per_bound(*keys: str) -> str:
    """Join modifier for `series <op> bound`."""
    return f"on ({', '.join(('job', *keys))}) group_left ()"


def on_series(*more: str) -> str:
    """Join modifier for two sets of series of watched models."""
    return f"on ({', '.join(('job', *SERIES, *more))})"
