"""What looking at any time costs: intervals watched after every label, and run length against delay of e-detectors.

Run: `python -m tests.studies.sequential`. The trade-off is for verdicts with a share of .1 that changes to .15 or .2,
planned for .2, and for the doubling grid that need not know the change. The widths of confidence sequences stand
beside the hedged capital process of Waudby-Smith and Ramdas 2024, section 4.4, on a grid of means.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors import ECusum, ESr
from detectors.arrays import Floats
from detectors.intervals import wilson
from detectors.sequential import bernoulli_e_value, bernoulli_sequence, empirical_bernstein, weighted_sequence
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 20 --peeks 20 --longest 2000 --streams 2"
COLUMN: Final = 500


def peeking(runs: int, *, seed: int) -> Table:
    """How often an interval for a precision of .9 excludes it at some moment between 50 and 2000 labels."""
    rng = np.random.default_rng(seed)
    n = np.arange(1, 2001)
    missed = dict.fromkeys(("Wilson 95 %", "confidence sequence 95 %"), (0, 0, 0))
    looks = (n >= 50, (n >= 50) & (n % 100 == 0), n == 2000)
    for start in range(0, runs, COLUMN):
        hits = np.cumsum(rng.random((min(COLUMN, runs - start), 2000)) < 0.9, axis=1)
        fixed = wilson(hits, n)
        excluded = {
            "Wilson 95 %": (fixed.lower > 0.9) | (fixed.upper < 0.9),
            "confidence sequence 95 %": bernoulli_e_value(hits, n, share=0.9, alpha=0.05, optimal_n=500) > np.log(20),
        }
        for name, found in excluded.items():
            a, b, c = (int((found & look).any(axis=1).sum()) for look in looks)
            missed[name] = (missed[name][0] + a, missed[name][1] + b, missed[name][2] + c)
    return Table(
        title="Peeking: share of streams whose interval excludes the true precision of .9 at some look",
        columns=("interval", "every label", "every 100", "once, at 2000"),
        rows=[(name, *(f"{100 * each / runs:.1f} %" for each in counts)) for name, counts in missed.items()],
        notes=(f"{runs:,} streams, looks from 50 to 2000 labels. Sequence tuned for 500 labels.",),
    )


def run_lengths(spec: ESr | ECusum, share: float, *, runs: int, longest: int, seed: int) -> npt.NDArray[np.int64]:
    """Observations to the first alarm; `longest` where there is none."""
    rng = np.random.default_rng(seed)
    found = np.empty(runs, dtype=np.int64)
    for run in range(runs):
        logic, length = spec.build(), 0
        while length < longest:
            alarm = logic.update_many((rng.random(COLUMN) < share).astype(np.float64)).alarm
            if alarm.any():
                length += int(alarm.argmax()) + 1
                break
            length += COLUMN
        found[run] = length
    return found


def trade_off(runs: int, *, longest: int, seed: int) -> Table:
    """Mean run length in control, and mean delay at two sizes of change."""
    rows = []
    for kind in (ESr, ECusum):
        for largest, plan in ((0.1, "planned for .2"), (None, "doubling from .03")):
            for level in (100.0, 1000.0):
                spec = kind(
                    mean=0.1,
                    smallest_change=0.03 if largest is None else largest,
                    largest_change=largest,
                    direction="rise",
                    average_run_length=level,
                )
                cells = []
                for share in (0.1, 0.15, 0.2):
                    found = run_lengths(spec, share, runs=runs, longest=longest, seed=seed)
                    sign = "> " if (found >= longest).any() else ""
                    cells.append(f"{sign}{found.mean():,.1f} +- {found.std() / runs**0.5:,.1f}")
                rows.append((f"{kind.__name__}, {plan}", f"{level:g}", *cells))
    return Table(
        title="e-detectors: run length and delay in verdicts, share .1 in control",
        columns=("detector", "stated run length", "at .1", "at .15", "at .2"),
        rows=rows,
        notes=(f"{runs:,} runs each, cut at {longest:,} (marked >); +- is the standard error.",),
    )


def hedged_width(x: Floats, sizes: Sequence[int], *, grid: int = 1000) -> list[float]:
    """Mean width after so many values of (streams, n): the means whose hedged capital is below 20, on a grid."""
    t = np.arange(1, x.shape[1] + 1)
    total = np.cumsum(x, axis=1)
    squares = np.cumsum((x - (0.5 + total) / (t + 1)) ** 2, axis=1)
    before = 0.25 + np.hstack([np.zeros((len(x), 1)), squares[:, :-1]])
    bet = np.sqrt(2 * np.log(40) / (before * np.log1p(t)))
    mean = (np.arange(grid) + 0.5) / grid
    up, down = np.zeros((len(x), grid)), np.zeros((len(x), grid))
    widths = {}
    for step in range(x.shape[1]):
        away = x[:, step, None] - mean
        up += np.log1p(np.minimum(bet[:, step, None], 0.5 / mean) * away)
        down += np.log1p(-np.minimum(bet[:, step, None], 0.5 / (1 - mean)) * away)
        if step + 1 in sizes:
            widths[step + 1] = float(np.mean((np.maximum(up, down) < np.log(40)).sum(axis=1) / grid))
    return [widths[size] for size in sizes]


def widths(streams: int, *, seed: int) -> Table:
    """Mean width of 95 % sequences of verdicts, of scores, and of weighted labels."""
    rng = np.random.default_rng(seed)
    sizes = (100, 1000, 5000)
    last = sizes[-1]
    rows = []
    sources = {
        "verdicts, .9": (rng.random((streams, last)) < 0.9).astype(np.float64),
        "verdicts, .99": (rng.random((streams, last)) < 0.99).astype(np.float64),
        "scores, Beta(10, 30)": rng.beta(10, 30, (streams, last)),
        "scores, Beta(.8, 6)": rng.beta(0.8, 6, (streams, last)),
    }
    for about, x in sources.items():
        found, n = empirical_bernstein(x), np.array(sizes)
        mixture = bernoulli_sequence(np.cumsum(x, axis=1)[:, n - 1], n, alpha=0.05, optimal_n=500)
        told = {
            "empirical Bernstein": (found.upper - found.lower)[:, n - 1].mean(axis=0),
            "hedged capital": hedged_width(x, sizes),
            "beta-binomial, tuned for 500": (mixture.upper - mixture.lower).mean(axis=0),
            "one look, normal": [2 * 1.96 * np.mean(x[:, :size].std(axis=1)) / size**0.5 for size in sizes],
        }
        rows += [(about, name, *(f"{width:.4f}" for width in found)) for name, found in told.items()]
    # Half of the decisions are reviewed with probability 1/2, the others with 1/20; precision .95 and .85.
    pi, rare = np.array([0.5, 0.05]), rng.random((streams, last)) < 0.5
    y = rng.random((streams, last)) < np.where(rare, 0.85, 0.95)
    seen = rng.random((streams, last)) < pi[rare.astype(int)]
    each = empirical_bernstein(np.where(seen & y, 1 / pi[rare.astype(int)], 0.0), largest=20.0)
    counts = [
        np.stack([np.cumsum(seen & (y == good) & (rare == one), axis=1) for one in (False, True)], axis=-1)
        for good in (True, False)
    ]
    picked = [count[:, np.array(sizes) - 1] for count in counts]
    labels = weighted_sequence(*picked, inclusion_probability=pi, smallest_probability=0.05)
    told = {
        "empirical Bernstein of all decisions": np.minimum(each.upper, 1.0)[:, np.array(sizes) - 1]
        - np.minimum(each.lower, 1.0)[:, np.array(sizes) - 1],
        "weighted_sequence": labels.upper - labels.lower,
    }
    rows += [
        ("weighted labels, .9", name, *(f"{width:.4f}" for width in found.mean(axis=0))) for name, found in told.items()
    ]
    return Table(
        title="Width of 95 % confidence sequences",
        columns=("values", "sequence", *(f"after {size:,}" for size in sizes)),
        rows=rows,
        notes=(
            f"Means of {streams} streams. Hedged capital: a grid of 1,000 means, some 10,000 times the arithmetic.",
            "Weighted labels: after so many decisions, of which 27.5 % are reviewed, half of them with probability 1/2",
            "and half with 1/20.",
        ),
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Simulate and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300, help="of each cell of the trade-off")
    parser.add_argument("--peeks", type=int, default=4000, help="streams watched")
    parser.add_argument("--longest", type=int, default=200_000, help="observations of a run")
    parser.add_argument("--streams", type=int, default=40, help="whose width is averaged")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    return show(
        [
            peeking(told.peeks, seed=told.seed),
            trade_off(told.runs, longest=told.longest, seed=told.seed),
            widths(told.streams, seed=told.seed),
        ]
    )


if __name__ == "__main__":
    begin(run)
