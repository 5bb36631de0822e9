"""What looking at any time costs: intervals watched after every label, and run length against delay of e-detectors.

Run: `python -m tests.studies.sequential`. The trade-off is for verdicts with a share of .1 that changes to .15 or .2,
planned for .2, and for the doubling grid that need not know the change.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors import ECusum, ESr
from detectors.intervals import wilson
from detectors.sequential import bernoulli_e_value
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 20 --peeks 20 --longest 2000"
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


def run(arguments: Sequence[str]) -> list[Table]:
    """Simulate and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300, help="of each cell of the trade-off")
    parser.add_argument("--peeks", type=int, default=4000, help="streams watched")
    parser.add_argument("--longest", type=int, default=200_000, help="observations of a run")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    return show([peeking(told.peeks, seed=told.seed), trade_off(told.runs, longest=told.longest, seed=told.seed)])


if __name__ == "__main__":
    begin(run)
