"""Structured logs on standard error, rate-limited, so that a broker's absence does not fill a disk."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import structlog

BURST: Final = 5
"""So often may a logger say the same (the message before formatting) in a period."""
LOGGER_BURST: Final = 10
"""So many messages may a logger write in a period, whatever they say."""
PERIOD_SECONDS: Final = 10.0
MAXIMUM_KEYS: Final = 1000
COUNTED: Final = ("warning", "error", "critical")


class LogCounts(logging.Filter):
    """Counts messages of level warning and above by level, also those that the rate limit drops. Lets all pass."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(COUNTED, 0)

    def filter(self, record: logging.LogRecord) -> bool:
        """True."""
        level = record.levelname.lower()
        if level in self._counts:
            with self._lock:
                self._counts[level] += 1
        return True

    def counts(self) -> Mapping[str, int]:
        """Messages by level since the process began."""
        return dict(self._counts)


class RateLimit(logging.Filter):
    """Drops what repeats and what floods; the next record that passes says how many were dropped.

    What is critical always passes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._periods: dict[tuple[str, ...], _Period] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record passes."""
        if record.levelno >= logging.CRITICAL:
            return True
        with self._lock:
            now = self._clock()
            if len(self._periods) > MAXIMUM_KEYS:
                self._periods.clear()
            same, logger = self._period((record.name, template(record)), now), self._period((record.name,), now)
            if same.passed >= BURST or logger.passed >= LOGGER_BURST:
                same.dropped += 1
                return False
            same.passed += 1
            logger.passed += 1
            dropped, same.dropped = same.dropped, 0
        if dropped:
            _add(record, dropped)
        return True

    def _period(self, key: tuple[str, ...], now: float) -> _Period:
        period = self._periods.setdefault(key, _Period(now))
        if now - period.begin > PERIOD_SECONDS:
            period.begin, period.passed = now, 0
        return period


class _Period:
    """`passed` counts since `begin`, `dropped` since a record last passed."""

    __slots__ = ("begin", "dropped", "passed")

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.passed = 0
        self.dropped = 0


def template(record: logging.LogRecord) -> str:
    """What a record says, without the values: structlog's event, or the message before formatting."""
    said: object = record.msg
    return str(said.get("event", "") if isinstance(said, dict) else said)[:80]


def _add(record: logging.LogRecord, dropped: int) -> None:
    said: object = record.msg
    if isinstance(said, dict):
        record.msg = {**said, "dropped": dropped}
    else:
        record.msg = f"{said} (and {dropped} more like this before)"


def configure_logs(*, level: str, form: Literal["json", "console"]) -> LogCounts:
    """Send everything that the service and its libraries log to standard error, one event a line; count it."""
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    counts = LogCounts()
    handler.addFilter(counts)
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("faust", "mode", "aiokafka"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return counts
