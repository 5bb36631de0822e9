"""Is the page budget kept over a year of 500 overlapping segments, and what does it cost in delay?

A quarter's budget of false pages for the whole family, shared alike; Bernoulli CUSUMs and e-detectors with the
thresholds of `detectors.multiplicity`, beside rules in common use on the same traffic. Alarms are noticed in the minute
of their label, a chart restarts after its alarm, and alarms of a segment are one page until a day has passed without
one (for every rule). Then the share of bad labels of a whole policy rises (its precision falls) by 2 and 5 points:
delays beside an oracle that knows segment, time and size of the change and tests once, at the least number of labels
with 80 % power at the same rate of false pages.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import river.drift
from scipy.special import ndtri

from detectors.charts import BernoulliCusum
from detectors.comparison import ks, psi
from detectors.intervals import wilson
from detectors.multiplicity import (
    PagePlan,
    bernoulli_cusum_plan,
    confidence_sequence_alpha,
    e_detector_plan,
    page_shares,
)
from detectors.sequential import bernoulli_e_value
from tests.bench.tables import Table, begin, show
from tests.studies.segments import DAY, Floats, Labels, Segments, draw, rhythm

SMALL: Final = "--policies 1 --regions 1 --languages 2 --days 20 --rate 2 --horizon 3 --budget 1"

QUARTER_DAYS: Final = 365 / 4
BLOCK: Final = 1 << 16
BINS: Final = 10
DECISIONS_A_LABEL: Final = 10
CHANGES: Final = (0.02, 0.05)
QUIET_DAYS: Final = 14
ORACLE: Final = "oracle: when, where and how much known"
VOLUMES: Final = (("< 3 labels/h", 0.0, 3.0), ("3-30 labels/h", 3.0, 30.0), ("> 30 labels/h", 30.0, np.inf))

Rule = Callable[[int, int, Labels], "npt.NDArray[np.int64]"]
"""(policy, segment, labels) -> the minutes of its alarms, in order."""


@dataclass(frozen=True, slots=True)
class Family:
    """What is known before a year begins: segments, false pages a quarter of each chart, and baselines."""

    segments: Segments
    share: float
    baseline: Floats
    estimate: Floats
    change: float

    @property
    def quarter(self) -> Floats:
        """Labels a quarter of each segment."""
        return self.segments.rates() * 24 * QUARTER_DAYS


def prepare(rng: np.random.Generator, segments: Segments, *, budget: float, change: float, weeks: int) -> Family:
    """Draw the baselines: labels of some weeks in control."""
    seen = rng.poisson(segments.rate * 24 * 7 * weeks) + 1
    bad = segments.margins(rng.binomial(seen, segments.p0).astype(np.float64))
    baseline = segments.margins(seen.astype(np.float64))
    shares = page_shares(budget, (segments.rates() * 24 * QUARTER_DAYS).ravel())
    # The smallest segments see some 90 labels a quarter, so that no share is cut off at a run length of 100.
    return Family(segments, float(shares[0]), baseline, np.clip(bad, 0.5, baseline - 0.5) / baseline, change)


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A plan, (charts,) in the order of the flattened segments, and what runs on the labels of one of them."""

    plan: PagePlan
    alarms: Callable[[PagePlan, int, npt.NDArray[np.bool_]], list[int]]

    def rule(self, width: int) -> Rule:
        """The rule that the plan makes, `width` segments a policy."""
        return lambda policy, segment, labels: labels.minute[
            self.alarms(self.plan, policy * width + segment, labels.bad)
        ].astype(np.int64)


