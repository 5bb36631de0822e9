"""A progress bar on standard error, where that is a terminal; otherwise nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


def minute_of(at_ms: int) -> str:
    """A time in UTC for people; it may lie behind the year 9999, where the calendar of `datetime` ends."""
    return str(np.datetime64(at_ms // 60_000, "m")).replace("T", " ")


@contextmanager
def progress(what: str, *, total: float | None) -> Iterator[Callable[[float, str], None]]:
    """Gives a function to call with how much is done (None: of an unknown total) and a few words of detail."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=total, detail="")
        yield lambda done, detail: bar.update(task, completed=done, detail=detail)
