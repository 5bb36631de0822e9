"""Alerts that speak of the watched models.

None of them is calibrated for looking at many segments all the time: a 95 % interval that is read every 15 seconds for
hundreds of series will be crossed by chance. What keeps the number of false pages low here is the far end of the
interval, a minimum of effective labels, an effect size beside each p-value, and `for`.
"""

from __future__ import annotations

from typing import Final

from deploy.prometheus.promql import bound, on_series, per_bound, select, total, worst
from deploy.prometheus.rule import Alert, Board, Group, Recording, Severity
from monitor import catalogue
from monitor.bounds import DRIFT_DECISIONS, JUDGED_WINDOWS, SIGNIFICANT_P_VALUE
from monitor.catalogue import SERIES

WINDOW: Final = f'window="{JUDGED_WINDOWS[0]}"'
LONG_WINDOW: Final = f'window="{JUDGED_WINDOWS[1]}"'
"""For precision where an hour has too few labels: it sees small segments, and takes a day to forget."""
ESTIMATOR: Final = 'estimator="hajek"'
"""One estimator: with two, the same alert would leave twice under the same labels."""
WITH_EFFECT: Final = 'variant!="shadow"'
"""A shadow version acts on nobody, so it wakes nobody."""
WHOLE: Final = 'segment="all"'

DRIFT_STATISTIC: Final = 'statistic="psi"'
SILENT_AFTER_DECISIONS: Final = 200
"""Decisions in the hour before; with 50 expected in 15 minutes, none by chance has probability exp(-50)."""
BUSY_QUARTERS: Final = ("15m", "30m", "45m", "60m")
"""How long ago quarters of that hour ended. Each needs a decision: a batch of half an hour is none of a busy model."""

HOUR_LABELS: Final = "series:moderation_precision_effective_labels:max_1h"
LABELS_LAST: Final = "90m"
"""How long an hour must have had enough labels before the short window counts: longer than any `for` here, or labels
that move around the minimum would change the window, and with it begin each `for` anew."""

MODEL_DECISIONS: Final = "model:moderation_decisions:rate5m"
MODEL_COUNTED: Final = "model:moderation_decisions:total"
MODEL_STOPPED_AT: Final = "model:moderation_decisions:total_at_stop"

SERIES_VARIABLES: Final = ("model", "policy", "segment")
READING_VARIABLES: Final = (*SERIES_VARIABLES, "window")
"""For alerts with a label `window`: the board opens at the window that is spoken of."""
WHERE: Final = (
    "{{ $labels.model }} {{ $labels.model_version }} ({{ $labels.variant }}), policy {{ $labels.policy }}, "
    "segment {{ $labels.segment }}"
)


def _looked_up(metric: catalogue.Metric, labels: tuple[str, ...], how: str, *matchers: str) -> str:
    """Template text: the value of another metric for the alert's labels, or a question mark."""
    pairs = ",".join((*(f"{name}=%q" for name in labels), *matchers)).replace('"', '\\"')
    values = " ".join(f"$labels.{name}" for name in labels)
    query = f'printf "{metric}{{{pairs}}}" {values} | query'
    return f"{{{{ with {query} }}}}{{{{ . | first | value | {how} }}}}{{{{ else }}}}?{{{{ end }}}}"


OBJECTIVE_TEXT: Final = _looked_up(catalogue.PRECISION_OBJECTIVE, ("model", "policy"), "humanizePercentage")
UPPER_TEXT: Final = _looked_up(catalogue.PRECISION_UPPER, (*SERIES, "window"), "humanizePercentage", ESTIMATOR)
LABELS_TEXT: Final = _looked_up(catalogue.PRECISION_EFFECTIVE_LABELS, (*SERIES, "window"), 'printf "%.0f"', ESTIMATOR)


def _labels(window: str) -> str:
    return worst(catalogue.PRECISION_EFFECTIVE_LABELS, window, ESTIMATOR, WITH_EFFECT)


def _enough(labels: str) -> str:
    minimum = bound(catalogue.PRECISION_MINIMUM_LABELS, "model", "policy")
    return f"(\n  {labels}\n  >= {per_bound('model', 'policy')}\n  {minimum}\n)"


def _against_objective(metric: catalogue.Metric, operator: str, window: str) -> str:
    objective = bound(catalogue.PRECISION_OBJECTIVE, "model", "policy")
    precision = worst(metric, window, ESTIMATOR, WITH_EFFECT)
    return f"(\n  {precision}\n  {operator} {per_bound('model', 'policy')}\n  {objective}\n)"


def _joined(*conditions: str) -> str:
    return "\nand\n".join(conditions)


def _in_the_window_with_labels(metric: catalogue.Metric, operator: str) -> str:
    """The comparison in the short window where that had enough labels all the time lately, or else in the long one."""
    lately = _enough(f"min_over_time({HOUR_LABELS}[{LABELS_LAST}])")
    short = _joined(_against_objective(metric, operator, WINDOW), lately)
    long = _joined(_against_objective(metric, operator, LONG_WINDOW), _enough(_labels(LONG_WINDOW)))
    return f"{short}\nor\n{long}\nunless {on_series()}\n{lately}"


PRECISION_BELOW: Final = Alert(
    name="ModerationPrecisionBelowObjective",
    severity=Severity.CRITICAL,
    expr=_in_the_window_with_labels(catalogue.PRECISION_UPPER, "<"),
    for_seconds=600,
    keep_firing_seconds=900,
    summary="Audited precision is below its objective.",
    description=(
        f"{WHERE}: even the upper end of the 95 % interval over {{{{ $labels.window }}}}, "
        f"{{{{ $value | humanizePercentage }}}}, is below the objective of {OBJECTIVE_TEXT} "
        f"({LABELS_TEXT} effective labels)."
    ),
    board=Board.MODEL,
    variables=READING_VARIABLES,
)

