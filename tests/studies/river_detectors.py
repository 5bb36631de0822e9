"""Run lengths, delays and blind directions of the detectors that follow River, with their defaults.

Run: `python -m tests.studies.river_detectors`. A detector is replaced by a fresh one after each alarm, as River's
restart themselves. Verdicts are independent, 1 an error; KSWIN gets normal values as well.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from statistics import fmean, median
from typing import Final

import numpy as np

from detectors import Adwin, Ddm, Eddm, Fhddm, HddmA, HddmW, Kswin, Spec
from tests.bench.tables import Table, begin, show

SMALL: Final = "--length 2000 --slow 200 --runs 2"

IN_CONTROL: Final = 1000
PATIENCE: Final = 5000

DETECTORS: Final[dict[str, Spec]] = {
    "adwin, clock 32": Adwin(clock=32, warm_up=10),
    "ddm": Ddm(),
    "eddm": Eddm(),
    "fhddm, fall": Fhddm(),
    "fhddm, rise": Fhddm(direction="rise"),
    "hddm_a": HddmA(),
    "hddm_a, both": HddmA(direction="both"),
    "hddm_w": HddmW(),
    "hddm_w, both": HddmW(direction="both"),
    "kswin": Kswin(),
}


def alarms(spec: Spec, values: Sequence[float]) -> Iterator[int]:
    """Places of the alarms, with a fresh start after each."""
    logic = spec.build()
    for place, value in enumerate(values):
        reading = logic.update(value)
        if reading is not None and reading.alarm:
            yield place
            logic = spec.build()


def verdicts(rng: np.random.Generator, count: int, rate: float) -> list[float]:
    """So many verdicts with a rate of errors."""
    return [float(wrong) for wrong in rng.random(count) < rate]


def run_lengths(*, length: int, slow: int, seed: int) -> Table:
    """False alarms on streams without a change."""
    rows = []
    for name, spec in DETECTORS.items():
        count = slow if isinstance(spec, Kswin) else length
        streams = [
            verdicts(np.random.default_rng([seed, 5]), count, 0.05),
            verdicts(np.random.default_rng([seed, 30]), count, 0.30),
        ]
        if spec.domain.value == "real":
            streams.append(np.random.default_rng([seed, 0]).normal(size=count).tolist())
        cells = []
        for values in streams:
            found = len(list(alarms(spec, values)))
            cells.append(f"{found} (1 in {count / found:,.0f})" if found else "0")
        rows.append((name, f"{count:,}", *cells, *[""] * (3 - len(cells))))
    return Table(
        title="False alarms without a change",
        columns=("detector, defaults", "values", "Ber(.05)", "Ber(.30)", "N(0, 1)"),
        rows=rows,
        notes=("No alarm in 500,000 means, with 95 % confidence, fewer than one in 167,000.",),
    )


def fresh_starts(*, runs: int, length: int, seed: int) -> Table:
    """How many of the starts of EDDM alarm falsely: it has no run length, since a lucky start is quiet for ever."""
    rows = []
    for rate in (0.05, 0.30):
        first = [
            next(alarms(Eddm(), verdicts(np.random.default_rng([seed, number]), length, rate)), None)
            for number in range(runs)
        ]
        found = [place for place in first if place is not None]
        rows.append((f"Ber({rate:g})", f"{100 * len(found) / runs:.0f}", f"{median(found):,.0f}" if found else "none"))
    return Table(
        title=f"EDDM: starts that alarm within {length:,} values without a change",
        columns=("verdicts", "starts, %", "median place"),
        rows=rows,
        notes=(f"{runs} starts.",),
    )


def delays(*, runs: int, seed: int) -> Table:
    """Delay after a change, counted from the detector that runs when the change comes."""
    rows = []
    for name, spec in DETECTORS.items():
        cells = []
        for before, after in ((0.1, 0.2), (0.1, 0.12), (0.3, 0.1)):
            waited, missed, early = [], 0, 0
            patience = 1000 if isinstance(spec, Kswin) else PATIENCE
            for number in range(runs):
                rng = np.random.default_rng([seed, number])
                values = verdicts(rng, IN_CONTROL, before) + verdicts(rng, patience, after)
                logic, delay = spec.build(), None
                for place, value in enumerate(values):
                    reading = logic.update(value)
                    if reading is not None and reading.alarm:
                        if place >= IN_CONTROL:
                            delay = place - IN_CONTROL + 1
                            break
                        early += 1
                        logic = spec.build()
                missed += delay is None
                waited += [] if delay is None else [delay]
            mean = f"{fmean(waited):,.0f}" if waited else "none"
            cells.append(f"{mean} ({100 * missed / runs:.0f} %)")
        rows.append((name, *cells))
    return Table(
        title=f"Mean delay after a change (missed within {PATIENCE:,} values, KSWIN 1,000)",
        columns=("detector, defaults", ".1 to .2", ".1 to .12", ".3 to .1"),
        rows=rows,
        notes=(f"{runs} runs, change after {IN_CONTROL:,} values. Chance alarms after the change count as found.",),
    )


def costs(*, length: int, slow: int, seed: int) -> Table:
    """Time of an update."""
    rows = []
    for name, spec in DETECTORS.items():
        count = slow if isinstance(spec, Kswin) else min(length, 50_000)
        values = verdicts(np.random.default_rng(seed), count, 0.05)
        logic = spec.build()
        begun = time.thread_time()
        for value in values:
            logic.update(value)
        rows.append((name, f"{(time.thread_time() - begun) / count * 1e6:.1f}"))
    return Table(title="Time of an update, µs", columns=("detector", "µs"), rows=rows)


def run(arguments: Sequence[str]) -> list[Table]:
    """Simulate and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=500_000, help="values without a change")
    parser.add_argument("--slow", type=int, default=40_000, help="the same for KSWIN")
    parser.add_argument("--runs", type=int, default=30, help="changes")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    return show(
        [
            run_lengths(length=told.length, slow=told.slow, seed=told.seed),
            fresh_starts(runs=10 * told.runs, length=min(told.length, PATIENCE), seed=told.seed),
            delays(runs=told.runs, seed=told.seed),
            costs(length=told.length, slow=told.slow, seed=told.seed),
        ]
    )


if __name__ == "__main__":
    begin(run)
