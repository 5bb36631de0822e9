"""What a benchmark hands over: tables that are printed and go into the report as they are, and the CPU of a process."""

from __future__ import annotations

import os
import signal
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells that are text already; the first column says what a row is about. `notes` stand below."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The table for a terminal."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        shown = [
            "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in _rest(line, widths))]).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *(f"  {line}" for line in shown), *(f"  {note}" for note in self.notes)])

    def markdown(self) -> str:
        """The table for the report."""
        lines = [f"### {self.title}", "", _row(self.columns), _row(["---", *["--:"] * (len(self.columns) - 1)])]
        lines += [_row(row) for row in self.rows]
        lines += ["", *self.notes] if self.notes else []
        return "\n".join(lines) + "\n"


def begin(run: Callable[[Sequence[str]], list[Table]]) -> None:
    """Run a benchmark as a script: with its arguments, or with `--json FILE` and its arguments for the report."""
    end_cleanly()
    arguments = sys.argv[1:]
    if arguments[:1] == ["--json"]:
        Path(arguments[1]).write_bytes(msgspec.json.encode(run(arguments[2:])))
    else:
        run(arguments)


def end_cleanly() -> None:
    """Let SIGTERM end the program as an exception does: workers and brokers are stopped, folders removed."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def show(tables: Iterable[Table]) -> list[Table]:
    """Print tables and hand them on."""
    shown = list(tables)
    for table in shown:
        print(table.text(), flush=True)
    return shown


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all of its threads included (Linux)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def resident_mb(pid: int) -> float:
    """Resident set size of a process in MB (10^6 bytes; Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def thousands(rate: float) -> str:
    """A rate in thousands."""
    return f"{rate / 1e3:.1f} k"


def spread(values: Sequence[float], *, scale: float = 1.0, digits: int = 1) -> str:
    """The median and, behind it, the least and the greatest of some runs."""
    low, middle, high = (min(values) * scale, statistics.median(values) * scale, max(values) * scale)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def _rest(line: Sequence[str], widths: Sequence[int]) -> Iterable[tuple[str, int]]:
    return zip(line[1:], widths[1:], strict=True)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
