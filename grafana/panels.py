"""Panels with what every panel must have: title, description, unit, and an explanation of "no data".

A thin layer over grafana-foundation-sdk; whatever a single panel needs beyond it is called on the returned builder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard, units
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE: Final = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
KEEP: Final = (
    "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${window:queryparam}"
)
"""Query string that carries the time range and the reader's choices into another dashboard."""


class Unit(StrEnum):
    """Units of the panels, as Grafana calls them."""

    RATIO = units.PercentUnit
    """0 to 1, shown in percent"""
    NUMBER = units.Short
    PER_SECOND = "cps"
    SECONDS = units.Seconds
    BYTES = units.BytesIEC
    TIME = units.DatetimeISO
    NONE = units.NoUnit


class Colour(StrEnum):
    """Colours with a meaning."""

    GOOD = "green"
    DOUBTFUL = "orange"
    BAD = "red"
    NEUTRAL = "blue"


@dataclass(frozen=True, slots=True)
class About:
    """What a reader needs to know of a panel. `span` is out of 24 columns; `empty` explains an empty panel."""

    title: str
    description: str
    unit: Unit
    empty: str
    span: int = 8
    height: int = 8


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its query, its head, and how it is written and coloured."""

    expr: str
    title: str
    unit: Unit
    steps: Sequence[tuple[float | None, Colour]] = ()


Panel = TypeVar("Panel", timeseries.Panel, stat.Panel, table.Panel, heatmap.Panel)


def _dressed(panel: Panel, about: About) -> Panel:
    return (
        panel.title(about.title)
        .description(f"{about.description} Empty: {about.empty}.")
        .unit(about.unit.value)
        .no_value(about.empty)
        .datasource(DATASOURCE)
        .span(about.span)
        .height(about.height)
    )


def _targets(queries: Sequence[Query], *, instant: bool = False) -> list[prometheus.Dataquery]:
    targets = []
    for number, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number)).datasource(DATASOURCE)
        target = target.legend_format(query.legend or "__auto")
        targets.append(target.instant() if instant else target.range())
    return targets


def steps(limits: Sequence[tuple[float | None, Colour]]) -> dashboard_builders.ThresholdsConfig:
    """Colours from each limit on; the first limit is None, for everything below."""
    return (
        dashboard_builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=value, color=colour.value) for value, colour in limits])
    )


def lines(about: About, *queries: Query) -> timeseries.Panel:
    """Series over time."""
    panel = _dressed(timeseries.Panel(), about)
    for target in _targets(queries):
        panel = panel.with_target(target)
    return (
        panel.line_width(1)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.AUTO)
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )


def number(about: About, query: Query, limits: Sequence[tuple[float | None, Colour]]) -> stat.Panel:
    """The latest value, coloured by limits."""
    (target,) = _targets([query], instant=True)
    return (
        _dressed(stat.Panel(), about)
        .with_target(target)
        .thresholds(steps(limits))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .graph_mode(common.BigValueGraphMode.NONE)
    )


def heat(about: About, query: Query) -> heatmap.Panel:
    """Buckets of a histogram over time; the query has the label `le`."""
    (target,) = _targets([query])
    return (
        _dressed(heatmap.Panel(), about)
        .with_target(target.format(PromQueryFormat.HEATMAP))
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .y_axis(heatmap.YAxisConfig().unit(about.unit.value))
        .cell_values(heatmap.CellValues().unit(Unit.NUMBER.value))
    )


def grid(
    about: About, keys: Sequence[str], columns: Sequence[Column], *, links: Mapping[str, tuple[str, str]] | None = None
) -> table.Panel:
    """One row for each combination of `keys`, one column a query. Each query has exactly the labels in `keys`.

    `links` are title and address by key column.
    """
    panel = _dressed(table.Panel(), about)
    for target in _targets([Query(column.expr) for column in columns], instant=True):
        panel = panel.with_target(target.format(PromQueryFormat.TABLE))
    # With one query the value is called `Value`, with several `Value #A` and so on.
    values = ["Value"] if len(columns) == 1 else [f"Value #{chr(ord('A') + i)}" for i in range(len(columns))]
    order = {name: position for position, name in enumerate([*keys, *values])}
    panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(
        dashboard.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": order,
                "renameByName": {name: column.title for name, column in zip(values, columns, strict=True)},
            },
        )
    )
    for column in columns:
        properties = [dashboard.DynamicConfigValue("unit", column.unit.value)]
        if column.steps:
            properties += [
                dashboard.DynamicConfigValue("thresholds", steps(column.steps).build()),
                dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ]
        panel = panel.override_by_name(column.title, properties)
    for name, (title, url) in (links or {}).items():
        panel = panel.override_by_name(
            name, [dashboard.DynamicConfigValue("links", [{"title": title, "url": url, "targetBlank": False}])]
        )
    return panel.filterable(True)


def dashed(panel: timeseries.Panel, pattern: str, colour: Colour) -> timeseries.Panel:
    """Draws the series whose name matches `pattern` as dashed lines: bounds, not readings."""
    return panel.override_by_regexp(
        pattern,
        [
            dashboard.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
            dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour.value}),
        ],
    )


def band(panel: timeseries.Panel, lower: str, upper: str) -> timeseries.Panel:
    """Fills the space between two series, given by name."""
    quiet = [
        dashboard.DynamicConfigValue("custom.lineWidth", 0),
        dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": Colour.NEUTRAL.value}),
        dashboard.DynamicConfigValue("custom.showPoints", "never"),
    ]
    filled = [
        *quiet,
        dashboard.DynamicConfigValue("custom.fillBelowTo", lower),
        dashboard.DynamicConfigValue("custom.fillOpacity", 15),
    ]
    return panel.override_by_name(lower, quiet).override_by_name(upper, filled)
