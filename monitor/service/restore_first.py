"""The sources wait for what is restored: both would take all of one processor, and until it is restored nothing of a
partition is exported.

They do not wait for ever: others may wait for what this worker reads of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

RESTORE_FIRST_SECONDS: Final = 10.0
"""So long after an assignment at the most."""


class RestoreFirst:
    """Whether the sources are left for now; `restoring` says whether anything is being restored."""

    def __init__(self, restoring: Callable[[], bool]) -> None:
        self._restoring = restoring
        self._until = float("-inf")

    def begin(self, now: float) -> None:
        """An assignment begins; `now` is in seconds of any clock that does not go back."""
        self._until = now + RESTORE_FIRST_SECONDS

    def holds(self, now: float) -> bool:
        """Whether they wait."""
        return now < self._until and self._restoring()
