"""The whole suite: `python -m tests.bench` runs every benchmark at the sizes of the report and writes it.

`python -m tests.bench throughput tick` runs some of them and writes nothing. Each runs in a process of its own, so that
none inherits the memory or the caches of another.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from tests.bench.tables import Table, end_cleanly
from tests.kafka_server import DEPLOY

REPORT: Final = Path(__file__).parent / "REPORT.md"
PACKAGES: Final = (
    *("aiokafka", "faust-streaming", "msgspec", "numpy", "river", "scipy", "prometheus-client", "confluent-kafka"),
    "rocksdict",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One call of one benchmark."""

    module: str
    arguments: str = ""

    @property
    def command(self) -> list[str]:
        """What a person would type, after the interpreter."""
        return ["-m", f"tests.bench.{self.module}", *shlex.split(self.arguments)]


SUITE: Final = {
    "throughput": (
        Step("throughput", "--decisions 600000 --partitions 1 --compression none --only bare,ours,join,stock"),
        Step("throughput", "--decisions 600000 --partitions 4 --compression lz4 --only bare,ours,join,two"),
    ),
    "hotpath": (Step("hotpath", "--rate 100000"),),
    "freshness": (Step("freshness"),),
    "scrape": (Step("scrape"),),
    "exposition": (Step("exposition"),),
    "memory": (Step("memory"),),
    "tick": (Step("tick"),),
    "join": (Step("join", "--decisions 300000"),),
    "simulate": (Step("simulate"),),
}

HEAD: Final = """# Benchmarks

Written by `make bench`; do not edit. Every table comes from one run on one machine, readers in turn on the same
messages; numbers of different tables were taken minutes apart. Absolute numbers are the machine's, ratios are the
service's. `make bench BENCH=throughput` runs one of them and prints it.

"""


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


def machine() -> str:
    """Cores, processor and versions: what a number depends on besides the code."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    kafka = re.search(r"<kafka\.version>(.+)</kafka\.version>", (DEPLOY / "pom.xml").read_text())
    versions = [f"Python {platform.python_version()}", f"Apache Kafka {kafka[1] if kafka else 'unknown'}"]
    versions += [f"{name} {version(name)}" for name in PACKAGES]
    processor = found[1] if found else platform.machine()
    return f"{os.cpu_count()} cores, {processor}, shared with the broker and the producer. {', '.join(versions)}."


def write_report(found: Sequence[tuple[Step, Sequence[Table]]], path: Path, *, seconds: float) -> None:
    """Write all tables, each under its command."""
    when = datetime.now(UTC).date().isoformat()
    parts = [HEAD, f"{when}. {machine()} The suite took {seconds / 60:.0f} minutes.\n"]
    section = ""
    for step, tables in found:
        if step.module != section:
            section = step.module
            parts.append(f"\n## {section.capitalize()}\n")
        parts.append(f"\n`python {shlex.join(step.command)}`\n\n" + "\n".join(table.markdown() for table in tables))
    path.write_text("".join(parts), encoding="utf-8")


def main() -> None:
    """Run what is asked for; the report is written when nothing in particular is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"out of {', '.join(SUITE)}; default: all, and the report")
    parser.add_argument("--report", type=Path, help=f"where to write; default: {REPORT.name} beside this, if all ran")
    told = parser.parse_args()
    end_cleanly()
    unknown = [name for name in told.names if name not in SUITE]
    if unknown:
        parser.error(f"expected names out of {', '.join(SUITE)}, got {', '.join(unknown)}")
    begun = time.monotonic()
    found = []
    for name in told.names or SUITE:
        for step in SUITE[name]:
            print(f"== {shlex.join(step.command)}", flush=True)
            found.append((step, measured(step)))
    path = told.report or (None if told.names else REPORT)
    if path is not None:
        write_report(found, path, seconds=time.monotonic() - begun)


if __name__ == "__main__":
    main()
