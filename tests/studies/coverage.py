"""Do 95 % intervals from sampled labels cover 95 %, where review depends on score and segment?

Run: `python -m tests.studies.coverage`. Traffic is cells of score by segment with known shares of violating items.
Under Poisson sampling the labels of each cell and verdict are Poisson counts, independent of each other, so a window is
drawn exactly without drawing an item. The naive estimate takes the labels as if they were a plain sample.

Two tables are exact: how the binomial intervals cover where few labels are expected, and what any interval could cover
at all there, because labels are whole.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit, gammaln, xlog1py, xlogy

from detectors.arrays import Floats
from detectors.estimation import ConfusionSums, Rate, post_stratified, rate, rate_interval, share_interval
from detectors.intervals import Interval, clopper_pearson, mid_p, modified_wilson, wilson
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 100 --labels 50 1000"

SCORES: Final = 40
SEGMENTS: Final = np.array([0.6, 0.3, 0.1])
SEGMENT_QUALITY: Final = np.array([0.5, 0.0, -1.2])
DESIGNS: Final = ("equal", "high scores", "low scores", "unsure scores", "one segment", "a queue")
PRECISIONS: Final = (0.5, 0.8, 0.95, 0.99)
PREVALENCES: Final = (0.01, 0.1)
LONGER: Final = 10
"""Windows in the longer window that tells the typical weights."""
METHODS: Final = {
    "wilson": wilson,
    "modified_wilson": modified_wilson,
    "mid_p": mid_p,
    "clopper_pearson": clopper_pearson,
}
SIZES: Final = (50, 1000)
EXPECTED: Final = ((0.1, 3.0), (3.0, 10.0), (10.0, 50.0))


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Cells of shape (segments x scores,): share of decisions, share violating, weight of a label, actioned or not."""

    mass: Floats
    violating: Floats
    weight: Floats
    actioned: npt.NDArray[np.bool_]
    bin: npt.NDArray[np.int64]

    def domain(self, which: Rate) -> float:
        """The share of decisions that the rate is a share of."""
        bad = float((self.mass * self.violating).sum())
        return {Rate.RECALL: bad, Rate.FALSE_POSITIVE_RATE: 1 - bad}.get(which, 1.0)

    def truth(self, which: Rate) -> float:
        """The share that the estimators look for."""
        bad, acted = self.mass * self.violating, self.actioned
        good = self.mass - bad
        return {
            Rate.PRECISION: bad[acted].sum() / self.mass[acted].sum(),
            Rate.RECALL: bad[acted].sum() / bad.sum(),
            Rate.FALSE_POSITIVE_RATE: good[acted].sum() / good.sum(),
            Rate.PREVALENCE: bad.sum() / self.mass.sum(),
        }[which]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Weighted sums of windows, the same of ten windows before each, and plain counts (windows, verdict, cell)."""

    sums: ConfusionSums
    longer: ConfusionSums
    counts: Floats


def traffic(design: str, *, precision: float | None = None, prevalence: float = 0.1) -> Traffic:
    """Actioned decisions with this precision, or all decisions (actioned from a score of .7) with this prevalence."""
    score = (np.arange(SCORES) + 0.5) / SCORES
    density = score**2 if precision is not None else (1 - score) ** 3 + 0.02
    mass = np.outer(SEGMENTS, density / density.sum())
    slope = 6.0 if precision is not None else 10.0
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        violating = expit(middle + SEGMENT_QUALITY[:, None] + slope * (score - 0.5))
        below = (mass * violating).sum() < (prevalence if precision is None else precision)
        low, high = (middle, high) if below else (low, middle)
    segment = np.broadcast_to(np.arange(SEGMENTS.size)[:, None], mass.shape)
    pi = {
        "equal": np.ones(SCORES),
        "high scores": 0.05 + score**3,
        "low scores": 0.05 + (1 - score) ** 2,
        "unsure scores": 0.03 + 2 * score * (1 - score),
        "one segment": np.where(segment == 2, 10.0, 1.0) * (0.3 + score),
        "a queue": np.where(score < 0.4 if precision is not None else score > 0.5, 1.0, 0.05),
    }[design]
    return Traffic(
        mass.ravel(),
        violating.ravel(),
        np.broadcast_to(1.0 / pi, mass.shape).ravel(),
        np.broadcast_to((precision is not None) | (score > 0.7), mass.shape).ravel(),
        np.broadcast_to((score * 10).astype(np.int64), mass.shape).ravel(),
    )


def draw(source: Traffic, labels: float, *, windows: int, rng: np.random.Generator) -> Windows:
    """Windows with so many labels on average. The sampled share of decisions is taken to be small."""
    cell = source.mass / source.weight
    cell = cell * labels / cell.sum()
    means = np.stack([cell * (1 - source.violating), cell * source.violating])
    counts = rng.poisson(means, (windows, *means.shape)).astype(np.float64)
    before = rng.poisson(LONGER * means, (windows, *means.shape)).astype(np.float64)
    return Windows(_sums(counts, source), _sums(before, source), counts)


def _sums(counts: Floats, source: Traffic) -> ConfusionSums:
    side = np.stack([~source.actioned, source.actioned]).astype(np.float64)
    weight, square = (np.einsum("nvc,ac->nav", counts, side * source.weight**power, optimize=True) for power in (1, 2))
    # In a large population pi is small and w^2 - w is w^2: no finite population correction.
    return ConfusionSums(weight, square, np.zeros_like(weight))


def naive(found: Windows, source: Traffic, which: Rate) -> tuple[Floats, Interval]:
    """The plain share of labels with Wilson's interval."""
    unweighted = Traffic(source.mass, source.violating, np.ones(source.mass.size), source.actioned, source.bin)
    plain = rate(_sums(found.counts, unweighted), which)
    n = plain.effective_n
    return plain.estimate, wilson(np.where(n > 0, plain.estimate * n, 0.0), n)