def plans(family: Family) -> dict[str, Planned]:
    """The plans under study."""
    known, estimate = family.segments.shares().ravel(), family.estimate.ravel()
    seen, baseline = family.quarter.ravel(), family.baseline.ravel()

    def cusum(p0: Floats, baseline: Floats | None = None) -> Planned:
        plan = bernoulli_cusum_plan(family.share, seen, p0=p0, change=family.change, baseline=baseline)
        return Planned(plan, cusum_alarms)

    def e_detector(p0: Floats, alarms: Callable[..., list[int]]) -> Planned:
        return Planned(e_detector_plan(family.share, seen, p0=p0, change=family.change), alarms)

    told = cusum(estimate, baseline)
    return {
        "Bernoulli CUSUM, p0 known": cusum(known),
        "Bernoulli CUSUM, p0 estimated, taken as known": cusum(estimate),
        "Bernoulli CUSUM, p0 estimated, baseline told": told,
        "e-SR, p0 known": e_detector(known, e_sr_alarms),
        "e-SR, p0 estimated, taken as known": e_detector(estimate, e_sr_alarms),
        "e-SR, p0 estimated, baseline told": e_detector(told.plan.p0, e_sr_alarms),
        "e-CUSUM, p0 known": e_detector(known, e_cusum_alarms),
    }


def cusum_alarms(plan: PagePlan, place: int, bad: npt.NDArray[np.bool_]) -> list[int]:
    """The places of alarms of the library's chart, restarted after each."""
    spec = BernoulliCusum(p0=float(plan.p0[place]), p1=float(plan.p1[place]), threshold=int(plan.threshold[place]))
    found, logic, start = [], spec.build(), 0
    while start < len(bad):
        alarm = logic.update_many(bad[start : start + BLOCK]).alarm
        if alarm.any():
            start += int(np.argmax(alarm)) + 1
            found.append(start - 1)
            logic = spec.build()
        else:
            start += BLOCK
    return found


def e_sr_alarms(plan: PagePlan, place: int, bad: npt.NDArray[np.bool_]) -> list[int]:
    """M <- L (1 + M), restarted at 0."""
    return e_alarms(plan, place, bad, join=np.logaddexp)


def e_cusum_alarms(plan: PagePlan, place: int, bad: npt.NDArray[np.bool_]) -> list[int]:
    """M <- L max(1, M), restarted at 1."""
    return e_alarms(plan, place, bad, join=np.maximum)


def e_alarms(plan: PagePlan, place: int, bad: npt.NDArray[np.bool_], *, join: np.ufunc) -> list[int]:
    """In logarithms: with C the sum of log L and W = join(0, log M), W_t = C_t + join(W_0, -C_1, ..., -C_t)."""
    p0, p1, threshold = (float(values[place]) for values in (plan.p0, plan.p1, plan.threshold))
    worth = np.log([(1 - p1) / (1 - p0), p1 / p0])
    found, start, carried = [], 0, 0.0
    while start < len(bad):
        total = np.cumsum(worth[bad[start : start + BLOCK].astype(np.intp)])
        joined = join.accumulate(np.concatenate([[carried], -total]))
        alarm = total + joined[:-1] >= np.log(threshold)
        if alarm.any():
            start += int(np.argmax(alarm)) + 1
            found.append(start - 1)
            carried = 0.0
        else:
            carried = float(total[-1] + joined[-1])
            start += BLOCK
    return found


def confidence_sequences(family: Family) -> Rule:
    """The objective is outside the confidence sequence, on the bad side; begun anew each quarter and after a page."""
    p0, alpha = family.segments.shares(), float(confidence_sequence_alpha(family.share))

    def rule(policy: int, segment: int, labels: Labels) -> npt.NDArray[np.int64]:
        share = float(p0[policy, segment])
        tuned = 2.0 * np.log(1.0 / alpha) * share * (1.0 - share) / family.change**2
        quarters = np.arange(0.0, labels.minute[-1] + 1 if len(labels.minute) else 0.0, QUARTER_DAYS * DAY)
        ends = np.append(np.searchsorted(labels.minute, quarters[1:]), len(labels.bad))
        found, start = [], 0
        for end in ends:
            while start < end:
                # Only a bad label raises the evidence.
                place = start + np.flatnonzero(labels.bad[start:end])
                evidence = bernoulli_e_value(
                    np.arange(1, len(place) + 1),
                    place - start + 1,
                    share=share,
                    alpha=alpha,
                    optimal_n=tuned,
                    evidence="rise",
                )
                over = evidence > np.log(1.0 / alpha)
                start = int(place[np.argmax(over)]) + 1 if over.any() else int(end)
                if over.any():
                    found.append(start - 1)
        return labels.minute[found].astype(np.int64)

    return rule