PRECISION_DOUBTFUL: Final = Alert(
    name=PRECISION_BELOW.name,
    severity=Severity.WARNING,
    # Also where the whole interval is below: Alertmanager mutes this one then, and its hour goes on when the upper end
    # moves around the objective.
    expr=_in_the_window_with_labels(catalogue.PRECISION, "<"),
    for_seconds=3600,
    keep_firing_seconds=900,
    summary="Audited precision may be below its objective.",
    description=(
        f"{WHERE}: the estimate over {{{{ $labels.window }}}}, "
        f"{{{{ $value | humanizePercentage }}}}, has been below the objective of {OBJECTIVE_TEXT} for an hour; the "
        f"95 % interval ends at {UPPER_TEXT} ({LABELS_TEXT} effective labels)."
    ),
    board=Board.MODEL,
    variables=READING_VARIABLES,
)

DRIFT: Final = Alert(
    name="ModerationDrift",
    severity=Severity.WARNING,
    expr=_joined(
        f"(\n  {worst(catalogue.DRIFT_STATISTIC, WINDOW, DRIFT_STATISTIC, WITH_EFFECT)}\n"
        f"  > {per_bound('model', 'window', 'statistic')}\n"
        f"  {bound(catalogue.DRIFT_THRESHOLD, 'model', 'window', 'statistic')}\n)",
        f"(\n  {worst(catalogue.DRIFT_P_VALUE, WINDOW, DRIFT_STATISTIC, WITH_EFFECT)} < {SIGNIFICANT_P_VALUE:g}\n)",
    )
    + f"\nand {on_series('window')}\n"
    + f"(\n  {worst(catalogue.WINDOW_DECISIONS, WINDOW, WITH_EFFECT)} >= {DRIFT_DECISIONS}\n)",
    for_seconds=900,
    keep_firing_seconds=900,
    summary="Scores or features are far from the pinned reference.",
    description=(
        f'{WHERE}: {{{{ $labels.statistic }}}} of {{{{ $labels.input }}}} over 1 h is {{{{ printf "%.3f" $value }}}}, '
        "above its threshold of "
        + _looked_up(catalogue.DRIFT_THRESHOLD, ("model", "window", "statistic"), 'printf "%.3f"')
        + ". A change of the traffic, not in itself an error of the model."
    ),
    board=Board.MODEL,
    variables=READING_VARIABLES,
)

STREAM_CHANGE: Final = Alert(
    name="ModerationStreamChange",
    severity=Severity.INFO,
    # The whole of a policy only: the streaming detectors state no false-alarm rate, and each segment would add its own.
    expr=total(f"increase({select(catalogue.DRIFT_DETECTED, WHOLE, WITH_EFFECT)}[15m])") + " > 0",
    # A detection is an instant; the range above keeps it for 15 minutes, so there is nothing to wait for.
    for_seconds=0,
    keep_firing_seconds=900,
    summary="A streaming detector found a change.",
    description=(
        f"{WHERE}: {{{{ $labels.detector }}}} found a change in the minute series of {{{{ $labels.input }}}} within "
        "the last 15 minutes. Context for other alerts; no action by itself."
    ),
    board=Board.MODEL,
    variables=SERIES_VARIABLES,
)

_DECISIONS = select(catalogue.DECISIONS, WHOLE, WITH_EFFECT)
_OF_A_MODEL = ("model_version", "variant", "policy", "segment", "action")


def _increase(window: str, ago: str = "") -> str:
    return total(f"increase({_DECISIONS}[{window}]{f' offset {ago}' if ago else ''})", *_OF_A_MODEL)


DECISIONS_STOPPED: Final = Alert(
    name="ModerationDecisionsStopped",
    severity=Severity.CRITICAL,
    # Still what was counted when a busy model fell silent. One decision since ends it: a quiet night is no stop.
    expr=f"last_over_time({MODEL_COUNTED}[15m]) == last_over_time({MODEL_STOPPED_AT}[1d])",
    for_seconds=300,
    summary="A model that was busy has stopped deciding.",
    description=(
        "{{ $labels.model }}: no decision has arrived for 15 minutes or longer, after more than "
        f"{SILENT_AFTER_DECISIONS} in the hour before, in each quarter of it some."
    ),
    board=Board.MODEL,
    variables=("model",),
)

GROUPS: Final = (
    Group(
        "moderation_models",
        (
            Recording(MODEL_DECISIONS, total(f"rate({_DECISIONS}[5m])", *_OF_A_MODEL)),
            Recording(MODEL_COUNTED, total(worst(catalogue.DECISIONS, WHOLE, WITH_EFFECT), *_OF_A_MODEL)),
            Recording(
                MODEL_STOPPED_AT,
                f"{MODEL_COUNTED}\nand\n(\n  {_increase('15m')} == 0\n)\nand\n"
                f"(\n  {_increase('1h', '15m')} > {SILENT_AFTER_DECISIONS}\n)\nand\n"
                + _joined(*(f"(\n  {_increase('15m', ago)} > 0\n)" for ago in BUSY_QUARTERS)),
            ),
            Recording(HOUR_LABELS, _labels(WINDOW)),
            PRECISION_BELOW,
            PRECISION_DOUBTFUL,
            DRIFT,
            STREAM_CHANGE,
            DECISIONS_STOPPED,
        ),
    ),
)