def by_score_bin(found: Windows, source: Traffic) -> tuple[Floats, Interval]:
    """The post-stratified share of violating among actioned with ten score bins."""
    bins = np.eye(10)[source.bin]
    weight, square = ((found.counts * source.weight**power) @ bins for power in (1, 2))
    estimate = post_stratified(
        1e9 * (source.mass @ bins),
        found.counts.sum(axis=1) @ bins,
        weight_violating=weight[:, 1],
        weight_benign=weight[:, 0],
        square_violating=square[:, 1],
        square_benign=square[:, 0],
    )
    return estimate.estimate, share_interval(estimate)


def methods(found: Windows, source: Traffic, which: Rate) -> dict[str, tuple[Floats, Interval]]:
    """Estimates and intervals by method."""
    hajek = rate(found.sums, which)
    kish = hajek.effective_n
    told = {
        "naive": naive(found, source, which),
        "Kish": (hajek.estimate, wilson(np.where(kish > 0, np.nan_to_num(hajek.estimate) * kish, 0.0), kish)),
        "interval_n": (hajek.estimate, share_interval(hajek)),
        "score": (hajek.estimate, rate_interval(found.sums, which)),
        "typical": (hajek.estimate, rate_interval(found.sums, which, typical=found.longer)),
    }
    if which is Rate.PRECISION:
        told["bins"] = by_score_bin(found, source)
    return told


@dataclass(frozen=True, slots=True)
class Quality:
    """How a method did: bias and root mean square error of the estimate, coverage and mean width of the interval.

    All over the windows in which the rate is identified, a share `known` of all; `wrong` is the share of all windows
    whose interval excludes the truth.
    """

    known: float
    bias: float
    error: float
    coverage: float
    wrong: float
    width: float


def judge(estimate: Floats, interval: Interval, truth: float) -> Quality:
    """Compare with the truth."""
    known = ~np.isnan(estimate)
    covered = (interval.lower <= truth) & (truth <= interval.upper)
    return Quality(
        known=float(np.mean(known)),
        wrong=float(np.mean(known & ~covered)),
        bias=float(np.mean(estimate[known]) - truth),
        error=float(np.sqrt(np.mean((estimate[known] - truth) ** 2))),
        coverage=float(np.mean(covered[known])),
        width=float(np.mean((interval.upper - interval.lower)[known])),
    )


