"""Pieces of PromQL that the panels share.

Every selector carries the scrape labels that the reader chose, and every expression gets rid of the worker's own labels
before it joins or adds: while a partition moves, two workers show the same series.
"""

from __future__ import annotations

from typing import Final

from monitor import catalogue, topics
from monitor.bounds import DRIFT_DECISIONS, SIGNIFICANT_P_VALUE
from monitor.catalogue import SERIES, Kind, Metric

CHOSEN: Final = ('job=~"$job"', 'instance=~"$instance"')
WINDOW: Final = 'window="$window"'
ESTIMATOR: Final = 'estimator="hajek"'
WITH_EFFECT: Final = 'variant!="shadow"'
WHOLE: Final = 'segment="all"'
PSI: Final = 'statistic="psi"'
WHAT_IS_DRIFT: Final = (
    f"with at least {DRIFT_DECISIONS} decisions in the window and a p-value below {SIGNIFICANT_P_VALUE:g}, "
    "as the alert asks for"
)
RATE: Final = "[$__rate_interval]"
OF_BLOCKS: Final = f'topic="{topics.BLOCKS}"'
"""A worker shows the lag of those partitions of the blocks topic that its counters contain."""
SEEN_EVERY: Final = "5s"
"""At least as often as any Prometheus scrapes, and a divisor of the steps of panels."""


def select(metric: Metric | str, *matchers: str) -> str:
    """`metric{job, instance, matchers}`."""
    return f"{metric}{{{','.join((*CHOSEN, *matchers))}}}"


def most(by: tuple[str, ...], metric: Metric | str, *matchers: str) -> str:
    """The largest value by label, over workers and everything else."""
    return f"max by ({', '.join(by)}) ({select(metric, *matchers)})"


def least(by: tuple[str, ...], metric: Metric | str, *matchers: str) -> str:
    """The smallest value by label, over workers and everything else."""
    return f"min by ({', '.join(by)}) ({select(metric, *matchers)})"


def rate(by: tuple[str, ...], metric: Metric, *matchers: str) -> str:
    """Events a second by label. Raises ValueError for what is not a counter."""
    return f"sum by ({', '.join(by)}) ({_rate(metric, *matchers)})"


def service_rate(by: tuple[str, ...], metric: Metric, *matchers: str) -> str:
    """`rate` of a counter over all that a worker owns, leaving out workers whose partitions have just moved.

    What they show less or more then is what they own less or more: a plain rate would show it as a flood of events.
    """
    owned = f"count by (job, instance) ({select(catalogue.LAG, OF_BLOCKS)})"
    nothing = f"0 * sum by (job, instance) (up{{{','.join(CHOSEN)}}})"
    moved = f"changes(({owned} or {nothing})[$__rate_interval:{SEEN_EVERY}]) > 0"
    return f"sum by ({', '.join(by)}) ({_rate(metric, *matchers)} unless on (job, instance) {moved})"


def buckets(metric: Metric, *matchers: str) -> str:
    """Observations by bucket within the panel's resolution. Raises ValueError for what is not a histogram."""
    if metric.kind is not Kind.HISTOGRAM:
        raise ValueError(f"{metric}: buckets of a {metric.kind.value}, allowed is a histogram")
    return f"sum by (le) (increase({select(f'{metric}_bucket', *matchers)}{RATE}))"


def against_bound(metric: Metric, operator: str, bound: Metric, *matchers: str) -> str:
    """`series <operator> bound of its model and policy`, series by series."""
    limits = most(("model", "policy"), bound)
    return f"{most(SERIES, metric, *matchers)} {operator} on (model, policy) group_left () {limits}"


def drift(model: str, *where: str) -> str:
    """Largest PSI divided by its threshold, by model; 0 where no distance fulfils `WHAT_IS_DRIFT`.

    Of many small segments the largest PSI is large by chance.
    """
    chosen = (model, *where, WINDOW, WITH_EFFECT)
    inputs = (*SERIES, "window", "input", "statistic")
    distance = most(inputs, catalogue.DRIFT_STATISTIC, *chosen, PSI)
    significant = f"{most(inputs, catalogue.DRIFT_P_VALUE, *chosen, PSI)} < {SIGNIFICANT_P_VALUE:g}"
    enough = f"{most((*SERIES, 'window'), catalogue.WINDOW_DECISIONS, *chosen)} >= {DRIFT_DECISIONS}"
    counts = f"{distance} and ({significant}) and on ({', '.join((*SERIES, 'window'))}) ({enough})"
    of_threshold = ("model", "window", "statistic")
    threshold = most(of_threshold, catalogue.DRIFT_THRESHOLD, model, WINDOW, PSI)
    return f"max by (model) ((({counts}) or 0 * {distance}) / on ({', '.join(of_threshold)}) group_left () {threshold})"


def _rate(metric: Metric, *matchers: str) -> str:
    if metric.kind is not Kind.COUNTER:
        raise ValueError(f"{metric}: rate() of a {metric.kind.value}, allowed is a counter")
    return f"rate({select(metric, *matchers)}{RATE})"
