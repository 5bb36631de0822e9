"""Panels of the model dashboard on what the model does: volume, proxies, drift, scores and latency.

The proxies come from people who chose to speak; none of them is an error rate.
"""

from __future__ import annotations

from grafana.board import Section
from grafana.model_scope import FEATURES, HERE, MODEL, NO_DECISIONS, NO_REFERENCE, SCORE, VERSION
from grafana.panels import About, Colour, Query, Unit, dashed, heat, lines
from grafana.promql import PSI, RATE, WINDOW, buckets, least, most, rate, select
from monitor import catalogue


def volume() -> Section:
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


def drift() -> Section:
    score = lines(
        About(
            "Distance of the scores from the reference",
            "Each statistic with its threshold (dashed). A large distance is a change of traffic or model, not in "
            "itself an error.",
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
                    "Smallest p-value of PSI under no change. Of many series, a few are small by chance.",
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


def scores() -> Section:
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
