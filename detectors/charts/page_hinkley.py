"""Page-Hinkley: a cumulative sum of deviations from the running mean that alarms when it leaves its extreme too far.

Slack and threshold are in the units of the series (points, and points times minutes), so a series with more noise needs
larger ones: with too few labels a minute the defaults alarm on noise.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from detectors import step_loops
from detectors.contract import Direction, Sides, Spec, directions_of
from detectors.step_loops import Doubles
from detectors.stepwise import Stepwise


class PageHinkleyState(msgspec.Struct, frozen=True):
    """Observations so far, their mean, both sums and the extremes that they are measured from."""

    n: int = 0
    mean: float = 0.0
    rise: float = 0.0
    lowest_rise: float = 0.0
    fall: float = 0.0
    highest_fall: float = 0.0


class PageHinkley(Spec, frozen=True, tag="page_hinkley"):
    """Two-sided Page-Hinkley test (Page 1954, Biometrika 41, 100-115) with the arithmetic of River, number for number.

    With e = x - mean of all x so far (this one included), U = f U + e - slack and V = f V + e + slack; the statistic is
    max(U - min U, max V - V), or one of the two. River's names: slack = `delta`, forgetting f = `alpha`, direction =
    `mode`, warm_up = `min_instances`. River starts afresh at the update after an alarm. This logic does not: it stays
    in alarm until the mean has caught up; for River's behaviour replace it by `spec.build()` after each alarm.

    Defaults suit shares and mean scores, one value a minute: a shift must exceed 2 points (`slack`), and the excess
    must add up to 200 point-minutes (`threshold` 2), for instance 25 minutes at 10 points. `forgetting` is 1, not
    River's .9999: with f < 1 the sums settle at slack / (1 - f), where slack no longer pulls them back, and after some
    1 / (1 - f) values false alarms come at any slack. `warm_up` is an hour, silent before its last value.

    A batch is a loop over its values, compiled, with the bits of one by one: the running mean is rounded at every one,
    as River rounds it. Means out of sums of the batch differ from that in their last digits, so states would depend on
    how a stream is cut.

    Measured on independent normal minute values, sd .02, .05: no alarm in 3000 days (.9999: one in 57 and 18 days);
    sd .1: one in 19 days; sd .15: one in 10 hours. Mean delay after a day of baseline at sd .02 / .05: shift of .1
    26 / 26 minutes, .05 71 / 72, .03 4.6 h / 4.1 h; blind below `slack`, by design. A daily sine of amplitude .02 gave
    one alarm in 400 days, .03 two a day: wider rhythms need a seasonal baseline. River's defaults (threshold 50, slack
    .005) have a run length near 11,900 on Bernoulli(.3) values and 1,667 on standard normal ones. It sees rises and
    falls.

    >>> logic = PageHinkley().build()
    >>> [minute for minute in range(600) if (r := logic.update(0.9 if minute < 300 else 0.7)) and r.alarm][0]
    311
    """

    state_type: ClassVar[type[PageHinkleyState]] = PageHinkleyState

    slack: Annotated[float, Meta(ge=0, le=1e100)] = 0.02
    threshold: Annotated[float, Meta(gt=0, le=1e100)] = 2.0
    forgetting: Annotated[float, Meta(gt=0, le=1)] = 1.0
    direction: Sides = "both"
    warm_up: Annotated[int, Meta(ge=1, le=1_000_000)] = 60

    @classmethod
    def example(cls) -> PageHinkley:
        """A short warm-up and a low threshold."""
        return cls(threshold=1.0, warm_up=10)

    @property
    def directions(self) -> frozenset[Direction]:
        """What `direction` says."""
        return directions_of(self.direction)

    def build(self, state: PageHinkleyState | None = None) -> Stepwise[PageHinkley, PageHinkleyState]:
        """A test that starts afresh, or goes on from `state`."""
        return Stepwise(self, _steps, PageHinkleyState() if state is None else state)


def _steps(
    spec: PageHinkley, old: PageHinkleyState, values: Doubles, statistics: Doubles, thresholds: Doubles
) -> PageHinkleyState:
    rises, falls = spec.direction != "fall", spec.direction != "rise"
    parameters = (spec.slack, spec.threshold, spec.forgetting, spec.warm_up, rises, falls)
    return PageHinkleyState(
        *step_loops.page_hinkley(values, statistics, thresholds, *parameters, *msgspec.structs.astuple(old))
    )
