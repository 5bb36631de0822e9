"""Ends the process at once when it has not ended by itself in time.

Nothing is lost by it: state is in Kafka, and what was not committed is read again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class ForcedExit:
    """At most one deadline, the first that was set; a thread that no event loop and no lock can hold up."""

    def __init__(self, end: Callable[[int], None] = os._exit) -> None:
        self._end = end
        self._timer: threading.Timer | None = None

    def within(self, seconds: float, code: int) -> None:
        """End with `code` in so many seconds, unless the process has ended by then."""
        if self._timer is None:
            self._timer = threading.Timer(seconds, self._end, (code,))
            self._timer.daemon = True
            self._timer.start()

    def now(self, code: int) -> None:
        """End with `code`."""
        self._end(code)

    def cancel(self) -> None:
        """The work is done: only the interpreter's own end is left."""
        if self._timer is not None:
            self._timer.cancel()
