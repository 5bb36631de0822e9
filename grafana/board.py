"""What all dashboards share: variables, annotations, links, and the JSON they become."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from grafana.panels import DATASOURCE
from grafana.promql import select
from monitor import catalogue
from monitor.bounds import JUDGED_WINDOWS

FLEET_UID: Final = "moderation-fleet"
MODEL_UID: Final = "moderation-model"
TAG: Final = "moderation-monitor"

ALL: Final = dashboard.VariableOption(selected=True, text="All", value="$__all")
WINDOW: Final = dashboard.VariableOption(selected=True, text=JUDGED_WINDOWS[0], value=JUDGED_WINDOWS[0])
WHOLE: Final = dashboard.VariableOption(selected=True, text="all", value="all")
READINGS: Final = catalogue.WINDOW_DECISIONS
"""The metric that has every combination of labels of the watched models."""


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the dashboard and its panels."""

    title: str
    panels: Sequence[cog.Builder[dashboard.Panel]]


def datasource_variable() -> builders.DatasourceVariable:
    """Which Prometheus."""
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def several(name: str, label: str, query: str) -> builders.QueryVariable:
    """A variable with several values and `All`, which also matches values that appear later."""
    return _query(name, label, query).multi(True).include_all(True).all_value(".+").current(ALL)


def one(
    name: str, label: str, query: str, *, current: dashboard.VariableOption | None = None
) -> builders.QueryVariable:
    """A variable with exactly one value."""
    variable = _query(name, label, query).multi(False).include_all(False)
    return variable if current is None else variable.current(current)


def _query(name: str, label: str, query: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(label)
        .query({"query": query, "refId": name})
        .definition(query)
        .datasource(DATASOURCE)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_ASC)
    )


def scrape_variables() -> list[cog.Builder[dashboard.VariableModel]]:
    """Data source, job and instance: what narrows down where the numbers come from."""
    return [
        datasource_variable(),
        several("job", "Job", f"label_values({catalogue.BUILD_INFO}, job)"),
        several("instance", "Instance", f'label_values({catalogue.BUILD_INFO}{{job=~"$job"}}, instance)'),
    ]


def window_variable() -> cog.Builder[dashboard.VariableModel]:
    """Window of the readings."""
    return one("window", "Window", f"label_values({select(READINGS)}, window)", current=WINDOW)


def firing_annotation(*matchers: str) -> builders.AnnotationQuery:
    """Marks where an alert was firing."""
    chosen = ",".join(('alertstate="firing"', 'alertname=~"Moderation.+|Monitor.+"', 'job=~"$job"', *matchers))
    return _annotation(
        "Firing alerts", f"ALERTS{{{chosen}}}", "red", "{{alertname}}", "{{model}} {{policy}} {{segment}}"
    )


def release_annotation() -> builders.AnnotationQuery:
    """Marks where a version or configuration of the monitor appeared."""
    info = f"max by (version, config) ({select(catalogue.BUILD_INFO)})"
    earlier = f"max by (version, config) ({select(catalogue.BUILD_INFO)} offset 5m)"
    return _annotation(
        "Monitor releases", f"{info} unless {earlier}", "purple", "moderation-monitor {{version}}", "{{config}}"
    )


def launch_annotation(*matchers: str) -> builders.AnnotationQuery:
    """Marks when a model version entered a stage, at the time that its launch event says."""
    expr = f"max by (model, model_version, variant, stage) ({select(catalogue.LAUNCH_TIMESTAMP, *matchers)}) * 1000"
    return _annotation(
        "Launches", expr, "blue", "{{model}} {{model_version}}", "{{variant}}: {{stage}}"
    ).use_value_for_time(True)


def _annotation(name: str, expr: str, colour: str, title: str, text: str) -> builders.AnnotationQuery:
    return (
        builders.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color(colour)
        .expr(expr)
        .title_format(title)
        .text_format(text)
        .step("60s")
    )


def board(
    title: str,
    *,
    uid: str,
    description: str,
    variables: Sequence[cog.Builder[dashboard.VariableModel]],
    annotations: Sequence[builders.AnnotationQuery],
    sections: Sequence[Section],
) -> dashboard.Dashboard:
    """A read-only dashboard in UTC with a shared crosshair; panels are numbered in order."""
    builder = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("utc")
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .variables(list(variables))
        .annotations(list(annotations))
        .link(
            builders.DashboardLink("Moderation monitor")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for section in sections:
        builder = builder.with_row(builders.Row(section.title))
        for panel in section.panels:
            builder = builder.with_panel(panel)
    built = builder.build()
    for number, placed in enumerate(built.panels or (), start=1):
        placed.id_val = number
    return built


def to_json(built: dashboard.Dashboard) -> str:
    """The dashboard in Grafana's classic schema, the same bytes each time."""
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
