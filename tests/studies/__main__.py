"""The studies: `python -m tests.studies` runs every simulation at the size of the report and writes it.

`python -m tests.studies coverage` runs some of them and writes nothing. A study is a module beside this one with
`run(arguments) -> list[Table]`, a simulation with known truth and seeds that gives the same tables each time, and
`SMALL`, arguments for a run of a second or two, by which the tests see that it has not rotted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.bench.suite import Found, Step, run_suite, sections

REPORT: Final = Path(__file__).parent / "REPORT.md"

SUITE: Final[dict[str, tuple[Step, ...]]] = {
    "comparison": (Step("comparison", "--runs 20000", package="tests.studies"),),
    "evaluation": (Step("evaluation", "--runs 3", package="tests.studies"),),
    "river_detectors": (Step("river_detectors", "--runs 30", package="tests.studies"),),
    "delay": (Step("delay", "--runs 4000", package="tests.studies"),),
    "proxies": (Step("proxies", "--runs 2000", package="tests.studies"),),
    "coverage": (Step("coverage", "--runs 2000", package="tests.studies"),),
    "page_budget": (Step("page_budget", "", package="tests.studies"),),
    "run_lengths": (Step("run_lengths", "--runs 2000 --fewer 1000", package="tests.studies"),),
    "attribution": (Step("attribution", package="tests.studies"),),
    "sequential": (Step("sequential", "", package="tests.studies"),),
    "launch": (Step("launch", "--runs 1000", package="tests.studies"),),
}

HEAD: Final = """# Studies of the statistics library

Written by `make studies`; do not edit. Every table comes from a simulation with known truth and fixed seeds: the same
command gives the same numbers. `make studies STUDY=coverage` runs one of them and prints it.
"""


def write_report(found: Found, path: Path) -> None:
    """Write all tables, each under its command."""
    path.write_text(HEAD + sections(found), encoding="utf-8")


if __name__ == "__main__":
    run_suite(SUITE, report=REPORT, about=__doc__, write=write_report)
