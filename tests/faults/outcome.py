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
processed; none of it counts twice. A stall ends when the workers together have counted one record more. A run of some
of the tests replaces their rows and keeps the others.

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
    on: str = ""
    """the date"""

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
            self.on,
        )
        return f"| {' | '.join(cells)} |"


def write_report(outcomes: Iterable[Outcome], path: Path, *, size: str, versions: str) -> None:
    """Write all outcomes, ordered by number, as a Markdown table, with what it held of other tests of this size."""
    head = "| # | fault | events | faults | lost | redelivered | longest stall, s | test, s | seen | on |\n"
    line = "|---|---|--:|--:|--:|--:|--:|--:|---|---|\n"
    place = f"Size: {size}. {versions}, Python {platform.python_version()}, {platform.machine()}.\n\n"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    kept = before.partition(line)[2].splitlines() if f"Size: {size}." in before else []
    rows = {_test(row): row for row in [*kept, *(one.row() for one in outcomes)]}
    ordered = sorted(rows.items(), key=lambda one: (not one[0][0].isdigit(), one[0][0].zfill(3), one[0][1]))
    path.write_text(HEAD + place + head + line + "".join(f"{row}\n" for _, row in ordered), encoding="utf-8")


def _test(row: str) -> tuple[str, str]:
    """Number and name of the test that a row is about."""
    number, name, *_ = row.removeprefix("| ").split(" | ")
    return number, name
