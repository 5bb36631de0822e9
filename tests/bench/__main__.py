"""The whole suite: `python -m tests.bench` runs every benchmark at the sizes of the report and writes it.

`python -m tests.bench throughput tick` runs some of them and writes nothing, or with `--report FILE` their sections.
"""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.bench.suite import Found, Step, run_suite, sections, title_of
from tests.kafka_server import DEPLOY

REPORT: Final = Path(__file__).parent / "REPORT.md"
PACKAGES: Final = (
    *("aiokafka", "faust-streaming", "msgspec", "numpy", "river", "scipy", "prometheus-client", "confluent-kafka"),
    "rocksdict",
)


SUITE: Final = {
    "throughput": (
        Step("throughput", "--decisions 1500000 --partitions 1 --compression none --only bare,ours,join,stock"),
        Step("throughput", "--decisions 1500000 --partitions 4 --compression lz4 --only bare,ours,join,two"),
    ),
    "hotpath": (Step("hotpath", "--rate 100000"),),
    "freshness": (Step("freshness"),),
    "scrape": (Step("scrape"),),
    "exposition": (Step("exposition"),),
    "memory": (Step("memory"),),
    "tick": (Step("tick"),),
    "join": (Step("join", "--decisions 300000"),),
    "simulate": (Step("simulate"),),
    "statistics": (Step("statistics"),),
    "charts": (Step("charts"),),
}

HEAD: Final = """# Benchmarks

Written by `make bench`; do not edit. Every table comes from one run on one machine, readers in turn on the same
messages; numbers of different tables were taken minutes apart, those of sections of another date with other versions
of the code. Absolute numbers are the machine's, ratios are the service's. `make bench BENCH=throughput` runs one of
them and prints it.

"""


def machine() -> str:
    """Cores, processor and versions: what a number depends on besides the code."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    kafka = re.search(r"<kafka\.version>(.+)</kafka\.version>", (DEPLOY / "pom.xml").read_text())
    versions = [f"Python {platform.python_version()}", f"Apache Kafka {kafka[1] if kafka else 'unknown'}"]
    versions += [f"{name} {version(name)}" for name in PACKAGES]
    processor = found[1] if found else platform.machine()
    return f"{os.cpu_count()} cores, {processor}, shared with the broker and the producer. {', '.join(versions)}."


def write_report(found: Found, path: Path) -> None:
    """Write all tables, each under its command, in sections with their date; sections of other benchmarks stay."""
    when = datetime.now(UTC).date().isoformat()
    before = _by_title(path.read_text(encoding="utf-8")) if path.exists() else {}
    now = {title: f"\nMeasured on {when}.\n{text}" for title, text in _by_title(sections(found)).items()}
    order = list(dict.fromkeys(title_of(step) for steps in SUITE.values() for step in steps))
    told = {**before, **now}
    parts = [f"\n## {title}\n{told[title]}" for title in order if title in told]
    path.write_text(f"{HEAD}{machine()}\n{''.join(parts)}", encoding="utf-8")


def _by_title(text: str) -> dict[str, str]:
    _, *parts = f"\n{text}".split("\n## ")
    return {title: f"{body.rstrip()}\n" for title, _, body in (part.partition("\n") for part in parts)}


if __name__ == "__main__":
    run_suite(SUITE, report=REPORT, about=__doc__, write=write_report)
