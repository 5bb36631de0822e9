"""The model dashboard: one model, one segment, all of its policies.

Everything is read by time of decision: a reading of the past hour changes while late labels arrive.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard

from grafana import board
from grafana import model_traffic as traffic
from grafana.board import MODEL_UID, READINGS, Section, several
from grafana.model_scope import CHAMPION, HERE, MODEL, NO_DECISIONS, NO_LABELS, NO_REFERENCE, POLICY, ROW, VERSION
from grafana.panels import KEEP, About, Colour, Column, Query, Unit, band, dashed, grid, lines, number
from grafana.promql import (
    ESTIMATOR,
    PSI,
    WHAT_IS_DRIFT,
    WINDOW,
    WITH_EFFECT,
    against_bound,
    drift,
    least,
    most,
    rate,
    select,
)
from monitor import catalogue

SLICE: Final = (
    f"/d/{MODEL_UID}?{KEEP}&${{model:queryparam}}"
    "&var-policy=${__data.fields.policy}&var-segment=${__data.fields.segment}"
)


def build() -> dashboard.Dashboard:
    """The dashboard."""
    return board.board(
        "Moderation model",
        uid=MODEL_UID,
        description="Precision, volume, proxies and drift of one moderation model, by policy and segment.",
        variables=[
            *board.scrape_variables(),
            board.one("model", "Model", f"label_values({select(READINGS)}, model)"),
            several("policy", "Policy", f"label_values({select(READINGS, MODEL)}, policy)"),
            board.one(
                "segment", "Segment", f"label_values({select(READINGS, MODEL, POLICY)}, segment)", current=board.WHOLE
            ),
            board.window_variable(),
        ],
        annotations=[
            board.launch_annotation(MODEL),
            board.firing_annotation('model=~"$model|"'),
            board.release_annotation(),
        ],
        sections=[_now(), _quality(), traffic.volume(), traffic.drift(), traffic.scores(), _slices()],
    )


def _now() -> Section:
    enough = against_bound(
        catalogue.PRECISION_EFFECTIVE_LABELS,
        ">=",
        catalogue.PRECISION_MINIMUM_LABELS,
        *HERE,
        WINDOW,
        ESTIMATOR,
        WITH_EFFECT,
    )
    margin = against_bound(
        catalogue.PRECISION_UPPER, "-", catalogue.PRECISION_OBJECTIVE, *HERE, WINDOW, ESTIMATOR, WITH_EFFECT
    )
    return Section(
        "Now",
        [
            number(
                About(
                    "Worst margin to the objective",
                    "Upper end of the 95 % interval minus the objective, lowest of the chosen policies. Below zero the "
                    "precision is too low beyond doubt. Only where there are enough effective labels.",
                    Unit.RATIO,
                    "no policy has enough effective labels",
                    span=6,
                    height=4,
                ),
                Query(f"min(({margin}) and ({enough}))"),
                [(None, Colour.BAD), (0.0, Colour.DOUBTFUL), (0.01, Colour.GOOD)],
            ),
            number(
                About(
                    "Largest drift",
                    "Largest PSI of the score or a feature, divided by its threshold: from 1 on it counts as drift. Of "
                    f"those {WHAT_IS_DRIFT}; 0 where there is none.",
                    Unit.NUMBER,
                    NO_REFERENCE,
                    span=6,
                    height=4,
                ),
                Query(f"max({drift(*HERE)})"),
                [(None, Colour.GOOD), (0.7, Colour.DOUBTFUL), (1.0, Colour.BAD)],
            ),
            number(
                About(
                    "Decisions a second",
                    "Distinct accepted decisions, shadow versions left out.",
                    Unit.PER_SECOND,
                    NO_DECISIONS,
                    span=6,
                    height=4,
                ),
                Query(f"sum({rate(('model',), catalogue.DECISIONS, *HERE, WITH_EFFECT)})"),
                [(None, Colour.NEUTRAL)],
            ),
            number(
                About(
                    "Age of the latest decision",
                    "Time since the latest accepted decision of this model was taken.",
                    Unit.SECONDS,
                    "no decision of this model was ever accepted",
                    span=6,
                    height=4,
                ),
                Query(f"time() - {most(('model',), catalogue.MODEL_LAST_DECISION, MODEL)}"),
                [(None, Colour.GOOD), (60.0, Colour.DOUBTFUL), (300.0, Colour.BAD)],
            ),
        ],
    )


def _quality() -> Section:
    precision = lines(
        About(
            "Audited precision: $policy",
            "Share of acted-on decisions that were right, from reviews with a known inclusion probability. The band is "
            "the 95 % interval of the champion; the dashed line is the objective.",
            Unit.RATIO,
            NO_LABELS,
            span=24,
            height=9,
        ),
        Query(most(VERSION, catalogue.PRECISION, *HERE, WINDOW, ESTIMATOR), "estimate {{model_version}} ({{variant}})"),
        Query(least((), catalogue.PRECISION_LOWER, *HERE, WINDOW, ESTIMATOR, CHAMPION), "lower"),
        Query(most((), catalogue.PRECISION_UPPER, *HERE, WINDOW, ESTIMATOR, CHAMPION), "upper"),
        Query(most((), catalogue.PRECISION_OBJECTIVE, MODEL, POLICY), "objective"),
    )
    precision = band(dashed(precision, "^objective$", Colour.BAD), "lower", "upper")
    labels = lines(
        About(
            "Effective labels",
            "Labels of equal weight that would tell as much of precision; below the dashed line it may not alert.",
            Unit.NUMBER,
            NO_DECISIONS,
            span=12,
        ),
        Query(
            most(("policy", *VERSION), catalogue.PRECISION_EFFECTIVE_LABELS, *HERE, WINDOW, ESTIMATOR),
            "{{policy}} {{model_version}} ({{variant}})",
        ),
        Query(most(("policy",), catalogue.PRECISION_MINIMUM_LABELS, MODEL, POLICY), "minimum {{policy}}"),
    )
    reviews = lines(
        About(
            "Reviews a second",
            "Distinct accepted reviews by source and verdict. Only audits and other designs with known inclusion "
            "probabilities enter the precision.",
            Unit.PER_SECOND,
            "no review of this model, policy and segment",
            span=12,
        ),
        Query(rate(("source", "verdict"), catalogue.REVIEWS, *HERE), "{{source}} {{verdict}}"),
    )
    return Section(
        "Precision",
        [
            precision.repeat("policy").repeat_direction("h").max_per_row(3),
            dashed(labels, "^minimum", Colour.BAD),
            reviews,
        ],
    )


def _slices() -> Section:
    everywhere = (MODEL, POLICY, WINDOW)
    return Section(
        "Slices",
        [
            grid(
                About(
                    "Policies and segments",
                    "All series of the model. Click a policy or segment to open it; sort by any column.",
                    Unit.NUMBER,
                    NO_DECISIONS,
                    span=24,
                    height=14,
                ),
                ROW,
                [
                    Column(most(ROW, catalogue.WINDOW_DECISIONS, *everywhere), "decisions", Unit.NUMBER),
                    Column(most(ROW, catalogue.ACTION_RATIO, *everywhere), "action ratio", Unit.RATIO),
                    Column(most(ROW, catalogue.PRECISION, *everywhere, ESTIMATOR), "precision", Unit.RATIO),
                    Column(least(ROW, catalogue.PRECISION_LOWER, *everywhere, ESTIMATOR), "lower", Unit.RATIO),
                    Column(most(ROW, catalogue.PRECISION_UPPER, *everywhere, ESTIMATOR), "upper", Unit.RATIO),
                    Column(
                        f"max by ({', '.join(ROW)}) ("
                        + against_bound(
                            catalogue.PRECISION_UPPER, "-", catalogue.PRECISION_OBJECTIVE, *everywhere, ESTIMATOR
                        )
                        + ")",
                        "upper minus objective",
                        Unit.RATIO,
                        [(None, Colour.BAD), (0.0, Colour.GOOD)],
                    ),
                    Column(
                        most(ROW, catalogue.PRECISION_EFFECTIVE_LABELS, *everywhere, ESTIMATOR),
                        "effective labels",
                        Unit.NUMBER,
                    ),
                    Column(most(ROW, catalogue.APPEAL_RATIO, *everywhere), "appeals per action", Unit.RATIO),
                    Column(most(ROW, catalogue.OVERTURNED_RATIO, *everywhere), "overturned share", Unit.RATIO),
                    Column(most(ROW, catalogue.DRIFT_STATISTIC, *everywhere, PSI), "largest PSI", Unit.NUMBER),
                ],
                links={"policy": ("Open this slice", SLICE), "segment": ("Open this slice", SLICE)},
            ),
            grid(
                About(
                    "Launches",
                    "When each version last entered a stage, as its launch events say.",
                    Unit.TIME,
                    "no launch event for this model",
                    span=24,
                    height=6,
                ),
                ("model_version", "variant", "stage"),
                [
                    Column(
                        f"{most((*VERSION, 'stage'), catalogue.LAUNCH_TIMESTAMP, MODEL)} * 1000", "since", Unit.TIME
                    ),
                    Column(most((*VERSION, "stage"), catalogue.LAUNCH_TRAFFIC, MODEL), "traffic share", Unit.RATIO),
                ],
            ),
        ],
    )
