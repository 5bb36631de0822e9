"""A worker under load, looked at without costing it much: its CPU from the kernel, its progress from its own snapshots.

A worker's snapshot, one a second, says when it was taken and how many records wait; how many were read follows. CPU
time is read often and interpolated to that moment, so that no wait for an answer blurs a rate. Start-up is left out:
the measurement begins with the first snapshot in which decisions of the final assignment were read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import httpx
import numpy as np

from monitor.catalogue import RECORDS
from monitor.settings import Settings
from monitor.topics import BLOCKS, DECISIONS, JOIN
from tests.bench.tables import cpu_seconds
from tests.e2e.worker_process import QUICK, WorkerProcess

CPU_EVERY: Final = 0.05
LOOK_EVERY: Final = 0.25

_DEFAULTS: Final = Settings()
PRODUCTION: Final[Mapping[str, object]] = {
    name: getattr(getattr(_DEFAULTS, name.split(".")[0]), name.split(".")[1])
    for name in QUICK
    if not name.startswith("http.")
}
"""The defaults of the settings that the tests' worker processes hurry."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One snapshot of one worker."""

    taken_at: float
    lag: dict[int, int]
    """decisions that wait, by partition of the assignment"""
    waiting: int
    """records that wait in the join and block topics"""
    counted: int
    """decisions in `monitor_records_total`"""

    @classmethod
    def of(cls, service: Mapping[str, Any]) -> Progress | None:
        """Read `/api/v1/service`; None before the first snapshot of an assigned worker."""
        if service["taken_at"] is None:
            return None
        lag = {(entry["topic"], entry["partition"]): entry["records"] for entry in service["lag"]}
        return cls(
            taken_at=datetime.fromisoformat(service["taken_at"]).timestamp(),
            lag={partition: records for (topic, partition), records in lag.items() if topic == DECISIONS.topic},
            waiting=sum(records for (topic, _), records in lag.items() if topic in {JOIN, BLOCKS}),
            counted=sum(
                entry["value"]
                for entry in service["counters"]
                if entry["metric"] == RECORDS.name and entry["labels"]["topic"] == DECISIONS.topic
            ),
        )


@dataclass(slots=True)
class Track:
    """What was seen of one worker."""

    worker: WorkerProcess
    progress: list[Progress] = field(default_factory=list)
    cpu: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the epoch, CPU seconds)"""

    def look_at_cpu(self) -> None:
        """Note the CPU time."""
        self.cpu.append((time.time(), cpu_seconds(self.worker.pid)))

    def look(self) -> None:
        """Note the latest snapshot, unless it is known."""
        try:
            found = Progress.of(self.worker.get("/api/v1/service").json())
        except httpx.TransportError:
            return
        if found is not None and (not self.progress or found.taken_at > self.progress[-1].taken_at):
            self.progress.append(found)

    def cpu_at(self, moment: float) -> float:
        """CPU time at a moment, interpolated."""
        times, spent = zip(*self.cpu, strict=True)
        return float(np.interp(moment, times, spent))


@dataclass(frozen=True, slots=True)
class Rates:
    """Decisions and seconds of one run, all workers together. What was too short to be measured is NaN."""

    decisions: int
    """from the first snapshot with progress to the end"""
    wall_seconds: float
    """to the snapshot that counts all decisions"""
    cpu_seconds: float
    """of the workers in that time"""
    steady: float | None
    """decisions a second while there was always something to read; None when that was shorter than two snapshots"""

    @property
    def per_second(self) -> float:
        """The steady rate, or the whole where there is none."""
        return self.whole if self.steady is None else self.steady

    @property
    def whole(self) -> float:
        """Decisions a second until everything is counted."""
        return self.decisions / self.wall_seconds if self.decisions else math.nan

    @property
    def per_cpu_second(self) -> float:
        """Decisions a CPU second, until everything is counted."""
        return self.decisions / self.cpu_seconds if self.decisions and self.cpu_seconds else math.nan


def follow(workers: Sequence[WorkerProcess], *, sizes: Mapping[int, int], within: float) -> Rates:
    """Watch workers until they have counted all decisions; `sizes` are the decisions of each partition."""
    tracks = [Track(worker) for worker in workers]
    wanted = sum(sizes.values())
    deadline = time.monotonic() + within
    next_look = 0.0
    while not _all_counted(tracks, wanted):
        ended = [track.worker.log()[-2000:] for track in tracks if not track.worker.running]
        if ended or time.monotonic() > deadline:
            told = [(track.progress[-1:], track.worker.log()[-1000:]) for track in tracks]
            raise RuntimeError(f"{wanted} decisions not counted within {within:g} s: {ended or told}")
        for track in tracks:
            track.look_at_cpu()
        if time.monotonic() >= next_look:
            for track in tracks:
                track.look()
            next_look = time.monotonic() + LOOK_EVERY
        time.sleep(CPU_EVERY)
    return _added([_rates(track, sizes) for track in tracks])


def _all_counted(tracks: Sequence[Track], wanted: int) -> bool:
    last = [track.progress[-1] for track in tracks if track.progress]
    waiting = sum(sum(one.lag.values()) + one.waiting for one in last)
    return len(last) == len(tracks) and not waiting and sum(one.counted for one in last) >= wanted


def _rates(track: Track, sizes: Mapping[int, int]) -> Rates:
    last = track.progress[-1]
    own = [one for one in track.progress if one.lag.keys() == last.lag.keys()]
    total = sum(sizes[partition] for partition in last.lag)
    read = [total - sum(one.lag.values()) for one in own]
    begin = next((index for index, count in enumerate(read) if count > 0), len(own) - 1)
    full = [index for index in range(begin, len(own)) if read[index] < total]
    start, end = own[begin].taken_at, last.taken_at
    steady = None
    if len(full) > 1:
        steady = (read[full[-1]] - read[begin]) / (own[full[-1]].taken_at - start)
    return Rates(total - read[begin], end - start, track.cpu_at(end) - track.cpu_at(start), steady)


def _added(rates: Sequence[Rates]) -> Rates:
    steady = [one.steady for one in rates]
    return Rates(
        decisions=sum(one.decisions for one in rates),
        wall_seconds=max(one.wall_seconds for one in rates),
        cpu_seconds=sum(one.cpu_seconds for one in rates),
        steady=None if None in steady else sum(rate for rate in steady if rate is not None),
    )
