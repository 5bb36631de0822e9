"""Pieces of PromQL that every rule shares.

While a partition moves, two workers show the same series for a few scrapes: nothing is compared or summed before the
worker's own labels (`WORKER`) are gone, or a join would find two partners and fail.
"""

from __future__ import annotations

from typing import Final

from monitor.catalogue import SERIES, Metric

WORKER: Final = ("instance", "pod")
"""Labels that tell one worker from another; `pod` is there on Kubernetes only."""
JOB: Final = "moderation-monitor"
"""Scrape job of the workers in `prometheus.yml`."""


def select(metric: Metric | str, *matchers: str) -> str:
    """`metric{matchers}`; matchers are written as in PromQL."""
    return f"{metric}{{{','.join(matchers)}}}" if matchers else str(metric)


def worst(metric: Metric | str, *matchers: str) -> str:
    """The larger of what the workers say of a series; its other labels stay."""
    return f"max without ({', '.join(WORKER)}) ({select(metric, *matchers)})"


def total(expression: str, *dropped: str) -> str:
    """Sum over workers, and over the labels in `dropped`."""
    return f"sum without ({', '.join((*WORKER, *dropped))}) ({expression})"


def bound(metric: Metric, *keys: str) -> str:
    """A configured bound, one sample a key: the one side of a many-to-one join."""
    return f"max by ({', '.join(('job', *keys))}) ({metric})"


def per_bound(*keys: str) -> str:
    """Join modifier for `series <op> bound`."""
    return f"on ({', '.join(('job', *keys))}) group_left ()"


def on_series(*more: str) -> str:
    """Join modifier for two sets of series of watched models."""
    return f"on ({', '.join(('job', *SERIES, *more))})"
