"""The launch gate under continuous looking: regressions blocked, equal models let be, labels used.

Champion and challenger act equally often; only decisions on which one acts alone are labelled. The regression of
precision P to P - .01 lies in the disagreements: their shares of violating content are .01 / discordant share apart.
Every label is a look.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats
from detectors.launch import (
    Design,
    Outcomes,
    labels_needed,
    log_e_value,
    paired_labels_needed,
    precision,
    two_sample_labels_needed,
)
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 10 --disagreements 500"
ALPHA: Final = 0.05
MARGIN: Final = 0.01
UNEQUAL: Final = Design(inclusion_probability=(1.0, 0.2))
GUESSED: Final = Design(inclusion_probability=(1.0, 0.2), guess=(0.75, 0.75))
HARDER: Final = (
    ("5% discordant", Design(), None, 0.0),
    ("precision known to 2 points a side", Design(), None, 0.02),
    ("discordant share drifts from 5% to 20%", Design(), 0.20, 0.0),
    ("weights 1 and 5", UNEQUAL, None, 0.0),
    ("weights 1 and 5, rates guessed", GUESSED, None, 0.0),
)


@dataclass(frozen=True)
class Plan:
    """Precision P of the champion, share of its actions that are its own alone, difference of the challenger to P."""

    champion: float
    discordant: float
    difference: float

    @property
    def rates(self) -> tuple[float, float]:
        """Shares of violating content where only the challenger and only the champion act."""
        half = 0.5 * self.difference / self.discordant
        middle = min(self.champion - 0.1, 0.85 - abs(half))
        return middle + half, middle - half

    @property
    def share_of_union(self) -> float:
        """Disagreements among the decisions on which at least one acts."""
        return 2.0 * self.discordant / (1.0 + self.discordant)

    def expected(self) -> list[float]:
        """Shares of the kinds of decision, for `labels_needed`."""
        h, c = (rate * self.share_of_union / 2 for rate in self.rates)
        half = self.share_of_union / 2
        return [h, half - h, 0.0, c, half - c, 0.0, 1.0 - self.share_of_union]


def simulate(
    plan: Plan,
    *,
    runs: int,
    disagreements: int,
    rng: np.random.Generator,
    pi: Sequence[float] = (1.0,),
    drift_to: float | None = None,
) -> Outcomes:
    """Counts after each disagreement, shape (runs, disagreements); strata are equally frequent.

    The plan's discordant share drifts to `drift_to`, and the disagreements' rates with it: the difference stays.
    """
    shape = (runs, disagreements)
    champion = rng.integers(0, 2, shape)
    drift = np.linspace(plan.discordant, drift_to or plan.discordant, disagreements)
    plans = [replace(plan, discordant=float(share)) for share in drift]
    rates = np.array([plan.rates for plan in plans])[np.arange(disagreements), champion]
    benign = rng.random(shape) >= rates
    stratum = rng.integers(0, len(pi), shape)
    sampled = rng.random(shape) < np.asarray(pi)[stratum]
    kind = 6 * stratum + 3 * champion + np.where(sampled, benign, 2)
    cells = (kind[..., None] == np.arange(6 * len(pi))).astype(np.float32)
    counts = cells.cumsum(axis=1).reshape(*shape, len(pi), 6)
    alone = np.array([plan.share_of_union for plan in plans])
    both = (rng.geometric(np.broadcast_to(alone, shape)) - 1).cumsum(axis=1)
    return Outcomes(counts, both)


@dataclass(frozen=True)
class Ended:
    """For each run: whether it blocked, or passed, first, and the labels used by then (all, if neither)."""

    blocked: Bools
    passed: Bools
    labels: Floats

    def cells(self) -> tuple[str, ...]:
        return (
            f"{self.blocked.mean():.3f}",
            f"{self.passed.mean():.3f}",
            f"{self.labels.mean():.0f}",
            f"{np.quantile(self.labels, 0.9):.0f}",
        )


def first(crossed: Bools) -> npt.NDArray[np.int64]:
    """Index of the first True of each run; the length where there is none."""
    return np.where(crossed.any(axis=-1), crossed.argmax(axis=-1), crossed.shape[-1])


def gate(
    found: Outcomes, plan: Plan, *, design: Design, may_pass: bool = True, may_block: bool = True, unsure: float = 0.0
) -> Ended:
    """The gate's rule for one endpoint, precision, at every disagreement; `Gate` itself is compared in the tests.

    The champion's precision is known to lie `unsure` on either side of the truth.
    """
    contrast = precision(plan.champion - unsure, plan.champion + unsure)
    limit = -np.log(ALPHA)
    block = first(log_e_value(found, contrast, design=design, difference=0.0, above=False) >= limit)
    good = first(log_e_value(found, contrast, design=design, difference=-MARGIN, above=True) >= limit)
    looks = found.both.shape[-1]
    block = np.where(may_block, block, looks)
    good = np.where(may_pass, good, looks)
    end = np.minimum(block, good)
    labels = np.take_along_axis(found.labels, np.minimum(end, looks - 1)[:, None], axis=1)[:, 0]
    return Ended(blocked=(block < looks) & (block <= good), passed=good < block, labels=labels)


def peeking(found: Outcomes, plan: Plan, *, after: int = 30) -> Bools:
    """Runs in which a one-sided paired z-test at 5 %, looked at after every label from the 30th on, says worse."""
    tally = found.discordant[..., 0, :]
    gain, loss = 1.0 - plan.champion, -plan.champion
    score = gain * (tally[..., 0] - tally[..., 3]) + loss * (tally[..., 1] - tally[..., 4])
    square = gain**2 * (tally[..., 0] + tally[..., 3]) + loss**2 * (tally[..., 1] + tally[..., 4])
    return np.asarray((score[:, after:] < -1.6449 * np.sqrt(square[:, after:])).any(axis=-1))


def two_samples(plan: Plan, labels: float, *, runs: int, rng: np.random.Generator) -> float:
    """Share of runs in which two independent audits of together so many labels find the challenger worse at 5 %."""
    side = round(labels / 2)
    champion = rng.binomial(side, plan.champion, runs) / side
    challenger = rng.binomial(side, plan.champion + plan.difference, runs) / side
    middle = 0.5 * (champion + challenger)
    return float((champion - challenger > 1.6449 * np.sqrt(2.0 * middle * (1.0 - middle) / side)).mean())


def labels_table(runs: int, disagreements: int, seed: int) -> Table:
    rows = []
    for champion, discordant in ((0.95, 0.02), (0.95, 0.05), (0.95, 0.10), (0.90, 0.02), (0.90, 0.05), (0.90, 0.10)):
        plan = Plan(champion, discordant, -MARGIN)
        rng = np.random.default_rng(seed)
        found = simulate(plan, runs=runs, disagreements=disagreements, rng=rng)
        ended = gate(found, plan, design=Design())
        need = labels_needed(
            plan.expected(), precision(champion, champion), design=Design(), difference=0.0, above=False
        )
        apart = two_sample_labels_needed(champion, champion - MARGIN)
        rows.append(
            (
                f"{champion:.2f} to {champion - MARGIN:.2f}, {discordant:.0%} discordant",
                *ended.cells(),
                f"{need.mean:.0f}",
                f"{need.enough:.0f}",
                f"{paired_labels_needed(*plan.rates, reference=champion):.0f}",
                f"{apart:.0f}",
                f"{two_samples(plan, apart, runs=20 * runs, rng=rng):.3f}",
                f"{apart / np.quantile(ended.labels, 0.9):.0f}",
            )
        )
    return Table(
        title="Launch gate: a regression of one point of precision",
        columns=(
            *("case", "blocked", "passed", "labels", "p90", "planned", "planned p90", "paired, one look"),
            *("two samples", "its power", "times fewer (p90)"),
        ),
        rows=rows,
        notes=(
            f"{runs} runs, at most {disagreements} labels, a look after every label, margin one point, 5 % a side.",
        ),
    )


def quiet_table(runs: int, disagreements: int, seed: int) -> Table:
    rows = []
    for discordant in (0.02, 0.05, 0.10):
        for name, difference in (("equal", 0.0), ("half a point better", 0.005), ("at the margin", -MARGIN)):
            plan = Plan(0.95, discordant, difference)
            found = simulate(plan, runs=runs, disagreements=disagreements, rng=np.random.default_rng(seed))
            told = f"{peeking(found, plan).mean():.3f}"
            rows.append((f"{name}, {discordant:.0%} discordant", *gate(found, plan, design=Design()).cells(), told))
    for name, design, drift_to, unsure in HARDER:
        for difference in (0.0, -MARGIN):
            plan = Plan(0.95, 0.05, difference)
            pi = design.inclusion_probability
            rng = np.random.default_rng(seed)
            found = simulate(plan, runs=runs, disagreements=disagreements, rng=rng, pi=pi, drift_to=drift_to)
            told = f"{peeking(found, plan).mean():.3f}" if len(pi) == 1 else ""
            equal = difference == 0.0
            only = gate(found, plan, design=design, may_pass=not equal, may_block=equal, unsure=unsure)
            both = gate(found, plan, design=design, unsure=unsure)
            case = "equal, only blocks" if equal else "at the margin, only passes"
            rows.append((f"{case}, {name}", *only.cells(), told))
            rows.append((f"{'equal' if equal else 'at the margin'}, {name}", *both.cells(), told))
    return Table(
        title="Launch gate: models that are equal, better, or worse by the margin",
        columns=("case", "blocked", "passed", "labels", "p90", "z-test at every label says worse"),
        rows=rows,
        notes=(
            "Champion's precision .95; other settings as above.",
            "Only blocks, only passes: the other verdict is not looked at, so each runs until the labels end.",
        ),
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Simulate and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--disagreements", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    return show(
        [
            labels_table(told.runs, told.disagreements, told.seed),
            quiet_table(told.runs, told.disagreements, told.seed),
        ]
    )


if __name__ == "__main__":
    begin(run)
