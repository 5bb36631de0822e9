"""Writes `dashboards/*.json` from the Python beside it: `python -m grafana.build`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.models import dashboard

from grafana import fleet, model
from grafana.board import to_json

DASHBOARDS: Final = Path(__file__).parent / "dashboards"
BOARDS: Final[Mapping[str, Callable[[], dashboard.Dashboard]]] = {"fleet.json": fleet.build, "model.json": model.build}
"""File name -> dashboard."""


def write_dashboards(directory: Path) -> list[Path]:
    """Writes every dashboard into `directory`, which is created if need be; the paths, in order."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, build in BOARDS.items():
        path = directory / name
        path.write_text(to_json(build()), encoding="utf-8")
        written.append(path)
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m grafana.build", description=__doc__)
    parser.add_argument("--output", type=Path, default=DASHBOARDS, help="directory of the dashboards")
    write_dashboards(parser.parse_args(arguments).output)


if __name__ == "__main__":
    main()