def cell(source: Traffic, which: Rate, *, labels: int, windows: int, seed: int) -> tuple[dict[str, Quality], float]:
    """Quality by method, and the mean number of labels of the rarer verdict in the domain of the rate."""
    found = draw(source, labels, windows=windows, rng=np.random.default_rng(seed))
    truth = source.truth(which)
    told = {name: judge(*answer, truth) for name, answer in methods(found, source, which).items()}
    side = np.stack([~source.actioned, source.actioned]).astype(np.float64)
    counts = np.einsum("nvc,ac->av", found.counts, side) / windows  # actioned by violating
    rarer = {
        Rate.PRECISION: counts[1].min(),
        Rate.RECALL: counts[:, 1].min(),
        Rate.FALSE_POSITIVE_RATE: counts[:, 0].min(),
        Rate.PREVALENCE: counts.sum(axis=0).min(),
    }[which]
    return told, float(rarer)


def attainable(n: int, share: float) -> Floats:
    """What an interval can cover with n labels of equal probability, ascending: P(a <= count <= b) for all a <= b.

    The counts whose interval holds the truth are neighbours if both limits move with the count.
    """
    likely = binomial(n, share)
    likely = likely[likely > 1e-12]
    upto = np.concatenate([[0.0], np.cumsum(likely)])
    below, above = np.triu_indices(len(upto), k=1)
    return np.unique(upto[above] - upto[below])


def binomial(n: int, share: npt.ArrayLike) -> Floats:
    """Probabilities of the counts 0 to n; the last axis."""
    k, p = np.arange(n + 1.0), np.asarray(share, dtype=np.float64)[..., None]
    ways = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    found: Floats = np.exp(ways + xlogy(k, p) + xlog1py(n - k, -p))
    return found


def exact_coverage(interval: Interval, n: int, share: Floats) -> Floats:
    """Coverage at each share of an interval for each count (n + 1,)."""
    p = share[:, None]
    return np.asarray(np.sum(binomial(n, share) * ((interval.lower <= p) & (p <= interval.upper)), axis=-1))


COLUMNS: Final = (
    *("design", "labels", "truth", "rarer", "known", "naive bias", "covers", "RMSE"),
    *("Hajek bias", "RMSE", "Kish", "interval_n", "score", "typical", "width", "wrong"),
)


