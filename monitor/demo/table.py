"""What the demo shows: one line a model, read from the worker's own API and from nothing else."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from monitor.bounds import JUDGED_WINDOWS, SIGNIFICANT_P_VALUE

WINDOW: Final = JUDGED_WINDOWS[0]
PAGE: Final = 1000
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something an operator would be told."""

    model: str
    text: str
    severe: bool


@dataclass(slots=True)
class ModelLine:
    """One model as a whole. None = not known yet."""

    model: str
    decisions: float = 0.0
    action_rate: float | None = None
    worst: Row | None = None
    """precision reading of the policy with the lowest upper end"""
    findings: list[Finding] = field(default_factory=list)


def read(address: str, quantity: str, **filters: str) -> list[Row]:
    """Readings of the API over the demo's window; OSError when it does not answer."""
    rows: list[Row] = []
    while True:
        query = urllib.parse.urlencode(
            {"window": WINDOW, "quantity": quantity, "limit": PAGE, "offset": len(rows), **filters}
        )
        page = _get(f"{address}/api/v1/readings?{query}")
        rows += page["readings"]
        if not page["readings"] or len(rows) >= page["total"]:
            return [row for row in rows if row["value"] is not None]


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
        return json.load(answer)


def model_lines(address: str) -> tuple[str | None, list[ModelLine]]:
    """(event time, lines by model) as the API tells them now."""
    told = _get(f"{address}/api/v1/models")
    lines = {model["model"]: ModelLine(model["model"]) for model in told["models"]}
    bounds = {model: _objectives(address, model) for model in lines}
    for row in read(address, "volume", segment="all"):
        lines[row["model"]].decisions += row["value"]
    acted = dict.fromkeys(lines, 0.0)
    for row in read(address, "action_rate", segment="all"):
        acted[row["model"]] += row["value"] * row["sample"]
    for name, line in lines.items():
        line.action_rate = acted[name] / line.decisions if line.decisions else None
    _add_precision(lines, read(address, "precision"), bounds)
    _add_drift(lines, read(address, "drift", segment="all"))
    return told["clock"], [lines[name] for name in sorted(lines)]


def render(clock: str | None, lines: Sequence[ModelLine], *, firing: Iterable[Mapping[str, str]] | None) -> Table:
    """The table. `firing` are Prometheus' alerts by label, None without Prometheus."""
    title = "waiting for decisions" if clock is None else f"event time {clock[:19].replace('T', ' ')}"
    table = Table(title=title, caption=f"readings over the last {WINDOW} of event time", expand=True)
    for heading, justify in (
        ("model", "left"),
        ("decisions", "right"),
        ("acted on", "right"),
        ("precision (worst policy)", "left"),
        ("what an operator is told", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]  # literals of rich's own type
    alerts = list(firing or ())
    for line in lines:
        told = Text("\n").join(
            [Text(finding.text, style="bold red" if finding.severe else "yellow") for finding in line.findings[:4]]
        )
        for name in sorted({alert["alertname"] for alert in alerts if alert.get("model") == line.model}):
            told.append(f"{chr(10) if told.plain else ''}firing: {name}", style="bold magenta")
        table.add_row(
            line.model,
            f"{line.decisions:,.0f}",
            "-" if line.action_rate is None else f"{line.action_rate:.1%}",
            _precision(line.worst),
            told if told.plain else Text("quiet", style="green"),
        )
    return table


def _objectives(address: str, model: str) -> dict[str, tuple[float, float]]:
    name = urllib.parse.quote(model, safe="")
    told = _get(f"{address}/api/v1/models/{name}")["objectives"]
    return {entry["policy"]: (entry["precision"], entry["minimum_labels"]) for entry in told}


def _add_precision(
    lines: Mapping[str, ModelLine], rows: Iterable[Row], bounds: Mapping[str, Mapping[str, tuple[float, float]]]
) -> None:
    for row in sorted(rows, key=lambda row: (row["upper"], row["policy"], row["segment"])):
        line = lines[row["model"]]
        objective, minimum = bounds[row["model"]][row["policy"]]
        if row["sample"] < minimum:
            continue
        if row["segment"] == "all" and line.worst is None:
            line.worst = row
        if row["upper"] < objective:
            where = row["policy"] if row["segment"] == "all" else f"{row['policy']}, {row['segment']}"
            span = f"{row['lower']:.0%}-{row['upper']:.0%}"
            line.findings.append(Finding(row["model"], f"precision {span} below {objective:.0%}: {where}", severe=True))


def _add_drift(lines: Mapping[str, ModelLine], rows: Iterable[Row]) -> None:
    for row in sorted(rows, key=lambda row: -row["value"]):
        significant = row["p_value"] is not None and row["p_value"] < SIGNIFICANT_P_VALUE
        if row["method"] == "psi" and significant and row["value"] > row["threshold"]:
            text = f"drift of {row['input']} (PSI {row['value']:.2f}): {row['policy']}, {row['model_version']}"
            lines[row["model"]].findings.append(Finding(row["model"], text, severe=False))


def _precision(row: Row | None) -> str:
    if row is None:
        return "too few labels yet"
    return f"{row['value']:.1%} [{row['lower']:.1%}, {row['upper']:.1%}] {row['policy']}, {row['sample']:,.0f} labels"
