"""What a fault test saw, and the report that `make faults` writes of all of them.

A row is "N events, M faults, lost, redelivered, longest stall": numbers that the test measured, never expectations.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HEAD: Final = """# Faults

Written by `make faults` (size full), or by any run of these tests with `FAULTS_REPORT=path` (size small); do not edit.
Numbers are those of the operations checklist; each row is one test in this folder. *Lost* counts events that a recount
of the topics has and the metrics have not, or the other way round. *Redelivered* is what workers processed again after
a fault, as a share, measured on the junk among the records, which is in the dead-letter topics as often as it was
processed; none of it counts twice. A stall ends when the workers together have counted one record more.

"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row. `redelivered` is a share of the events, `stall_seconds` the longest time without progress.

    None = not measured by this test.
    """

    number: str
    """of the operations checklist, such as "1" or "exact" """
    name: str
    events: int
    faults: int
    lost: int
    redelivered: float | None = None
    stall_seconds: float | None = None
    seconds: float | None = None
    """how long the whole test took"""
    told: str = ""
    """what else it saw, in a few words"""

    def row(self) -> str:
        """The outcome as a row of the report."""
        cells = (
            self.number,
            self.name,
            f"{self.events:,}",
            str(self.faults),
            str(self.lost),
            "" if self.redelivered is None else f"{self.redelivered:.1%}",
            "" if self.stall_seconds is None else f"{self.stall_seconds:.1f}",
            "" if self.seconds is None else f"{self.seconds:.0f}",
            self.told,
        )
        return f"| {' | '.join(cells)} |"


def write_report(outcomes: Iterable[Outcome], path: Path, *, size: str, versions: str, when: str) -> None:
    """Write all outcomes, ordered by number, as a Markdown table."""
    rows = sorted(outcomes, key=lambda one: (not one.number.isdigit(), one.number.zfill(3), one.name))
    head = "| # | fault | events | faults | lost | redelivered | longest stall, s | test, s | seen |\n"
    line = "|---|---|--:|--:|--:|--:|--:|--:|---|\n"
    place = f"Size: {size}. {when}, {versions}, Python {platform.python_version()}, {platform.machine()}.\n\n"
    path.write_text(HEAD + place + head + line + "".join(f"{one.row()}\n" for one in rows), encoding="utf-8")
