"""Steps of a suite: each runs in a process of its own, so that none inherits the memory or the caches of another."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.bench.tables import Table, end_cleanly

Found = Sequence[tuple["Step", Sequence[Table]]]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of one benchmark."""

    module: str
    arguments: str = ""
    package: str = "tests.bench"

    @property
    def command(self) -> list[str]:
        """What a person would type, after the interpreter."""
        return ["-m", f"{self.package}.{self.module}", *shlex.split(self.arguments)]


def measured(step: Step) -> list[Table]:
    """Run a step; RuntimeError when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "tables.json"
        module, *arguments = step.command[1:]
        command = [sys.executable, "-m", module, "--json", str(told), *arguments]
        with subprocess.Popen(command) as running:
            try:
                running.wait()
            except BaseException:  # it has workers and a broker to stop
                running.terminate()
                raise
        if running.returncode:
            raise RuntimeError(f"{shlex.join(step.command)}: ended with {running.returncode}")
        return msgspec.json.decode(told.read_bytes(), type=list[Table])


def title_of(step: Step) -> str:
    """The heading of a step's section."""
    return step.module.replace("_", " ").capitalize()


def sections(found: Found) -> str:
    """All tables, each under its command, a heading for each module."""
    parts = []
    section = ""
    for step, tables in found:
        if step.module != section:
            section = step.module
            parts.append(f"\n## {title_of(step)}\n")
        parts.append(f"\n`python {shlex.join(step.command)}`\n\n" + "\n".join(table.markdown() for table in tables))
    return "".join(parts)


def run_suite(
    suite: Mapping[str, Sequence[Step]], *, report: Path, about: str | None, write: Callable[[Found, Path], None]
) -> None:
    """Run what the command line asks for; the report is written when nothing in particular is."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"out of {', '.join(suite)}; default: all, and the report")
    parser.add_argument("--report", type=Path, help=f"where to write; default: {report.name} beside this, if all ran")
    told = parser.parse_args()
    end_cleanly()
    unknown = [name for name in told.names if name not in suite]
    if unknown:
        parser.error(f"expected names out of {', '.join(suite)}, got {', '.join(unknown)}")
    found = []
    for name in told.names or suite:
        for step in suite[name]:
            print(f"== {shlex.join(step.command)}", flush=True)
            found.append((step, measured(step)))
    path = told.report or (None if told.names else report)
    if path is not None:
        write(found, path)
