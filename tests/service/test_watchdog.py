"""When standing still is a stall, with a clock that the test moves by hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from unittest.mock import Mock

import pytest

from monitor.assembly import assemble
from monitor.service.forced_exit import ForcedExit
from monitor.service.logs import LogCounts
from monitor.service.obligations import Standing, obligations
from monitor.service.watchdog import EVENT_LOOP, EX_STALLED, Owed, Patience, Stall, Watchdog, stacks
from monitor.settings import load_settings
from monitor.streaming.security import security_of
from monitor.streaming.transport import Progress
from monitor.topics import DECISIONS
from monitor.worker import Worker

PATIENT = Owed(0, within=10.0)
MOVED = Owed(1, within=10.0)


def watch(patience: Patience, seconds: int, owed: Mapping[str, Owed], *, begin: int = 0) -> list[Stall | None]:
    """One look a second; what each said."""
    return [patience.look(float(begin + second), owed) for second in range(seconds)]


def test_what_stands_still_is_late_once_its_time_is_over() -> None:
    said = watch(Patience(), 13, {"reading": PATIENT})
    assert [None] * 11 == said[:11]
    assert [Stall("reading", 11.0, kafka=True), Stall("reading", 12.0, kafka=True)] == said[11:]


def test_what_moves_gets_its_time_again() -> None:
    patience = Patience()
    watch(patience, 10, {"reading": PATIENT})
    said = watch(patience, 12, {"reading": MOVED}, begin=10)
    assert [None] * 11 == said[:11]
    assert Stall("reading", 11.0, kafka=True) == said[11]


def test_what_is_not_owed_any_more_is_forgotten() -> None:
    patience = Patience()
    watch(patience, 10, {"reading": PATIENT})
    watch(patience, 1, {}, begin=10)
    assert [None] * 11 == watch(patience, 11, {"reading": PATIENT}, begin=11)


def test_one_that_moves_does_not_hide_another() -> None:
    patience = Patience()
    said = [patience.look(float(second), {"a": Owed(second, 10.0), "b": PATIENT}) for second in range(12)]
    assert Stall("b", 11.0, kafka=True) == said[-1]


@pytest.mark.parametrize("asleep", [90.0, 86_400.0])
def test_time_in_which_the_whole_process_stood_still_is_nobodys_fault(asleep: float) -> None:
    patience = Patience()
    watch(patience, 9, {"loop": PATIENT})
    assert patience.look(8.0 + asleep, {"loop": PATIENT}) is None
    assert patience.look(9.0 + asleep, {"loop": PATIENT}) == Stall("loop", 11.0, kafka=True)


def test_a_clock_that_jumps_back_counts_nothing() -> None:
    patience = Patience()
    watch(patience, 9, {"loop": PATIENT})
    assert patience.look(-1000.0, {"loop": PATIENT}) is None


def test_what_is_forgiven_gets_its_whole_time_again() -> None:
    patience = Patience()
    watch(patience, 12, {"reading": PATIENT})
    patience.forgive()
    assert [None] * 11 == watch(patience, 11, {"reading": PATIENT}, begin=12)


AT_REST = Standing(end=100, fetched_at=5.0, position=100, committed=100)


def owed(*, group: float | None = 1.0, restored: Mapping[int, int] | None = None, at: Standing = AT_REST) -> set[str]:
    """What has to move, besides the answers of the group and the fetching that never rests."""
    found = obligations(
        group_known_at=group, restored=restored or {}, standings={("t", 3): at}, within=10.0, commit_within=5.0
    )
    assert "answers of the consumer group" in found
    return set(found) - {"answers of the consumer group"}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (AT_REST, set()),
        (replace(AT_REST, end=101), {"reading t[3]"}),
        (replace(AT_REST, position=101, end=101), {"committing t[3]"}),
        (replace(AT_REST, position=90), {"reading t[3]"}),
        (replace(AT_REST, position=None, end=None, fetched_at=None), set()),
    ],
    ids=["at rest", "records wait", "not committed", "reading again", "not fetched yet"],
)
def test_an_idle_partition_owes_nothing_but_fetches(at: Standing, expected: set[str]) -> None:
    assert expected | {"fetching t[3]"} == owed(at=at)


def test_batches_may_wait_for_a_restore_that_moves() -> None:
    assert {"restoring partition 0"} == owed(restored={0: 17}, at=replace(AT_REST, end=200))


def test_commits_have_the_interval_of_checkpoints_on_top() -> None:
    found = obligations(
        group_known_at=1.0,
        restored={},
        standings={("t", 3): replace(AT_REST, end=200, position=150)},
        within=10.0,
        commit_within=5.0,
    )
    assert (10.0, 15.0) == (found["reading t[3]"].within, found["committing t[3]"].within)


def busy_for(seconds: int, monkeypatch: pytest.MonkeyPatch, **environ: str) -> Stall | None:
    """A worker whose partition moves every second, with a commit at each interval; what its watchdog says."""

    async def run() -> Stall | None:
        settings = load_settings(None, environ)
        worker = Worker(settings, assemble(settings), security_of(settings.kafka), LogCounts())
        patience, place = Patience(), (DECISIONS.topic, 0)
        every = int(settings.kafka.commit_interval_seconds)
        worker._joined = True
        for second in range(seconds):
            at = Progress(None, fetched_at=float(second), committed=second - second % every, committed_at=None)
            worker._membership.heard(float(second))
            monkeypatch.setattr("monitor.worker.progress", Mock(return_value={place: at}))
            monkeypatch.setattr(worker, "_positions", Mock(return_value={place: second + 1}))
            if stall := patience.look(float(second), worker._obligations()):
                return stall
        await worker._outlet.stop(within=1.0)
        return None

    return asyncio.run(run())


def test_a_busy_partition_whose_commits_are_rare_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    rare = {
        "MONITOR_KAFKA__SESSION_TIMEOUT_SECONDS": "6",
        "MONITOR_KAFKA__COMMIT_INTERVAL_SECONDS": "60",
        "MONITOR_WATCHDOG__PROGRESS_SECONDS": "12",
        "MONITOR_STATE__CHECKPOINT_INTERVAL_SECONDS": "0.5",
    }
    assert busy_for(300, monkeypatch, **rare) is None


class World:
    """A watchdog whose clock runs a second a look, and what it did."""

    def __init__(self, *, reachable: Callable[[], bool] = lambda: True) -> None:
        self.now = 0.0
        self.stopped: list[Stall] = []
        self.exits: list[int] = []
        self.asked = 0
        self._reachable = reachable
        self.watchdog = Watchdog(
            loop_seconds=5.0,
            reachable=self._ask,
            stop=self.stopped.append,
            forced_exit=ForcedExit(self.exits.append),
            clock=lambda: self.now,
        )

    def _ask(self) -> bool:
        self.asked += 1
        return self._reachable()

    def pass_seconds(self, seconds: int, owed: Mapping[str, Owed] | None) -> Stall | None:
        """`owed` None: the loop is blocked and tells nothing."""
        for _ in range(seconds):
            self.now += 1.0
            if owed is not None:
                self.watchdog.tell(owed)
            if (stall := self.watchdog._look()) is not None:
                return stall
        return None


def test_a_loop_that_tells_nothing_is_blocked_whatever_kafka_does() -> None:
    world = World(reachable=lambda: False)
    assert Stall(EVENT_LOOP, 6.0, kafka=False) == world.pass_seconds(10, None)
    assert 0 == world.asked


def test_while_kafka_is_away_standing_still_is_waiting() -> None:
    world = World(reachable=lambda: False)
    assert world.pass_seconds(100, {"reading": PATIENT}) is None
    assert world.asked > 5


def test_kafka_that_answers_somebody_else_makes_it_a_stall() -> None:
    answers = iter([False, True])
    world = World(reachable=lambda: next(answers))
    stall = world.pass_seconds(100, {"reading": PATIENT})
    assert ("reading", 2) == (stall and stall.what, world.asked)


def test_who_cannot_even_ask_takes_it_for_a_stall_and_goes_on_watching() -> None:
    known: dict[str, bool] = {}
    world = World(reachable=lambda: known["no such setting"])
    stall = world.pass_seconds(100, {"reading": PATIENT})
    assert ("reading", 1) == (stall and stall.what, world.asked)


def test_a_stall_ends_the_worker_in_order_and_says_so_to_health_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.service.watchdog.TICK_SECONDS", 0.01)
    monkeypatch.setattr("monitor.service.watchdog.ORDERLY_STOP_SECONDS", 0.01)
    world = World()
    ended, told = threading.Event(), threading.Event()

    def end(code: int) -> None:
        world.exits.append(code)
        ended.set()

    def stop(stall: Stall) -> None:
        world.stopped.append(stall)
        told.set()

    watchdog = Watchdog(
        loop_seconds=0.05,
        reachable=lambda: True,
        stop=stop,
        forced_exit=ForcedExit(end),
    )
    assert watchdog.why_not_alive() is None
    watchdog.start()
    assert ended.wait(10)
    assert told.wait(10)  # the exit is prepared before anybody is told
    assert [EX_STALLED] == world.exits
    assert [EVENT_LOOP] == [stall.what for stall in world.stopped]
    assert str(world.stopped[0]) == watchdog.why_not_alive()


def test_stacks_name_each_thread_and_what_it_does() -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait_for_the_test() -> None:
        entered.set()
        leave.wait()

    thread = threading.Thread(target=wait_for_the_test, name="waiting")
    thread.start()
    assert entered.wait(10)
    found = {name: stack for name, stack in stacks().items() if name.startswith("waiting ")}
    leave.set()
    thread.join()
    assert ["wait_for_the_test" in stack for stack in found.values()] == [True]
