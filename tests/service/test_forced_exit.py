"""The process ends at the first deadline that was set, if it has not ended by itself."""

from __future__ import annotations

import threading

from monitor.service.forced_exit import ForcedExit


def test_the_first_deadline_counts() -> None:
    codes: list[int] = []
    ended = threading.Event()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    forced = ForcedExit(end)
    forced.within(0.01, 75)
    forced.within(0.0, 1)
    assert ended.wait(10)
    assert [75] == codes


def test_now_is_now() -> None:
    codes: list[int] = []
    ForcedExit(codes.append).now(143)
    assert [143] == codes
