"""The sources wait until what is exported has been restored, but not for ever."""

from __future__ import annotations

from monitor.service.restore_first import RESTORE_FIRST_SECONDS, RestoreFirst


def test_nobody_waits_before_there_is_an_assignment() -> None:
    assert not RestoreFirst(lambda: True).holds(5.0)


def test_they_wait_while_something_is_restored() -> None:
    restoring = [1, 2]
    first = RestoreFirst(lambda: bool(restoring))
    first.begin(100.0)

    assert first.holds(100.0)
    restoring.pop()
    assert first.holds(101.0)
    restoring.pop()
    assert not first.holds(101.0)


def test_they_go_on_when_it_takes_too_long() -> None:
    first = RestoreFirst(lambda: True)
    first.begin(100.0)

    assert first.holds(99.9 + RESTORE_FIRST_SECONDS)
    assert not first.holds(100.0 + RESTORE_FIRST_SECONDS)


def test_each_assignment_begins_anew() -> None:
    first = RestoreFirst(lambda: True)
    first.begin(100.0)
    first.begin(105.0)

    assert first.holds(104.9 + RESTORE_FIRST_SECONDS)
