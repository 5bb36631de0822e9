"""The model dashboard: one model, one segment, all of its policies.

Everything is read by time of decision: a reading of the past hour changes while late labels arrive.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard

from grafana import board
from grafana.board import MODEL_UID, READINGS, Section, several
from grafana.panels import KEEP, About, Colour, Column, Query, Unit, band, dashed, grid, heat, lines, number
from grafana.promql import (
    ESTIMATOR,
    PSI,
    RATE,
    WINDOW,
    WITH_EFFECT,
    against_bound,
    buckets,
    least,
    most,
    rate,
    select,
)
from monitor import catalogue

MODEL: Final = 'model="$model"'
POLICY: Final = 'policy=~"$policy"'
SEGMENT: Final = 'segment="$segment"'
HERE: Final = (MODEL, POLICY, SEGMENT)
VERSION: Final = ("model_version", "variant")
SCORE: Final = 'input="score"'
FEATURES: Final = 'input!="score"'
CHAMPION: Final = 'variant="champion"'
ROW: Final = ("policy", "segment", "model_version", "variant")

NO_DECISIONS: Final = "no decision of this model, policy and segment in the window"
NO_LABELS: Final = "no review with a known inclusion probability in the window"
NO_REFERENCE: Final = "no reference is pinned for this model, or no decisions in the window"
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
        sections=[_now(), _quality(), _volume(), _drift(), _scores(), _slices()],
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
    drift = (
        f"max({most(('model', 'window', 'statistic'), catalogue.DRIFT_STATISTIC, *HERE, WINDOW, PSI, WITH_EFFECT)}"
        f" / {most(('model', 'window', 'statistic'), catalogue.DRIFT_THRESHOLD, MODEL, WINDOW, PSI)})"
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
                    "Largest PSI of the score or a feature, divided by its threshold: from 1 on it counts as drift.",
                    Unit.NUMBER,
                    NO_REFERENCE,
                    span=6,
                    height=4,
                ),
                Query(drift),
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
            "Kish effective number of labels behind the precision; below the dashed line precision may not alert.",
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


def _volume() -> Section:
    proxies = (
        (
            catalogue.APPEAL_RATIO,
            "Appeals per action",
            "Appeals filed per acted-on decision. A proxy: it moves with the ease of appealing too.",
        ),
        (
            catalogue.OVERTURNED_RATIO,
            "Overturned share of decided appeals",
            "A proxy from self-selected cases: it is not one minus precision.",
        ),
        (
            catalogue.REPORT_RATIO,
            "User reports per decision",
            "A proxy: many harms are never reported, and campaigns report what is harmless.",
        ),
    )
    return Section(
        "Volume and proxies",
        [
            lines(
                About(
                    "Decisions a second by action",
                    "Distinct accepted decisions by the action taken.",
                    Unit.PER_SECOND,
                    NO_DECISIONS,
                    span=12,
                ),
                Query(rate(("action", "variant"), catalogue.DECISIONS, *HERE), "{{action}} ({{variant}})"),
            ),
            lines(
                About(
                    "Action ratio",
                    "Share of the window's decisions that were acted on.",
                    Unit.RATIO,
                    NO_DECISIONS,
                    span=12,
                ),
                Query(
                    most(("policy", *VERSION), catalogue.ACTION_RATIO, *HERE, WINDOW),
                    "{{policy}} {{model_version}} ({{variant}})",
                ),
            ),
            *(
                lines(
                    About(title, description, Unit.RATIO, "no such feedback on decisions of the window"),
                    Query(
                        most(("policy", *VERSION), metric, *HERE, WINDOW), "{{policy}} {{model_version}} ({{variant}})"
                    ),
                )
                for metric, title, description in proxies
            ),
        ],
    )


def _drift() -> Section:
    score = lines(
        About(
            "Distance of the scores from the reference",
            "Each statistic with its threshold (dashed). A large distance is a change of traffic or model, not in itself "
            "an error.",
            Unit.NUMBER,
            NO_REFERENCE,
            span=12,
        ),
        Query(
            most(("policy", "variant", "statistic"), catalogue.DRIFT_STATISTIC, *HERE, WINDOW, SCORE),
            "{{statistic}} {{policy}} ({{variant}})",
        ),
        Query(most(("statistic",), catalogue.DRIFT_THRESHOLD, MODEL, WINDOW), "threshold {{statistic}}"),
    )
    features = lines(
        About(
            "Distance of the features from the reference",
            "The ten largest PSI among the features, with the threshold (dashed).",
            Unit.NUMBER,
            NO_REFERENCE,
            span=12,
        ),
        Query(
            f"topk(10, {most(('policy', 'input'), catalogue.DRIFT_STATISTIC, *HERE, WINDOW, PSI, FEATURES)})",
            "{{input}} {{policy}}",
        ),
        Query(most(("statistic",), catalogue.DRIFT_THRESHOLD, MODEL, WINDOW, PSI), "threshold {{statistic}}"),
    )
    return Section(
        "Drift",
        [
            dashed(score, "^threshold", Colour.BAD),
            dashed(features, "^threshold", Colour.BAD),
            lines(
                About(
                    "P-value of the distance",
                    "Smallest p-value of PSI under no change. Many series are looked at: single small values mean little.",
                    Unit.NUMBER,
                    NO_REFERENCE,
                ),
                Query(least(("policy", "input"), catalogue.DRIFT_P_VALUE, *HERE, WINDOW, PSI), "{{input}} {{policy}}"),
            ),
            lines(
                About(
                    "Features missing or out of range",
                    "Share of the window's decisions without the feature, or with a value outside the reference.",
                    Unit.RATIO,
                    "no feature in the reference, or no decisions in the window",
                ),
                Query(
                    most(("policy", "input"), catalogue.FEATURE_MISSING_RATIO, *HERE, WINDOW),
                    "{{input}} missing, {{policy}}",
                ),
                Query(
                    most(("policy", "input"), catalogue.FEATURE_OUT_OF_RANGE_RATIO, *HERE, WINDOW),
                    "{{input}} out of range, {{policy}}",
                ),
            ),
            lines(
                About(
                    "Changes found by streaming detectors",
                    "Detections in the minute series. Their false-alarm rate is not calibrated: context, no alarm.",
                    Unit.NUMBER,
                    "no detector has run yet",
                ),
                Query(
                    f"sum by (detector, input) (increase({select(catalogue.DRIFT_DETECTED, *HERE)}{RATE}))",
                    "{{detector}} {{input}}",
                ),
            ),
        ],
    )


def _scores() -> Section:
    quantiles = (
        Query(
            f"histogram_quantile({quantile}, sum by (le) (rate({select(f'{catalogue.LATENCY}_bucket', *HERE)}{RATE})))",
            f"p{quantile * 100:g}",
        )
        for quantile in (0.5, 0.9, 0.99)
    )
    return Section(
        "Scores and latency",
        [
            heat(
                About(
                    "Scores",
                    "Decisions by score bucket; bucket edges include the thresholds.",
                    Unit.NUMBER,
                    NO_DECISIONS,
                    span=12,
                ),
                Query(buckets(catalogue.SCORE, *HERE), "{{le}}"),
            ),
            lines(
                About(
                    "Decision latency",
                    "Quantiles of the latency that the deciding service reports, interpolated within buckets.",
                    Unit.SECONDS,
                    "the events carry no latency",
                    span=12,
                ),
                *quantiles,
            ),
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
