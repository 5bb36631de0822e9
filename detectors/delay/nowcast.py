"""Nowcast: precision of a window whose labels are still arriving, with how much of them has come.

Labels that come first are not like those that come last: if overturns take longer than confirmations, a fresh window
looks better than it is. The age of a decision alone cannot correct that; the arrival curve of each verdict can.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Ints, mask, require_fraction
from detectors.delay.arrival_curve import triangle
from detectors.delay.bounds import bounds
from detectors.delay.exits import observed, remainder, require_squares_of_all, squared
from detectors.delay.ultimate import student_factor, total_of, ultimate
from detectors.intervals import wilson


class Unidentified(IntEnum):
    """Why a nowcast has no estimate; the bounds hold all the same."""

    IDENTIFIED = 0
    NO_LABELS = 1
    """No label of the window has come."""
    NO_MATURED_COHORT = 2
    """No cohort is as old as the last bin: how many labels are still to come is not known."""
    FEW_MATURED_LABELS = 3
    """The matured cohorts hold too few labels of one verdict to know its delay."""
    NOT_YET_ARRIVING = 4
    """At the age of some cohort of the window, labels of one verdict have never come so early."""
    NEVER_LABELLED = 5
    """Too large a share of the matured cohorts got no label: what was not labelled is not like what was."""


@dataclass(frozen=True, slots=True, eq=False)
class Nowcast:
    """Arrays of one shape, a series each. `estimate` with its interval is NaN where `reason` is not IDENTIFIED.

    `matured` is the share of the window's labels that have come and `never_labelled` that of the matured cohorts'
    decisions without one. `lower_bound` and `upper_bound` hold whatever the missing labels say, with the sampling
    error of the interval's confidence. `completeness` is the labels that are to come in the end, by the estimate,
    over the decisions selected: 1 if delays are as before; below 1 in a backlog, which alone does not bias `estimate`.
    A cohort of age 0 has no label yet: it counts in `matured` and in the bounds only.
    `weight_` and `square_` are sums over the window's labels of u = w / G and of u^2, to add up over strata; they
    leave out that G is estimated. `interval_n` does not: it is the effective sample size of the interval.
    """

    estimate: Floats
    variance: Floats
    lower: Floats
    upper: Floats
    reason: Ints
    matured: Floats
    lower_bound: Floats
    upper_bound: Floats
    never_labelled: Floats
    completeness: Floats
    interval_n: Floats
    weight_violating: Floats
    weight_benign: Floats
    square_violating: Floats
    square_benign: Floats


def nowcast(
    violating: npt.ArrayLike,
    benign: npt.ArrayLike,
    *,
    selected: npt.ArrayLike,
    age: npt.ArrayLike,
    window: npt.ArrayLike,
    square_violating: npt.ArrayLike | None = None,
    square_benign: npt.ArrayLike | None = None,
    square_selected: npt.ArrayLike | None = None,
    confidence: float = 0.95,
    least_matured: float = 5.0,
    most_never_labelled: float = 0.02,
) -> Nowcast:
    """Precision = V / (V + B) with V = sum over labels w / G_violating(age), and B likewise for benign ones.

    `violating`, `benign` (..., cohorts, bins): sums of w = 1 / pi of the labels of each cohort (decisions of an hour, a
    day) that came in each delay bin; `selected` (..., cohorts): the sum of w of all decisions chosen for review, with
    a label or without. The squares, of all sums or of none, are the sums of w^2; without them weights are 1. `age`
    (..., cohorts): bins that have passed in full. `window` (cohorts,): True for the cohorts reported on; all cohorts
    tell of delays.

    G_k is the `arrival_curve` of verdict k from all cohorts (u = w / G is the weight 1 / (pi G(age)), by verdict). The
    variance of logit(estimate) is the sum over all labels of w^2 times their squared influence, on V and B and on both
    curves; the interval is Wilson's on the effective sample size that it implies, where the weights of each verdict are
    shrunk by one label of its usual weight, so that a window without a benign label yet knows how heavy one would be.

    Assumptions: given the verdict, delays do not drift with decision time, and a selected decision lacks a label only
    because it is late. Precision itself may move. A backlog that slows both verdicts alike cancels. Not robust to
    violating labels alone becoming slower: compare `completeness`, and `same_age`. With score-dependent review the
    weights correct for the sample; delays may depend on the score, if its distribution by verdict does not move.

    By simulation (tests/studies/delay.py: delay by verdict and score, review by score, n from 50 to 5000, precision
    from .5 to .99 and not that of the reference, a third to nine tenths of the labels there) 95 % intervals cover 93 to
    97 % in all cells, and the plain weighted share of the labels that have come down to 0 %. Why not Aalen-Johansen on
    old and new decisions together: it takes the mix of labels as equal in all cohorts, and so reports the reference's
    precision just when the new one differs. With a reference smaller than the window and nothing half way, coverage
    falls to 92 %, and to 89 % with fewer than 10 labels of a verdict. Where 10 % of the benign labels alone are held
    up, the bias is +.017 at .8.

    The youngest cohorts weigh most: leave those out of the window of whose labels hardly any have come. A cohort that
    is as old as the last bin needs no curve.

    Where not identified (`Unidentified`) only the bounds are given: V_seen / N and (V_seen + not yet labelled) / N,
    N = selected. `least_matured`: effective number of labels of each verdict in cohorts as old as the last bin;
    `most_never_labelled`: share of those cohorts' decisions without a label that is still taken for none. With 1 the
    estimate is the precision among decisions that get a label at all.

    Source: Kalbfleisch and Lawless 1989, JASA 84 (right truncation); Jewell et al. 2007, Stat. Med. 26 (the shares of
    competing outcomes). The interval is ours. Holds at one look, like Wilson's.
    Raises ValueError for numbers that are negative or not finite, squares of only some sums or of 0 where the sum is
    not, labels in bins that have not passed, more labels than selected, a `window` that is no mask of the cohorts, and
    levels out of range.

    >>> found = nowcast(
    ...     [[[60, 20], [64, 16], [40, 0]]], [[[5, 15], [6, 14], [4, 0]]],
    ...     selected=[[100, 100, 80]], age=[2, 2, 1], window=[False, False, True],
    ... )
    >>> found.estimate.round(3).tolist(), found.lower.round(3).tolist(), found.upper.round(3).tolist()
    ([0.78], [0.543], [0.914])
    >>> found.matured.tolist(), found.lower_bound.round(3).tolist(), found.upper_bound.round(3).tolist()
    ([0.55], [0.393], [0.98])
    """
    require_fraction("confidence", confidence)
    if not least_matured > 1.0:
        raise ValueError(f"least_matured: got {least_matured!r}, allowed are numbers above 1")
    if not 0.0 <= most_never_labelled <= 1.0:
        raise ValueError(f"most_never_labelled: got {most_never_labelled!r}, allowed is 0 to 1")
    require_squares_of_all(
        square_violating=square_violating, square_benign=square_benign, square_selected=square_selected
    )
    verdicts = (
        triangle("violating", violating, square_violating, age),
        triangle("benign", benign, square_benign, age),
    )
    ages, _ = observed(age, verdicts[0].sums.shape[-1])
    inside = mask("window", window, verdicts[0].sums.shape[-2])
    chosen, chosen2 = squared("selected", selected, square_selected)
    came = verdicts[0].sums.sum(axis=-1) + verdicts[1].sums.sum(axis=-1)
    waiting = remainder("selected", chosen, came)
    chosen, chosen2 = (np.broadcast_to(part, waiting.shape) for part in (chosen, chosen2))
    ages = np.broadcast_to(ages, waiting.shape)

    mature = ages == verdicts[0].sums.shape[-1]
    violating_end, benign_end = (ultimate(table, ages, inside, mature, chosen) for table in verdicts)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = violating_end.total + benign_end.total
        estimate = violating_end.total / total
        both = estimate * (1.0 - estimate)
        mean_weight = (violating_end.square + benign_end.square) / total
        own = (1.0 - estimate) * violating_end.weight_of_a_label(mean_weight)
        own = own + estimate * benign_end.weight_of_a_label(mean_weight)
        curves = np.where(both > 0, violating_end.variance_of_curve + benign_end.variance_of_curve, 0.0)
        doubt = student_factor(own / (total * both), violating_end, benign_end, confidence)
        interval_n = 1.0 / (own / total + both * curves) / np.where(both > 0, doubt, 1.0)
        spread = (1.0 - estimate) ** 2 * violating_end.square + estimate**2 * benign_end.square
        variance = spread / total**2 + both**2 * curves
        in_window = total_of(chosen, inside)
        never = total_of(waiting, mature) / total_of(chosen, mature)
        matured = total_of(came, inside) / in_window
        completeness = total / total_of(chosen, inside & (ages > 0))
    matured_n = np.minimum(violating_end.matured_n, benign_end.matured_n)
    waits = np.any(inside & ~mature & (chosen > 0), axis=-1)
    reason = np.select(
        [
            total_of(came, inside) == 0,
            ~np.any(mature & (chosen > 0), axis=-1),
            never > most_never_labelled,
            waits & (matured_n < least_matured),
            violating_end.not_arriving | benign_end.not_arriving,
        ],
        [
            Unidentified.NO_LABELS,
            Unidentified.NO_MATURED_COHORT,
            Unidentified.NEVER_LABELLED,
            Unidentified.FEW_MATURED_LABELS,
            Unidentified.NOT_YET_ARRIVING,
        ],
        Unidentified.IDENTIFIED,
    ).astype(np.int64)
    known = reason == Unidentified.IDENTIFIED
    interval_n = np.where(known, interval_n, np.nan)
    estimate = np.where(known, estimate, np.nan)
    interval = wilson(estimate * interval_n, interval_n, confidence=confidence)
    lower_bound, upper_bound = bounds(verdicts, chosen, chosen2, inside, confidence)
    return Nowcast(
        estimate=estimate,
        variance=np.where(known, variance, np.nan),
        lower=interval.lower,
        upper=interval.upper,
        reason=reason,
        matured=matured,
        lower_bound=lower_bound,
        upper_bound=upper_bound,
        never_labelled=never,
        completeness=np.where(known, completeness, np.nan),
        interval_n=interval_n,
        weight_violating=np.where(known, violating_end.total, np.nan),
        weight_benign=np.where(known, benign_end.total, np.nan),
        square_violating=np.where(known, violating_end.square, np.nan),
        square_benign=np.where(known, benign_end.square, np.nan),
    )