def run(arguments: Sequence[str]) -> list[Table]:
    """Tables of coverage by rate, and a summary over all cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="windows a cell")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 200, 1000, 5000])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    tables, cells = [], []
    for which in Rate:
        levels = PRECISIONS if which is Rate.PRECISION else PREVALENCES
        rows = []
        for design in DESIGNS:
            for labels in options.labels:
                for level in levels:
                    share = {"precision": level} if which is Rate.PRECISION else {"prevalence": level}
                    source = traffic(design, **share)
                    told, rarer = cell(source, which, labels=labels, windows=options.runs, seed=options.seed)
                    cells.append((which, rarer, told))
                    rows.append(_row(design, labels, source.truth(which), rarer, told))
        tables.append(Table(f"Coverage of 95 % intervals: {which}", COLUMNS, rows, _notes(which)))
    precision = [one for one in cells if one[0] is Rate.PRECISION]
    others = [one for one in cells if one[0] is not Rate.PRECISION]
    summaries = [_summary("precision", precision, options.runs), _summary("the other rates", others, options.runs)]
    return show([*summaries, _few_labels(), _possible(options.labels), *tables])


def _few_labels() -> Table:
    rows = []
    for n in SIZES:
        counts = np.arange(n + 1.0)
        found = {name: method(counts, n) for name, method in METHODS.items()}
        for least, most in EXPECTED:
            share = np.linspace(least, min(most, 0.5 * n), 2000) / n
            chance = binomial(n, share)
            usual = chance @ (found["wilson"].upper - found["wilson"].lower)
            for name, interval in found.items():
                covered = 100 * exact_coverage(interval, n, share)
                width = np.mean(chance @ (interval.upper - interval.lower) / usual)
                told = (f"{covered.min():.1f}", f"{covered.mean():.1f}", f"{covered.max():.1f}", f"{width:.3f}")
                rows.append((f"{least:g} to {most:g}", str(n), name, *told))
    return Table(
        "Few labels of one verdict: coverage of 95 % intervals of a binomial count, exactly",
        ("expected", "labels", "interval", "least", "mean", "most", "width by Wilson's"),
        rows,
        ("2,000 shares in each range of the expected count; width as a part of that of Wilson's interval.",),
    )


def _possible(sizes: Sequence[int]) -> Table:
    rows = []
    for which in Rate:
        levels = PRECISIONS if which is Rate.PRECISION else PREVALENCES
        for labels in sizes:
            for level in levels:
                share = {"precision": level} if which is Rate.PRECISION else {"prevalence": level}
                source = traffic("equal", **share)
                truth, n = source.truth(which), round(labels * source.domain(which))
                if n == 0 or min(truth, 1 - truth) * n >= 10:
                    continue
                can = 100 * attainable(n, truth)
                low, high = can[can <= 95], can[can >= 95]
                near = (f"{low[-1]:.1f}" if low.size else "", f"{high[0]:.1f}")
                inside = "yes" if np.any((can >= 93) & (can <= 97)) else "no"
                told = [
                    f"{100 * exact_coverage(method(np.arange(n + 1.0), n), n, np.array([truth]))[0]:.1f}"
                    for method in METHODS.values()
                ]
                rows.append((which, str(labels), f"{truth:.4f}", str(n), *near, inside, *told))
    return Table(
        "What an interval can cover at all where ten and fewer labels of one verdict are expected, equal probabilities",
        ("rate", "labels", "truth", "in its domain", "up to 95 %", "from 95 % on", "any in 93-97 %", *METHODS),
        rows,
        (
            "For every interval whose limits move with the count: the nearest coverages on both sides of 95 %.",
            "In the tables below the number of labels is random, which mixes the coverages of several n.",
        ),
    )


def _row(design: str, labels: int, truth: float, rarer: float, told: dict[str, Quality]) -> tuple[str, ...]:
    plain, hajek = told["naive"], told["typical"]
    covered = [f"{100 * told[name].coverage:.1f}" for name in ("Kish", "interval_n", "score", "typical")]
    return (
        *(design, str(labels), f"{truth:.4f}", f"{rarer:.1f}", f"{100 * hajek.known:.0f}"),
        *(f"{plain.bias:+.4f}", f"{100 * plain.coverage:.1f}", f"{plain.error:.4f}"),
        *(f"{hajek.bias:+.4f}", f"{hajek.error:.4f}", *covered, f"{hajek.width:.4f}"),
        f"{100 * hajek.wrong:.1f}",
    )


def _notes(which: Rate) -> tuple[str, ...]:
    about = "actioned decisions" if which is Rate.PRECISION else "all decisions, of which 1 % or 10 % violate"
    return (
        f"Labels are of {about}; `rarer` is the mean number of labels of the rarer verdict in the rate's domain.",
        "RMSE, bias and width in shares. `known`: windows in %, in which the rate is identified; the others have no",
        "interval and are left out. `wrong`: windows in %, of all, whose interval `typical` excludes the truth.",
    )


def _summary(about: str, cells: Sequence[tuple[Rate, float, dict[str, Quality]]], runs: int) -> Table:
    rows = []
    for least, most in ((0.0, 3.0), (3.0, 10.0), (10.0, 50.0), (50.0, np.inf)):
        for name in ("naive", "Kish", "interval_n", "bins", "score", "typical"):
            told = [told[name] for _, rarer, told in cells if least <= rarer < most and name in told]
            if told:
                coverage = [100 * one.coverage for one in told]
                outside = (str(sum(one < 93 for one in coverage)), str(sum(one > 97 for one in coverage)))
                spread = (f"{min(coverage):.1f}", f"{np.mean(coverage):.1f}", f"{max(coverage):.1f}")
                wrong = f"{max(100 * one.wrong for one in told):.1f}"
                rows.append((f"{least:g} to {most:g}", name, str(len(told)), *outside, *spread, wrong))
    return Table(
        f"Coverage of 95 % intervals by labels of the rarer verdict: {about}",
        ("rarer labels", "interval", "cells", "below 93 %", "above 97 %", "least", "mean", "most", "wrong at most"),
        rows,
        (
            f"{runs} windows a cell: coverage of one is known to about one point (two standard errors at 95 %).",
            "Coverage is that of windows in which the rate is identified; `wrong`: of all windows, those with an",
            "interval that excludes the truth.",
            "naive: plain share, Wilson. Kish, interval_n: Hajek, Wilson on that sample size. bins: post-stratified by",
            "score bin, precision only. score: `weighted_score`. typical: the same, told those of ten windows before.",
        ),
    )


if __name__ == "__main__":
    begin(run)
