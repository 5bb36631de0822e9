"""Notices that the worker makes no progress, says what stands still, and ends the process for a restart.

It runs in a thread of its own, so that an event loop that is blocked or deadlocked does not go unnoticed. A call that
holds Python's interpreter lock stops this thread as well; `/healthz` then does not answer either.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from monitor.service.forced_exit import ForcedExit

log = structlog.get_logger(__name__)

EX_STALLED: Final = 70
TICK_SECONDS: Final = 1.0
ORDERLY_STOP_SECONDS: Final = 10.0
EVENT_LOOP: Final = "the event loop"


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that has to move: its `marker` must change within `within` seconds.

    `kafka`: it cannot move while Kafka is away.
    """

    marker: Hashable
    within: float
    kafka: bool = True


@dataclass(frozen=True, slots=True)
class Stall:
    """What stands still, and for how many seconds in which we were running."""

    what: str
    seconds: float
    kafka: bool

    def __str__(self) -> str:
        return f"{self.what}: no progress for {self.seconds:.0f} s"


class Patience:
    """Decides what has stood still for too long. Time is measured by the calls of `look`, which come every `tick`.

    A call that comes late adds two ticks at most: what stops the whole process (SIGSTOP, a suspended machine) is the
    fault of nobody in it, and everything gets the rest of its time afterwards.
    """

    def __init__(self, *, tick: float = TICK_SECONDS) -> None:
        self._tick = tick
        self._last: float | None = None
        self._awake = 0.0
        self._since: dict[str, tuple[Hashable, float]] = {}

    def look(self, now: float, owed: Mapping[str, Owed]) -> Stall | None:
        """The first that has stood still for longer than it may. What is not owed any more is forgotten."""
        self._awake += 0.0 if self._last is None else min(max(0.0, now - self._last), 2 * self._tick)
        self._last = now
        before, self._since = self._since, {}
        late: Stall | None = None
        for what, one in owed.items():
            marker, since = before.get(what, (one.marker, self._awake))
            if marker != one.marker:
                since = self._awake
            self._since[what] = one.marker, since
            if late is None and self._awake - since > one.within:
                late = Stall(what, self._awake - since, one.kafka)
        return late

    def forgive(self) -> None:
        """Give everything its whole time again."""
        self._since.clear()


class Watchdog:
    """The thread. `tell` is called on the event loop about once a second, from anywhere else never.

    `reachable` asks whether Kafka answers at all: while it does not, standing still is waiting. `stop` asks the worker
    to stop in order; it has `ORDERLY_STOP_SECONDS` for it.
    """

    def __init__(
        self,
        *,
        loop_seconds: float,
        reachable: Callable[[], bool],
        stop: Callable[[Stall], None],
        forced_exit: ForcedExit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop_seconds = loop_seconds
        self._reachable = reachable
        self._stop = stop
        self._forced_exit = forced_exit
        self._clock = clock
        self._patience = Patience()
        self._told: tuple[int, Mapping[str, Owed]] = (0, {})
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._stall: Stall | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer: the worker ends by itself, within a deadline of its own."""
        self._done.set()

    def tell(self, owed: Mapping[str, Owed]) -> None:
        """The event loop is alive, and this is what has to move."""
        self._told = self._told[0] + 1, owed

    def why_not_alive(self) -> str | None:
        """What stands still, for `/healthz`; None while everything moves or Kafka is away."""
        return None if self._stall is None else str(self._stall)

    def _run(self) -> None:
        while not self._done.wait(TICK_SECONDS):
            stall = self._look()
            if stall is not None:
                self._stall = stall
                self._end(stall)
                return

    def _look(self) -> Stall | None:
        beats, owed = self._told
        stall = self._patience.look(self._clock(), {EVENT_LOOP: Owed(beats, self._loop_seconds, kafka=False), **owed})
        if stall is None or not stall.kafka or self._kafka_answers():
            return stall
        log.warning("no progress, because kafka does not answer: waiting", what=stall.what)
        self._patience.forgive()
        return None

    def _kafka_answers(self) -> bool:
        try:
            return self._reachable()
        except Exception:  # whatever it is: a watchdog that ended unseen would be worse than a restart too many
            log.exception("cannot ask whether kafka answers: taken for a yes")
            return True

    def _end(self, stall: Stall) -> None:
        # First, because everything after it can hang: the log's lock, the loop.
        self._forced_exit.within(ORDERLY_STOP_SECONDS, EX_STALLED)
        since = datetime.now(UTC) - timedelta(seconds=stall.seconds)
        log.critical(
            "no progress: stopping for a restart",
            what=stall.what,
            since=since.isoformat(timespec="seconds"),
            seconds=round(stall.seconds),
        )
        for name, stack in stacks().items():
            log.critical("stack", thread=name, stack=stack)
        self._stop(stall)


def stacks() -> dict[str, str]:
    """What each thread is doing, by its name and number."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        f"{names.get(number, 'unknown')} ({number})": "".join(traceback.format_stack(frame))
        for number, frame in sys._current_frames().items()  # noqa: SLF001 - documented, in spite of its name
    }
