"""Faults that fall into traffic: each comes when a given batch has been published, while publishing goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tests.faults.traffic import Publisher

AT_LEAST: Final = 2
"""Batches that may be published while a fault happens, however near the next one is."""


@dataclass(frozen=True)
class Fault:
    """`act` is called once batch `at` has been published."""

    at: int
    act: Callable[[], None]


def run(
    faults: Sequence[Fault], publisher: Publisher, *, rng: np.random.Generator, jitter_seconds: float = 0.0
) -> None:
    """Let all faults happen in their order, each up to `jitter_seconds` after its batch; then publish what is left.

    Publishing waits for a fault that takes long, so that every fault meets traffic, however slow the machine is.
    """
    ordered = sorted(faults, key=lambda fault: fault.at)
    limits = [fault.at for fault in ordered[1:]] + [float("inf")]
    publisher.limit = ordered[0].at
    for fault, limit in zip(ordered, limits, strict=True):
        publisher.until_published(fault.at)
        publisher.limit = max(limit, fault.at + AT_LEAST)
        time.sleep(rng.uniform(0.0, jitter_seconds))
        fault.act()
    publisher.finish()


def moments(count: int, *, batches: int, rng: np.random.Generator) -> list[int]:
    """So many random batches, ascending, none of them among the first and last tenth."""
    span = np.arange(batches // 10 + 1, batches - batches // 10)
    return sorted(rng.choice(span, size=count, replace=count > len(span)).tolist())
