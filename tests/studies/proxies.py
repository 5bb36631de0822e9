"""Estimates of precision by proxies on one simulated stream: bias, coverage and width, with and without concept drift.

Actioned decisions have a score f; reviewers see high scores more often. In the reference P(violating | f) = f; under
concept drift it is lower and the scores stay as they are, which CBPE cannot see. Truth is the share violating among the
decisions of each window. Users appeal wrong actions more often than right ones, and appeals are judged rightly.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

import numpy as np

from detectors.arrays import Floats
from detectors.estimation import hajek
from detectors.feedback import appeal_shares, appeals_with_audit
from detectors.intervals import wilson
from detectors.label_free import calibration_gap, cbpe, isotonic_from_labels
from detectors.prediction_powered import Gate, difference, proxy_sums_from_labels
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 60 --decisions 800"
Z: Final = 1.959964


def measure(*, drift: float, runs: int, decisions: int, seed: int) -> Table:
    """One table: `drift` is taken off the chance of every actioned item to be violating."""
    rng = np.random.default_rng(seed)
    past = rng.beta(6, 2, 50_000)
    calibrated = isotonic_from_labels(past.round(2), rng.random(past.size) < past)
    f = rng.beta(6, 2, (runs, decisions))
    chance = np.clip(f - drift, 0.0, 1.0)
    y = rng.random(f.shape) < chance
    truth = y.mean(axis=1)
    pi = 0.03 + 0.25 * f**3
    seen = rng.random(f.shape) < pi
    w = seen / pi
    found = hajek(
        np.sum(w * y, axis=1),
        np.sum(w * ~y, axis=1),
        square_violating=np.sum(w * w * y, axis=1),
        square_benign=np.sum(w * w * ~y, axis=1),
    )
    rows: list[tuple[str, ...]] = []

    def add(name: str, estimate: Floats, lower: Floats, upper: Floats, *, interval: bool = True) -> None:
        covered = np.mean((lower <= truth) & (truth <= upper))
        rows.append(
            (
                name,
                f"{np.nanmean(estimate - truth):+.4f}",
                f"{np.nanstd(estimate - truth):.4f}",
                f"{covered:.3f}" if interval else "",
                f"{np.nanmean(upper - lower):.3f}" if interval else "",
            )
        )

    reviewed, violating = seen.sum(axis=1), (seen & y).sum(axis=1)
    plain = wilson(violating, reviewed)
    add("naive mean of the reviewed", violating / reviewed, plain.lower, plain.upper)
    weighted = wilson(found.estimate * found.interval_n, found.interval_n)
    add("Hajek", found.estimate, weighted.lower, weighted.upper)
    proxy = calibrated(f)
    sums = proxy_sums_from_labels(y, proxy, inclusion_probability=pi, labelled=seen)
    tuned = difference(sums)
    for name, powered in (("AIPW (lambda = 1)", difference(sums, proxy_weight=1.0)), ("PPI++ with gate", tuned)):
        half = Z * np.sqrt(powered.variance)
        add(name, powered.estimate, powered.estimate - half, powered.estimate + half)
    flagless = cbpe(np.clip(proxy, 0.0, 1.0), np.ones_like(f), not_actioned=np.zeros_like(f)).precision
    add("CBPE (no labels)", flagless, flagless, flagless, interval=False)

    appealed = rng.random(f.shape) < np.where(y, 0.03, 0.30)
    appeals, overturned = appealed.sum(axis=1), (appealed & ~y).sum(axis=1)
    shares = appeal_shares(decisions, appeals, overturned=overturned)
    add("1 - overturned share of appeals", 1 - shares.overturned_of_decided, truth, truth, interval=False)
    add("1 - overturned share of actions", 1 - shares.overturned_of_actioned, truth, truth, interval=False)
    middle = (shares.precision_lower + shares.precision_upper) / 2
    add("bounds from appeals alone", middle, shares.precision_lower, shares.precision_upper)
    v = w * ~appealed
    rest = hajek(
        np.sum(v * ~y, axis=1),
        np.sum(v * y, axis=1),
        square_violating=np.sum(v * v * ~y, axis=1),
        square_benign=np.sum(v * v * y, axis=1),
    )
    both = appeals_with_audit(
        decisions, appeals, overturned=overturned, audited_error=rest.estimate, audited_variance=rest.variance
    )
    half = Z * np.sqrt(both.variance)
    add("appeals with audit of the rest", both.precision, both.precision - half, both.precision + half)

    gap = calibration_gap(
        flagless, found.estimate, audited_variance=found.estimate * (1 - found.estimate) / found.interval_n
    )
    used = np.mean(tuned.gate == Gate.PREDICTION_POWERED)
    return Table(
        title=f"Precision {truth.mean():.3f}, " + (f"concept drift of {drift:g}" if drift else "no drift"),
        columns=("estimate", "bias", "sd of error", "coverage of 95 %", "width"),
        rows=rows,
        notes=(
            f"{runs} windows of {decisions} actions, {reviewed.mean():.0f} reviewed each.",
            f"The gate let the proxy in in {used:.1%} of them.",
            f"The gap CBPE - audit ({np.nanmean(gap.gap):+.3f}) was significant in {gap.significant.mean():.1%}.",
            f"A gap of {np.nanmean(gap.least_visible):.3f} is seen half the time.",
            "Of the bounds from appeals alone the bias is that of their middle, which nobody should report.",
        ),
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--decisions", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=20)
    told = parser.parse_args(arguments)
    return show(measure(drift=drift, runs=told.runs, decisions=told.decisions, seed=told.seed) for drift in (0.0, 0.1))


if __name__ == "__main__":
    begin(run)
