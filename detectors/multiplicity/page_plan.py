"""The page budget: thresholds for a whole family of charts that keep the number of false pages a team accepts.

An alarm is a page and restarts its chart. Alarms that are shown as one page (an episode) only lower the numbers here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats, fractions, nonnegative, require_fraction
from detectors.charts import BernoulliCusum
from detectors.intervals import wilson

_SMALL: Final = 0.01
_SERIES: Final = [(-1.0) ** k / (k * (k - 1.0)) for k in range(9, 1, -1)]


@dataclass(frozen=True, slots=True, eq=False)
class PagePlan:
    """Arrays (charts,), a chart each. NaN where a chart has no share of the budget or no observations: it is not run.

    `p0` and `p1` are the shares of ones that the chart is set for, `threshold` its threshold, `run_length` the average
    run length in control that it has at least, in observations, `false_pages` its expected false pages a period at
    most. `delay` is the mean number of observations to the alarm where p1 holds from the start.
    """

    p0: Floats
    p1: Floats
    threshold: Floats
    run_length: Floats
    false_pages: Floats
    delay: Floats
    observations: Floats

    @property
    def total(self) -> float:
        """Expected false pages of the family, at most: sums need no independence."""
        return float(np.nansum(self.false_pages))

    @property
    def periods(self) -> Floats:
        """The delay in periods."""
        return self.delay / self.observations

    @property
    def starved(self) -> Bools:
        """Charts that need more than a period, on average, to see even the change that they are set for, or are not
        run: too few observations. They are honest, but nobody should rely on them; watch a larger segment."""
        return ~(self.periods <= 1.0)


def bernoulli_cusum_plan(
    shares: npt.ArrayLike,
    observations: npt.ArrayLike,
    *,
    p0: npt.ArrayLike,
    change: npt.ArrayLike,
    baseline: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> PagePlan:
    """A Bernoulli CUSUM for each segment, with the least threshold whose false pages stay within its share.

    `shares` (charts,): false pages a period, of `page_shares`. `observations` (charts,): verdicts a period. `p0`: share
    of ones in control; `change`: the least change worth a page, above 0 for a rise, below for a fall. Build a chart as
    `BernoulliCusum(p0=plan.p0[i], p1=plan.p1[i], threshold=int(plan.threshold[i]), direction=...)`. A chart costs some
    30 ms.

    **An upper bound.** A chart that starts at 0 and restarts there has at most N / ARL0 alarms in N observations, in
    expectation and for every N: from any state it alarms no later, on average, than from 0, so the expected remaining
    run length never exceeds ARL0 (Wald). A head start breaks this. Bounds add up over charts whatever their dependence,
    so the family keeps the sum of its shares though segments share data. It is a mean: at long run lengths pages come
    nearly like independent events even on shared data (Pollak 2021, Annals of Statistics 49:557-567), so a budget of 6
    is exceeded by more than 4 in about 4 % of quarters.

    **Baselines.** `baseline` (charts,): from how many verdicts p0 was estimated; None only if p0 is known, an objective
    for instance. ARL0 falls steeply as the true share exceeds p0: 9505 for .10 becomes 3631 at .11. So the chart is set
    for the limit of p0 on the side of the change (one-sided Wilson, `confidence`), and the change counts from there:
    with that confidence, given the baseline, its share holds (Gandy and Kvaloy 2013). Over many charts the mean over
    baselines matters, and a few unlucky ones make most of the pages. For p0 .1, a change of .03, a share of .012 a
    quarter and four weeks of baseline (67 to 200,000 verdicts) that mean is .24 to .64 of the share at .95, .4 to 2 at
    .9, and 1.2 (200,000 verdicts) to 15 (700) and 25 (67) times the share if p0 is taken as known. The price is delay:
    of small baselines most charts miss small changes.

    Assumes independent verdicts with a constant share. Source: Gandy and Kvaloy 2013, Scand. J. Statistics 40:647-668;
    Wald's argument is ours. Raises ValueError for a p0 with no room for the change and a baseline of 0; p0, change and
    baseline of charts that are not run may be anything, NaN too.

    >>> plan = bernoulli_cusum_plan([0.1, 0.1], [20_000, 2_000], p0=0.1, change=0.05)
    >>> plan.threshold.tolist(), plan.false_pages.round(3).tolist(), plan.delay.round().tolist(), plan.starved.tolist()
    ([126.0, 89.0], [0.097, 0.094], [551.0, 366.0], [False, False])
    """
    share, seen = np.broadcast_arrays(nonnegative("shares", shares), nonnegative("observations", observations))
    runs = (share > 0) & (seen > 0)
    moved = _told(change, runs, otherwise=0.25)
    centre = fractions("p0", _told(p0, runs, otherwise=0.5))
    if baseline is not None:
        # A two-sided interval with 2 c - 1 has one-sided limits with c.
        n = nonnegative("baseline", _told(baseline, runs, otherwise=1.0))
        empty = np.flatnonzero(n == 0)
        if empty.size:
            raise ValueError(f"baseline: found 0.0 at position {empty[0]}, allowed are numbers > 0 of charts that run")
        limits = wilson(centre * n, n, confidence=2.0 * _above_half(confidence) - 1.0)
        centre = np.where(moved > 0, limits.upper, limits.lower)
    target = centre + moved
    if not ((target > 0) & (target < 1) & (moved != 0))[runs].all():
        raise ValueError("change: allowed are changes other than 0 with p0 + change within (0, 1), p0 at its limit")
    threshold, mean, delay = (np.full(seen.shape, np.nan) for _ in range(3))
    for place in np.flatnonzero(runs):
        start, end = float(centre[place]), float(target[place])
        chart = BernoulliCusum(
            p0=start,
            p1=end,
            average_run_length=max(float(seen[place] / share[place]), 1.5),
            direction="rise" if end > start else "fall",
        )
        threshold[place] = chart.decision_interval()
        mean[place], delay[place] = chart.run_length(start).mean, chart.run_length(end).mean
    return PagePlan(
        p0=np.where(runs, centre, np.nan),
        p1=np.where(runs, target, np.nan),
        threshold=threshold,
        run_length=mean,
        false_pages=seen / mean,
        delay=delay,
        observations=seen,
    )


def e_detector_plan(
    shares: npt.ArrayLike, observations: npt.ArrayLike, *, p0: npt.ArrayLike, change: npt.ArrayLike
) -> PagePlan:
    """The threshold 1 / alpha for an e-detector (e-SR, e-CUSUM) of each segment: observations / share.

    Parameters as in `bernoulli_cusum_plan`; `p0` is the mean in control of observations within [0, 1], at worst. The
    threshold is on the e-detector itself (`average_run_length` of `ESr` and `ECusum`), not on its logarithm.

    **An upper bound under any dependence.** An e-SR grows by at most 1 an observation in expectation given the past,
    whatever the past, and takes at least 1 / alpha with it at each restart; so alarms in N observations are at most
    alpha N in expectation, also if verdicts of one segment depend on each other and N is random (without looking
    ahead). An e-CUSUM is never above the e-SR. True numbers are lower: on independent verdicts by a factor of 1.1 to 2
    for e-SR and of ten and more for e-CUSUM. Where verdicts are independent the Bernoulli CUSUM uses its share up and
    is faster than e-CUSUM. The bound needs that the conditional mean never exceeds p0 (for a fall: is never below it):
    with an estimated p0 give its limit on that side.

    `delay` is that of e-SR, ln(1 + I A) / I with A the threshold and I the information: after the change it grows by
    about 1 + I M an observation. Within 15 % of simulated means; an e-CUSUM takes about ln(A) / I.

    Source: Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532, theorem 2.2; bound with restarts and delay are ours.
    Raises ValueError for a p0 with no room for the change, of charts that are run.

    >>> plan = e_detector_plan([0.1, 0.0], [20_000, 20_000], p0=0.1, change=0.05)
    >>> plan.threshold.tolist(), plan.false_pages.tolist(), plan.delay.round().tolist()
    ([200000.0, nan], [0.1, nan], [638.0, nan])
    """
    share, seen = np.broadcast_arrays(nonnegative("shares", shares), nonnegative("observations", observations))
    runs = (share > 0) & (seen > 0)
    centre = fractions("p0", _told(p0, runs, otherwise=0.5))
    target = centre + _told(change, runs, otherwise=0.25)
    information = bernoulli_information(target, centre)
    threshold = np.divide(seen, share, out=np.full(seen.shape, np.nan), where=runs)
    return PagePlan(
        p0=np.where(runs, centre, np.nan),
        p1=np.where(runs, target, np.nan),
        threshold=threshold,
        run_length=threshold,
        false_pages=np.where(runs, share, np.nan),
        delay=np.log1p(information * threshold) / information,
        observations=seen,
    )


def confidence_sequence_alpha(shares: npt.ArrayLike, *, begun: npt.ArrayLike = 1.0) -> Floats:
    """The alpha of a confidence sequence that pages when it excludes the objective, for a share of false pages.

    alpha = s / (1 + s) with s = share / `begun`, how often a period it is begun anew besides after its own pages. Begun
    once it errs with probability at most alpha however long it runs, and after a false page it is begun again, so there
    are at most alpha + alpha^2 + ... = s. A share of 0 gives an alpha of 0: never. Arrays broadcast. Unlike the charts
    it takes no number of observations, and grows slower the longer it has run without a change: begin it anew each
    period. Raises ValueError for negative numbers and where `begun` is 0.

    >>> confidence_sequence_alpha([0.25, 0.012], begun=1).round(5).tolist()
    [0.2, 0.01186]
    """
    started = nonnegative("begun", begun)
    if (started == 0).any():
        raise ValueError("begun: found 0.0, allowed are numbers > 0")
    each = nonnegative("shares", shares) / started
    return np.asarray(each / (1.0 + each), dtype=np.float64)


def bernoulli_information(p1: npt.ArrayLike, p0: npt.ArrayLike) -> Floats:
    """Kullback-Leibler divergence of a verdict with share `p1` from one with share `p0`, in nats; broadcasts.

    Raises ValueError where it is 0 or infinite: p1 equal to p0, p0 of 0 or 1, p1 outside (0, 1).

    >>> bernoulli_information([0.12, 0.2], 0.1).round(5).tolist()
    [0.0021, 0.0444]
    """
    changed, base = fractions("p1", p1), fractions("p0", p0)
    if ((changed == base) | (base == 0) | (base == 1) | (changed == 0) | (changed == 1)).any():
        raise ValueError("p1, p0: allowed are different shares within (0, 1)")
    change = changed - base
    return np.asarray(base * _excess(change / base) + (1.0 - base) * _excess(-change / (1.0 - base)))


def _excess(x: Floats) -> Floats:
    """(1 + x) ln(1 + x) - x, which is never negative: two of them add up without cancelling."""
    whole = (1.0 + x) * np.log1p(x) - x
    return np.where(np.abs(x) < _SMALL, x**2 * np.polyval(_SERIES, x), whole)


def _told(values: npt.ArrayLike, runs: Bools, *, otherwise: float) -> Floats:
    """`values` of the charts that are run, and `otherwise` for the others, of which nothing may be known."""
    return np.where(runs, np.broadcast_to(np.asarray(values, dtype=np.float64), runs.shape), otherwise)


def _above_half(confidence: float) -> float:
    if not require_fraction("confidence", confidence) > 0.5:
        raise ValueError(f"confidence: got {confidence!r}, allowed is 0.5 < confidence < 1")
    return confidence
