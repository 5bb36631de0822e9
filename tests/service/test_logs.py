"""What passes the rate limit, what is counted, and that a line is one JSON object."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from monitor.service.logs import BURST, LOGGER_BURST, PERIOD_SECONDS, LogCounts, RateLimit


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def record(message: object, *args: object, name: str = "aiokafka", level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord(name, level, "file", 1, message, args, None)


def test_the_same_message_passes_a_few_times_a_period_whatever_its_values_are() -> None:
    limit = RateLimit(Hand())
    passed = [limit.filter(record("partition %d is gone", number)) for number in range(50)]
    assert [True] * BURST + [False] * (50 - BURST) == passed


def test_structured_messages_are_the_same_when_their_event_is() -> None:
    limit = RateLimit(Hand())
    passed = [limit.filter(record({"partition": number, "event": "partition is gone"})) for number in range(50)]
    assert BURST == sum(passed)


def test_the_next_that_passes_says_how_many_were_dropped() -> None:
    clock = Hand()
    limit = RateLimit(clock)
    for _ in range(BURST + 3):
        limit.filter(record("gone %d", 1))
        limit.filter(record({"event": "gone"}, name="monitor"))
    clock.now += PERIOD_SECONDS + 0.1
    plain, structured = record("gone %d", 2), record({"event": "gone"}, name="monitor")
    assert limit.filter(plain)
    assert limit.filter(structured)
    assert "gone 2 (and 3 more like this before)" == plain.getMessage()
    assert {"event": "gone", "dropped": 3} == structured.msg


def test_a_flood_of_different_messages_of_one_logger_is_limited_and_others_are_heard() -> None:
    limit = RateLimit(Hand())
    passed = [limit.filter(record(f"message {number}")) for number in range(500)]
    assert LOGGER_BURST == sum(passed)
    assert limit.filter(record("message 1", name="monitor.worker"))


def test_what_is_critical_always_passes() -> None:
    limit = RateLimit(Hand())
    assert all(limit.filter(record("stack", level=logging.CRITICAL)) for _ in range(100))


def test_an_hour_of_flooding_by_one_logger_is_two_lines_a_second() -> None:
    clock = Hand()
    limit = RateLimit(clock)
    passed = 0
    for _ in range(36_000):
        clock.now += 0.1
        passed += limit.filter(record(f"message {clock.now}"))
    assert passed / 3600 <= LOGGER_BURST / PERIOD_SECONDS


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (logging.INFO, {"warning": 0, "error": 0, "critical": 0}),
        (logging.WARNING, {"warning": 2, "error": 0, "critical": 0}),
        (logging.ERROR, {"warning": 0, "error": 2, "critical": 0}),
        (logging.CRITICAL, {"warning": 0, "error": 0, "critical": 2}),
    ],
)
def test_messages_are_counted_by_level_from_warning_on(level: int, expected: dict[str, int]) -> None:
    counts = LogCounts()
    assert all(counts.filter(record("m", level=level)) for _ in range(2))
    assert expected == counts.counts()


PROGRAM = """
import logging, structlog
from monitor.service.logs import configure_logs
counts = configure_logs(level="INFO", form="json")
structlog.get_logger("monitor.x").warning("of the service", partition=3)
logging.getLogger("aiokafka.y").error("of a library: %s", "why")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("faust.z").exception("with a traceback")
for number in range(100):
    logging.getLogger("faust").warning("again %d", number)
structlog.get_logger("monitor.x").info("counted", **counts.counts())
"""


def test_every_line_is_a_json_object_and_dropped_ones_are_counted_too() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"event": "of the service", "partition": 3, "level": "warning", "logger": "monitor.x"}.items() <= (
        lines[0].items()
    )
    assert ("of a library: why", "error") == (lines[1]["event"], lines[1]["level"])
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert 4 + BURST == len(lines)
    assert {"warning": 101, "error": 2, "critical": 0}.items() <= lines[-1].items()
