"""Coverage of precision for a window whose labels are still arriving, where delay depends on the outcome.

    python -m tests.studies.delay --runs 4000

One window of n decisions selected for review with a probability that follows the score, seen at the age at which 30,
60 and 90 % of its labels have come; benign labels take longer than violating ones, and low scores longer than high
ones. Ten times as many older decisions (5000 at least) are fully labelled, twice as many are half way. Precision of the
old decisions is half as far from 1 as that of the window: something has got worse, which is when the number matters.

Beside the nowcast: `naive` takes the labels that have come (weighted for sampling) for all; `pooled` is Aalen-Johansen
on old and new decisions together, F_violating / (F_violating + F_benign); `wait` uses fully labelled decisions only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from detectors.arrays import Floats, Ints
from detectors.delay import Nowcast, aalen_johansen, exits_from_cohorts, nowcast
from detectors.estimation import hajek
from detectors.intervals import Interval, wilson
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 20"

BINS: Final = 40
SIZES: Final = (50, 200, 1000, 5000)
PRECISIONS: Final = (0.5, 0.8, 0.95, 0.99)
MATURITIES: Final = (0.3, 0.6, 0.9)
OLD: Final = 5000
"""Least number of older decisions that are fully labelled."""
WINDOW: Final = np.array([False, False, True])

PI: Final = np.array([0.1, 0.2, 0.4, 0.8])
"""Probability of review by score bin, low to high."""
SCORE_OF_VIOLATING: Final = np.array([0.1, 0.2, 0.3, 0.4])
SCORE_OF_BENIGN: Final = np.array([0.4, 0.3, 0.2, 0.1])
MEAN_DELAY: Final = np.array([[14.0, 12.0, 10.0, 8.0], [7.0, 6.0, 5.0, 4.0]])
"""In bins, by verdict (benign, violating) and score bin."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Runs of a simulation: (runs, cohorts, bins) sums of w and w^2 by verdict, (runs, cohorts) sums of the selected.

    Cohorts: the fully labelled, those half way, the window.
    """

    age: Ints
    violating: Floats
    benign: Floats
    square_violating: Floats
    square_benign: Floats
    selected: Floats
    square_selected: Floats


def delays() -> Floats:
    """Probability of each delay bin (verdict, score, bin): geometric, cut off at the last bin."""
    share = np.exp(-np.arange(BINS + 1) / MEAN_DELAY[..., None])
    return (share[..., :-1] - share[..., 1:]) / (1.0 - share[..., -1:])


def cells(precision: float) -> Floats:
    """Probability of (score, verdict, delay) of a decision that is selected for review."""
    scores = np.stack([(1.0 - precision) * SCORE_OF_BENIGN, precision * SCORE_OF_VIOLATING]) * PI
    return (scores / scores.sum())[..., None] * delays()


def age_of(precision: float, maturity: float) -> int:
    """The age at which about that share of the decisions that were selected has its label, by weight."""
    by_verdict = np.array([1.0 - precision, precision])[:, None] * np.stack([SCORE_OF_BENIGN, SCORE_OF_VIOLATING])
    arrived = np.cumsum(np.einsum("vs,vsb->b", by_verdict, delays()))
    return 1 + int(np.argmin(np.abs(arrived - maturity)))


def simulate(
    n: int,
    precision: float,
    age: int,
    *,
    runs: int,
    rng: np.random.Generator,
    reference: float,
    backlog: tuple[float, float] = (1.0, 1.0),
    matured: int = 0,
    half_way: bool = True,
) -> Windows:
    """Runs of one setting. `backlog` is the share of the window's benign and violating labels that are not held up,
    `matured` the number of fully labelled decisions if it is not the usual one, `half_way` whether there are others.
    """
    ages = np.array([BINS, (BINS + age) // 2, age])
    groups = ((matured or max(10 * n, OLD), reference), (2 * n * half_way, reference), (n, precision))
    drawn = [
        rng.multinomial(size, cells(share).ravel(), runs).reshape(runs, 2, PI.size, BINS) for size, share in groups
    ]
    counts = np.stack(drawn, axis=3).astype(np.float64)
    selected, square_selected = (np.einsum("rvscb,s->rc", counts, PI**-power) for power in (1.0, 2.0))
    seen = np.where(np.arange(BINS) < ages[:, None], counts, 0.0)
    if min(backlog) < 1.0:
        in_time = np.array(backlog)[:, None, None]
        seen[:, :, :, -1] = rng.binomial(seen[:, :, :, -1].astype(np.int64), in_time)
    first, second = (np.einsum("rvscb,s->vrcb", seen, PI**-power) for power in (1.0, 2.0))
    return Windows(ages, first[1], first[0], second[1], second[0], selected, square_selected)


def nowcast_of(windows: Windows) -> Nowcast:
    """The estimate under test."""
    return nowcast(
        windows.violating,
        windows.benign,
        selected=windows.selected,
        age=windows.age,
        window=WINDOW,
        square_violating=windows.square_violating,
        square_benign=windows.square_benign,
        square_selected=windows.square_selected,
    )


def of_cohort(windows: Windows, cohort: int) -> tuple[Floats, Interval]:
    """Weighted share of the labels of one cohort that have come, with its interval."""
    share = hajek(
        windows.violating[:, cohort].sum(axis=-1),
        windows.benign[:, cohort].sum(axis=-1),
        square_violating=windows.square_violating[:, cohort].sum(axis=-1),
        square_benign=windows.square_benign[:, cohort].sum(axis=-1),
    )
    return share.estimate, wilson(share.estimate * share.interval_n, share.interval_n)


def pooled(windows: Windows) -> Floats:
    """Precision by Aalen-Johansen over all cohorts."""
    exits = exits_from_cohorts(np.stack([windows.violating, windows.benign], axis=1), windows.selected, windows.age)
    found = aalen_johansen(exits.events, exits.censored).incidence[..., -1]
    return found[:, 0] / found.sum(axis=-1)


def covered(lower: Floats, upper: Floats, truth: float) -> Floats:
    """Whether the interval holds the truth, NaN where there is none."""
    return np.where(np.isnan(lower), np.nan, (lower <= truth) & (truth <= upper))


def mean(values: Floats) -> float:
    """Mean over the runs with a value; NaN where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def rows(runs: int, seed: int) -> Iterator[tuple[str, ...]]:
    """One row for each precision, size and maturity."""
    for precision in PRECISIONS:
        for n in SIZES:
            for maturity in MATURITIES:
                age = age_of(precision, maturity)
                rng = np.random.default_rng([seed, n, round(100 * precision), age])
                windows = simulate(n, precision, age, runs=runs, rng=rng, reference=0.5 + 0.5 * precision)
                found = nowcast_of(windows)
                naive, naive_limits = of_cohort(windows, -1)
                waited, waited_limits = of_cohort(windows, 0)
                yield (
                    f"{precision:g}, {n}",
                    f"{mean(found.matured):.0%}",
                    *_coverage(found.lower, found.upper, found.estimate, precision),
                    _percent(mean(np.isnan(found.estimate).astype(np.float64))),
                    _percent(mean(covered(naive_limits.lower, naive_limits.upper, precision))),
                    f"{mean(naive) - precision:+.3f}",
                    f"{mean(naive_limits.upper - naive_limits.lower):.3f}",
                    f"{mean(pooled(windows)) - precision:+.3f}",
                    _percent(mean(covered(waited_limits.lower, waited_limits.upper, precision))),
                    f"{mean(waited) - precision:+.3f}",
                )


SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "as above": {},
    "precision has not moved": {"reference": 0.8},
    "500 older decisions": {"matured": 500},
    "100 older decisions": {"matured": 100},
    "400 older decisions, none half way": {"matured": 400, "half_way": False},
    "the same, precision .9": {"matured": 400, "half_way": False, "precision": 0.9, "reference": 0.9},
    "backlog: 40 % of all labels held up": {"backlog": (0.6, 0.6)},
    "10 % of benign labels held up": {"backlog": (0.9, 1.0)},
    "40 % of benign labels held up": {"backlog": (0.6, 1.0)},
}
"""What changes in a window of 1000 decisions at a precision of .8 of whose labels 60 % have come."""


def departures(runs: int, seed: int) -> Iterator[tuple[str, ...]]:
    """One row for each setting."""
    for number, (name, change) in enumerate(SETTINGS.items()):
        rng = np.random.default_rng([seed, number])
        setting = {"precision": 0.8, "n": 1000, "reference": 0.9} | change
        precision = setting["precision"]
        windows = simulate(age=age_of(precision, 0.6), runs=runs, rng=rng, **setting)
        found = nowcast_of(windows)
        yield (
            name,
            *_coverage(found.lower, found.upper, found.estimate, precision),
            _percent(mean(np.isnan(found.estimate).astype(np.float64))),
            f"{mean(found.completeness):.2f}",
            f"{mean(pooled(windows)) - precision:+.3f}",
            f"{mean(found.lower_bound):.2f}-{mean(found.upper_bound):.2f}",
            _percent(mean(covered(found.lower_bound, found.upper_bound, precision))),
        )


def run(arguments: Sequence[str]) -> list[Table]:
    """The tables of the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args(arguments)
    main = Table(
        f"Precision while labels arrive: 95 % intervals, {options.runs} runs a row",
        (
            *("precision, n", "arrived", "covers", "bias", "width", "none", "naive covers", "bias", "width"),
            *("pooled bias", "wait covers", "bias"),
        ),
        list(rows(options.runs, options.seed)),
        (
            "`*`: coverage outside 93-97 %. `none`: runs, in %, in which the nowcast gives bounds and no number.",
            "`pooled` and `wait` assume that precision has not moved, and it has.",
        ),
    )
    broken = Table(
        "The nowcast where its assumptions fail: precision .8, n = 1000, 60 % arrived",
        ("setting", "covers", "bias", "width", "none", "completeness", "pooled bias", "bounds", "bounds cover"),
        list(departures(options.runs, options.seed)),
        ("`completeness`: labels to come in the end, by the nowcast, per decision selected; 1 if delays hold.",),
    )
    return show([main, broken])


def _coverage(lower: Floats, upper: Floats, estimate: Floats, truth: float) -> tuple[str, str, str]:
    cover = mean(covered(lower, upper, truth))
    return (
        _percent(cover) + ("" if 0.93 <= cover <= 0.97 else " *"),
        f"{mean(estimate) - truth:+.3f}",
        f"{mean(upper - lower):.3f}",
    )


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f}"


if __name__ == "__main__":
    begin(run)