def wilson_each_minute(p0: Floats, days: int) -> Rule:
    """The objective is outside the 95 % interval of the last day's labels, on the bad side, in a minute."""

    def rule(policy: int, segment: int, labels: Labels) -> npt.NDArray[np.int64]:
        n = last_day(np.bincount(labels.minute, minlength=days * DAY))
        bad = last_day(np.bincount(labels.minute[labels.bad], minlength=days * DAY))
        below = wilson(bad, n).lower > p0[policy, segment]
        return np.flatnonzero(below)

    return rule


def last_day(count: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sums of the last 1440 minutes."""
    total = np.cumsum(count)
    total[DAY:] -= total[:-DAY].copy()
    return total


def adwin(policy: int, segment: int, labels: Labels) -> npt.NDArray[np.int64]:
    """River's ADWIN with its defaults on each label; it sees falls too."""
    window, found = river.drift.ADWIN(), []
    for place, bad in enumerate(labels.bad.tolist()):
        window.update(bad)
        if window.drift_detected:
            found.append(place)
    return labels.minute[found].astype(np.int64)


def pages(alarms: npt.NDArray[np.int64]) -> int:
    """Alarms of a segment, minutes in order, as episodes: one ends when a day has passed without an alarm."""
    return int((np.diff(alarms, prepend=-DAY - 1) > DAY).sum())


def score_pages(rng: np.random.Generator, segments: Segments, *, days: int) -> Mapping[str, int]:
    """Pages of PSI > 0.2 and KS p < 0.05 on unchanged scores, an hour and a day at a time, all segments."""
    edges = np.linspace(0, 1, BINS + 1)
    mass = np.diff(1 - (1 - edges) ** 4)
    hourly = rhythm(np.arange(30, days * DAY, 60))
    found = {f"{test}, each {span}": 0 for test in ("PSI > 0.2", "KS p < 0.05") for span in ("hour", "day")}
    for rate in segments.rate * DECISIONS_A_LABEL:
        cells = rng.poisson(rate[..., None, None] * hourly[:, None] * mass)
        reference = rng.poisson(rate[..., None] * 24 * 28 * mass)
        for now, before in zip(margins(cells), margins(reference), strict=True):
            for span, hours in (("hour", 1), ("day", 24)):
                current = now.reshape(-1, hours, BINS).sum(axis=1)
                some = current.sum(axis=1) > 0
                for test, alarm in (
                    ("PSI > 0.2", psi(before, current[some]).statistic > 0.2),
                    ("KS p < 0.05", ks(before, current[some]).p_value < 0.05),
                ):
                    found[f"{test}, each {span}"] += pages(np.flatnonzero(some)[alarm] * hours * 60)
    return found


def margins(cells: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Sums for each segment of a policy of (regions, languages, ...), as `Segments.margins`."""
    yield from cells.reshape(-1, *cells.shape[2:])
    yield from cells.sum(axis=1)
    yield from cells.sum(axis=0)
    yield cells.sum(axis=(0, 1))


def false_pages(rng: np.random.Generator, family: Family, rules: Mapping[str, Rule], *, days: int, tenth: int) -> Table:
    """The quiet year."""
    segments, quarters = family.segments, days / QUARTER_DAYS
    rules = {**rules, "Wilson 95 % of a day, each minute": wilson_each_minute(segments.shares(), days)}
    found = dict.fromkeys([*rules, "ADWIN, each label"], 0)
    adwins = 0
    for policy in range(len(segments.rate)):
        for segment, labels in enumerate(segments.labels(rng, policy, days=days)):
            for name, rule in rules.items():
                found[name] += pages(rule(policy, segment, labels))
            if (policy * segments.rates().shape[1] + segment) % tenth == 0:
                adwins += 1
                found["ADWIN, each label"] += pages(adwin(policy, segment, labels))
    charts = family.quarter.size
    found["ADWIN, each label"] = round(found["ADWIN, each label"] * charts / max(adwins, 1))
    found |= score_pages(rng, segments, days=days)
    budget, rate = family.share * charts, segments.rates()
    expected = budget * quarters
    rows = [
        (name, f"{budget:.1f}" if name in rules and "Wilson" not in name else "none", f"{n / quarters:,.1f}", f"{n:,}")
        for name, n in found.items()
    ]
    return Table(
        title=f"False pages of {charts} overlapping segments in {days} days",
        columns=("rule", "budget a quarter", "pages a quarter", "pages"),
        rows=rows,
        notes=(
            f"{rate.min():.2g} to {rate.max():.3g} labels an hour (median {np.median(rate):.2g}), each in 4 segments.",
            f"Baselines: {family.baseline.min():.0f} to {family.baseline.max():,.0f} labels.",
            f"Charts look for a rise of {family.change * 100:g} points. ADWIN ran on {adwins} segments, scaled to all.",
            f"A Poisson count of mean {expected:.0f} has a standard deviation of {expected**0.5:.1f}.",
        ),
    )


@dataclass(slots=True)
class Delays:
    """Delays of one rule after one change: labels and minutes, NaN where missed, and the labels an hour."""

    labels: list[float] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)

    def add(self, alarm: npt.NDArray[np.int64], labels: Labels, rate: float) -> float:
        """Take the first alarm after the change; its delay in minutes, infinite where there is none."""
        start = QUIET_DAYS * DAY
        later = alarm[alarm >= start]
        minute = float(later[0] - start) if len(later) else np.inf
        begin_, end = np.searchsorted(labels.minute, [start, start + minute + 1 if len(later) else 2**31 - 1])
        self.labels.append(float(end - begin_) if len(later) else np.inf)
        self.minutes.append(minute)
        self.rate.append(rate)
        return minute


def delays(
    rng: np.random.Generator, family: Family, rules: Mapping[str, Rule], *, change: float, horizon: int
) -> Table:
    """A change in each policy at a time, found or missed within `horizon` days."""
    segments, days = family.segments, QUIET_DAYS + horizon
    rate, p0 = segments.rates(), segments.shares()
    rules = {**rules, "Wilson 95 % of a day, each minute": wilson_each_minute(p0, days), "ADWIN, each label": adwin}
    found = {name: Delays() for name in [*rules, ORACLE]}
    for policy in range(len(segments.rate)):
        first = dict.fromkeys(found, np.inf)
        parts = segments.labels(rng, policy, days=days, change=change, change_day=QUIET_DAYS)
        for segment, labels in enumerate(parts):
            after = labels.from_minute(QUIET_DAYS * DAY)
            least = oracle_labels(p0[policy, segment], change, family.share)
            alarms = {name: rule(policy, segment, labels) for name, rule in rules.items()}
            alarms[ORACLE] = after.minute[least - 1 : least].astype(np.int64)
            for name, alarm in alarms.items():
                first[name] = min(first[name], found[name].add(alarm, labels, rate[policy, segment]))
        for name, minute in first.items():
            found[name].first.append(minute)
    return delay_table(found, change, horizon=horizon)


def oracle_labels(p0: float, change: float, alpha: float, power: float = 0.8) -> int:
    """The least n for a one-sided test of p0 against p0 + change, normal approximation."""
    p1 = p0 + change
    spread = -ndtri(alpha) * np.sqrt(p0 * (1 - p0)) + ndtri(power) * np.sqrt(p1 * (1 - p1))
    return int(np.ceil((spread / change) ** 2))


def delay_table(found: Mapping[str, Delays], change: float, *, horizon: int) -> Table:
    """Medians by volume, missed ones included as longer than any."""
    rows = []
    for name, delay in found.items():
        rate, minutes, labels = (np.array(values) for values in (delay.rate, delay.minutes, delay.labels))
        cells = [name]
        for _, low, high in VOLUMES:
            inside = (rate >= low) & (rate < high)
            if inside.any():
                middle = np.median(labels[inside]), np.median(minutes[inside]) / 60
                missed = f"{np.mean(np.isinf(minutes[inside])):.0%}"
                shown = f"{middle[0]:,.0f} / {middle[1]:,.0f} h" if np.isfinite(middle[1]) else "-"
                cells += [shown, missed]
            else:
                cells += ["", ""]
        first = float(np.median(delay.first)) / 60
        rows.append((*cells, f"{first:,.0f} h" if np.isfinite(first) else "-"))
    return Table(
        title=f"Delay for a fall of precision by {change * 100:.0f} points in a whole policy",
        columns=("rule", *(cell for name, _, _ in VOLUMES for cell in (name, "missed")), "first page"),
        rows=rows,
        notes=(
            f"Medians over segments: labels / hours; - where more than half were missed within {horizon} days.",
            "First page: of any segment of the policy, median over policies.",
            "Rules without a budget alarm all the time: their short delays are chance.",
            "The oracle errs in 20 % of cases, and its one test as often as a chart of the plan in a quarter.",
            "PSI and KS are blind: the scores do not move.",
        ),
    )


def plan_table(family: Family, found: Mapping[str, Planned]) -> Table:
    """What the plans are, by volume."""
    rate = family.segments.rates().ravel()
    rows = []
    for name, planned in found.items():
        plan = planned.plan
        for volume, low, high in VOLUMES:
            inside = (rate >= low) & (rate < high)
            if inside.any():
                middle = [np.median(values[inside]) for values in (plan.run_length, plan.threshold, plan.delay)]
                rows.append(
                    (
                        f"{name}: {volume}",
                        f"{inside.sum()}",
                        *(f"{value:,.0f}" for value in middle),
                        f"{np.median((plan.periods * QUARTER_DAYS)[inside]):,.1f}",
                        f"{plan.starved[inside].sum()}",
                        f"{plan.false_pages[inside].sum():.2f}",
                    )
                )
    return Table(
        title="The plans: medians of the charts by volume",
        columns=("plan", "charts", "run length", "threshold", "delay, labels", "delay, days", "starved", "false pages"),
        rows=rows,
        notes=(
            "False pages: expected a quarter, at most. Starved: more than a quarter to see the change it is set for.",
        ),
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Simulate and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", type=int, default=10)
    parser.add_argument("--regions", type=int, default=9)
    parser.add_argument("--languages", type=int, default=4)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--budget", type=float, default=6.0, help="false pages a quarter of all segments")
    parser.add_argument("--change", type=float, default=0.03, help="that charts are set for")
    parser.add_argument("--rate", type=float, default=2.0, help="median labels an hour of a cell")
    parser.add_argument("--weeks", type=int, default=4, help="of the baseline")
    parser.add_argument("--horizon", type=int, default=30, help="days in which a change is found or missed")
    parser.add_argument("--tenth", type=int, default=10, help="ADWIN runs on one segment of so many")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    rng = np.random.default_rng(told.seed)
    size = {"policies": told.policies, "regions": told.regions, "languages": told.languages}
    segments = draw(rng, **size, median_rate=told.rate, spread=1.3)
    family = prepare(rng, segments, budget=told.budget, change=told.change, weeks=told.weeks)
    found = plans(family)
    return show(tables(rng, family, found, days=told.days, tenth=told.tenth, horizon=told.horizon))


def tables(
    rng: np.random.Generator,
    family: Family,
    found: Mapping[str, Planned],
    *,
    days: int,
    tenth: int,
    horizon: int,
) -> Iterator[Table]:
    """The plans, the quiet year, and the changes."""
    width = family.segments.rates().shape[1]
    rules = {name: planned.rule(width) for name, planned in found.items()}
    rules["confidence sequence of a quarter, p0 known"] = confidence_sequences(family)
    yield plan_table(family, found)
    yield false_pages(rng, family, rules, days=days, tenth=tenth)
    for change in CHANGES:
        yield delays(rng, family, rules, change=change, horizon=horizon)


if __name__ == "__main__":
    begin(run)
