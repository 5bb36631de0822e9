"""The committed dashboards, as Grafana reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"
NAMES = ("fleet.json", "model.json")

Json = dict[str, Any]


def load(name: str) -> Json:
    """A committed dashboard."""
    document: Json = json.loads((DASHBOARDS / name).read_text(encoding="utf-8"))
    return document


def panels(board: Json) -> list[Json]:
    """Its panels without the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board: Json) -> list[Json]:
    """Its variables."""
    found: list[Json] = board["templating"]["list"]
    return found


def marks(board: Json) -> list[Json]:
    """Its annotations, as `from __future__` has taken that name."""
    found: list[Json] = board["annotations"]["list"]
    return found


def expressions(board: Json) -> Iterator[tuple[str, str]]:
    """Title and expression of every query of every panel."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
