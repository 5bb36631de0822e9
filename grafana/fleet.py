"""The fleet dashboard: all models at a glance, and whether the monitor itself can be believed.

The worst of a model's policies and segments stands for the model: one bad segment is what a reader has to see.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import dashboard

from grafana import board, service
from grafana.board import FLEET_UID, MODEL_UID, READINGS, Section, several
from grafana.panels import KEEP, About, Colour, Column, Query, Unit, grid, lines
from grafana.promql import (
    ESTIMATOR,
    WHAT_IS_DRIFT,
    WHOLE,
    WINDOW,
    WITH_EFFECT,
    against_bound,
    drift,
    most,
    rate,
    select,
)
from monitor import catalogue

MODELS: Final = 'model=~"$model"'
BY_MODEL: Final = ("model",)
NO_MODEL: Final = "no decision of a chosen model in the window"
OPEN_MODEL: Final = f"/d/{MODEL_UID}?{KEEP}&var-model=${{__data.fields.model}}"
OPEN_SERIES: Final = f"{OPEN_MODEL}&var-policy=${{__data.fields.policy}}&var-segment=${{__data.fields.segment}}"

_READINGS = (MODELS, WINDOW, WITH_EFFECT)
MARGIN: Final = "min by (model) (({margin}) and ({enough}))".format(
    margin=against_bound(catalogue.PRECISION_UPPER, "-", catalogue.PRECISION_OBJECTIVE, *_READINGS, ESTIMATOR),
    enough=against_bound(
        catalogue.PRECISION_EFFECTIVE_LABELS, ">=", catalogue.PRECISION_MINIMUM_LABELS, *_READINGS, ESTIMATOR
    ),
)
DRIFT: Final = drift(MODELS)
VOLUME: Final = rate(BY_MODEL, catalogue.DECISIONS, MODELS, WHOLE, WITH_EFFECT)
_SERIES = ("model", "model_version", "variant", "policy")
_DECISIONS = most(_SERIES, catalogue.WINDOW_DECISIONS, *_READINGS, WHOLE)
ACTION_RATIO: Final = (
    f"sum by (model) ({most(_SERIES, catalogue.ACTION_RATIO, *_READINGS, WHOLE)} * {_DECISIONS})"
    f" / sum by (model) ({_DECISIONS})"
)
FIRING: Final = 'ALERTS{alertstate="firing",alertname=~"Moderation.+|Monitor.+",job=~"$job"}'


def build() -> dashboard.Dashboard:
    """The dashboard."""
    return board.board(
        "Moderation fleet",
        uid=FLEET_UID,
        description="All moderation models at a glance, the alerts that fire, and the health of the monitor itself.",
        variables=[
            *board.scrape_variables(),
            several("model", "Model", f"label_values({select(READINGS)}, model)"),
            board.window_variable(),
        ],
        annotations=[board.firing_annotation(), board.launch_annotation(MODELS), board.release_annotation()],
        sections=[_glance(), _models(), service.ingestion(), service.workers()],
    )


def _glance() -> Section:
    seconds = [(None, Colour.GOOD), (60.0, Colour.DOUBTFUL), (300.0, Colour.BAD)]
    firing = grid(
        About(
            "Alerts firing",
            "Alerts of the monitor and its models, as Prometheus sees them; silences are Alertmanager's.",
            Unit.NUMBER,
            "no alert is firing, or the rules are not loaded",
            span=24,
            height=6,
        ),
        ("severity", "alertname", "model", "policy", "segment", "topic"),
        [Column(f"max by (severity, alertname, model, policy, segment, topic) ({FIRING})", "firing", Unit.NUMBER)],
        links={"model": ("Open the model", OPEN_MODEL), "segment": ("Open the slice", OPEN_SERIES)},
    )
    return Section(
        "At a glance",
        [
            grid(
                About(
                    "Models",
                    "Worst series of each model. Margin: upper end of the 95 % interval of the precision minus the "
                    "objective, where there are enough effective labels; below zero the precision is too low beyond "
                    f"doubt. Drift: largest PSI divided by its threshold, of those {WHAT_IS_DRIFT}; 0 where there is "
                    "none. Shadow versions are left out.",
                    Unit.NUMBER,
                    NO_MODEL,
                    span=24,
                    height=9,
                ),
                BY_MODEL,
                [
                    Column(
                        MARGIN,
                        "precision margin",
                        Unit.RATIO,
                        [(None, Colour.BAD), (0.0, Colour.DOUBTFUL), (0.01, Colour.GOOD)],
                    ),
                    Column(
                        DRIFT, "drift", Unit.NUMBER, [(None, Colour.GOOD), (0.7, Colour.DOUBTFUL), (1.0, Colour.BAD)]
                    ),
                    Column(VOLUME, "decisions a second", Unit.PER_SECOND),
                    Column(ACTION_RATIO, "action ratio", Unit.RATIO),
                    Column(
                        f"time() - {most(BY_MODEL, catalogue.MODEL_LAST_DECISION, MODELS)}",
                        "latest decision",
                        Unit.SECONDS,
                        seconds,
                    ),
                ],
                links={"model": ("Open the model", OPEN_MODEL)},
            ).sort_by([common_builders.TableSortByFieldState().display_name("precision margin").desc(False)]),
            firing,
        ],
    )


def _models() -> Section:
    return Section(
        "Models over time",
        [
            lines(
                About(
                    "Precision margin",
                    "Worst upper end of the 95 % interval minus the objective, by model. Below zero the precision is "
                    "too low beyond doubt.",
                    Unit.RATIO,
                    "no series has enough effective labels",
                ),
                Query(MARGIN, "{{model}}"),
            ),
            lines(
                About(
                    "Drift",
                    f"Largest PSI divided by its threshold, by model, of those {WHAT_IS_DRIFT}; 0 where there is none.",
                    Unit.NUMBER,
                    "no reference is pinned",
                ),
                Query(DRIFT, "{{model}}"),
            ),
            lines(
                About(
                    "Decisions a second",
                    "Distinct accepted decisions, by model.",
                    Unit.PER_SECOND,
                    "no decisions arrive",
                ),
                Query(VOLUME, "{{model}}"),
            ),
        ],
    )
