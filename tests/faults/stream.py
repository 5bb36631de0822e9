"""Records that are published in the background, at an even pace, while faults happen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Self

from tests.e2e.published import Published, publish

CHUNK_RECORDS = 1000
DELIVERY_SECONDS = 180.0
"""As long as a broker may be away."""


class Stream:
    """Publishes `records` in order at about `per_second`; a context manager, whose end waits for the last of them."""

    def __init__(self, bootstrap: str, records: Sequence[Published], *, per_second: float) -> None:
        self.acknowledged = 0
        self._bootstrap = bootstrap
        self._records = records
        self._pause = CHUNK_RECORDS / per_second
        self._hurry = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()

    def finish(self) -> None:
        """Publish what is left at once, and wait for it. Raises what publishing failed with."""
        self._hurry.set()
        self._thread.join()
        self.check()

    def check(self) -> None:
        """Raises what publishing failed with."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            for begin in range(0, len(self._records), CHUNK_RECORDS):
                chunk = self._records[begin : begin + CHUNK_RECORDS]
                publish(self._bootstrap, chunk, within=DELIVERY_SECONDS)
                self.acknowledged += len(chunk)
                self._hurry.wait(self._pause)
        except BaseException as error:  # raised again in the test's own thread
            self._failure = error
