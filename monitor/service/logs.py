"""Structured logs on standard error, rate-limited, so that a broker's absence does not fill a disk."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final, Literal

import structlog

BURST: Final = 20
PERIOD_SECONDS: Final = 10.0
"""A logger may say the same thing (message before formatting) so often in so long; then it is counted."""


class RateLimit(logging.Filter):
    """Drops what repeats; the next record that passes says how many were dropped."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record passes."""
        key = (record.name, str(record.msg)[:80])
        now = self._clock()
        begin, count = self._seen.get(key, (now, 0))
        if now - begin > PERIOD_SECONDS:
            if count > BURST:
                record.msg = f"{record.msg} (and {count - BURST} more like this before)"
            begin, count = now, 0
            if len(self._seen) > 1000:
                self._seen.clear()
        self._seen[key] = (begin, count + 1)
        return count < BURST


def configure_logs(*, level: str, form: Literal["json", "console"]) -> None:
    """Send everything that the service and its libraries log to standard error, one event a line."""
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
