"""A fresh window beside a reference at the same age: as many labels of each as had come when it was as young.

No curve is fitted, so it needs no matured cohort and answers hours after a release. What differs is not precision but
precision among early labels: read the sign and the p-value, not the size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Bools, Floats, Ints, mask
from detectors.delay.arrival_curve import Triangle, triangle
from detectors.delay.exits import observed, remainder, require_squares_of_all, squared
from detectors.delay.kaplan_meier import from_here_on
from detectors.delay.ultimate import total_of
from detectors.estimation import Estimate, hajek


@dataclass(frozen=True, slots=True, eq=False)
class SameAge:
    """One value for each series: the share of violating labels among those that came by the window's age.

    `window_matured` and `reference_matured` are the shares of selected decisions labelled by that age: if they differ,
    delays have changed, and the difference of the shares may be theirs. NaN where a side has no label, or where the
    reference has no cohort as old as one of the window.
    """

    window: Floats
    reference: Floats
    difference: Floats
    standard_error: Floats
    p_value: Floats
    window_matured: Floats
    reference_matured: Floats


def same_age(
    violating: npt.ArrayLike,
    benign: npt.ArrayLike,
    *,
    selected: npt.ArrayLike,
    age: npt.ArrayLike,
    window: npt.ArrayLike,
    reference: npt.ArrayLike,
    square_violating: npt.ArrayLike | None = None,
    square_benign: npt.ArrayLike | None = None,
) -> SameAge:
    """Share of violating labels of `window` minus that of `reference`, both by the ages of the window's cohorts.

    Arrays as for `nowcast`; `window` and `reference` (cohorts,) mark cohorts. A window of several cohorts is matched by
    direct standardisation: for each of its cohorts, of age a and with N decisions selected, the labels that the
    reference's cohorts of at least that age had got by age a, scaled to N decisions. The standard error is pooled, as
    for two equal shares: sqrt(p (1 - p) (1 / n + 1 / m)) with effective sizes by `hajek`'s `interval_n`; the p-value is
    two-sided and normal, for one look and some 10 labels of each verdict on both sides.

    Assumes only that delays given the verdict are those of the reference. It is blind to nothing but smaller: with
    benign labels late, a drop of precision shows less among early labels. Raises ValueError as `nowcast` does.

    >>> found = same_age(
    ...     [[60, 20], [64, 16], [40, 0]], [[5, 15], [6, 14], [14, 0]],
    ...     selected=[100, 100, 80], age=[2, 2, 1], window=[False, False, True], reference=[True, True, False],
    ... )
    >>> round(float(found.window), 3), round(float(found.reference), 3), round(float(found.p_value), 4)
    (0.741, 0.919, 0.0011)
    """
    require_squares_of_all(square_violating=square_violating, square_benign=square_benign)
    verdicts = (
        triangle("violating", violating, square_violating, age),
        triangle("benign", benign, square_benign, age),
    )
    ages, _ = observed(age, verdicts[0].sums.shape[-1])
    cohorts = verdicts[0].sums.shape[-2]
    inside, outside = mask("window", window, cohorts), mask("reference", reference, cohorts)
    if np.any(inside & outside):
        raise ValueError("reference: found a cohort of the window, allowed are other cohorts")
    chosen, _ = squared("selected", selected, None)
    came = verdicts[0].sums.sum(axis=-1) + verdicts[1].sums.sum(axis=-1)
    remainder("selected", chosen, came)
    scale, matched = _matching(chosen, ages, inside, outside, verdicts[0].sums.shape[-1])

    fresh = _share(verdicts, np.where(inside, 1.0, 0.0)[..., None])
    past = _share(verdicts, scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        n, m = fresh.interval_n, np.where(matched, past.interval_n, 0.0)
        known = (n > 0) & (m > 0)
        pooled = (n * fresh.estimate + m * past.estimate) / (n + m)
        error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m))
        difference = np.where(known, fresh.estimate - past.estimate, np.nan)
        alike = (difference == 0.0) & (error == 0.0)
        p_value = np.where(alike, 1.0, 2.0 * scipy.special.ndtr(-np.abs(difference) / error))
        matured = total_of(came, inside) / total_of(chosen, inside)
        past_labels = sum(np.sum(scale * table.sums, axis=(-2, -1)) for table in verdicts)
        past_matured = np.where(matched, past_labels / total_of(chosen, inside), np.nan)
    return SameAge(
        window=fresh.estimate,
        reference=np.where(matched, past.estimate, np.nan),
        difference=difference,
        standard_error=np.where(known, error, np.nan),
        p_value=np.where(known, p_value, np.nan),
        window_matured=matured,
        reference_matured=past_matured,
    )


def _matching(chosen: Floats, ages: Ints, inside: Bools, outside: Bools, bins: int) -> tuple[Floats, Bools]:
    """What a label of a cohort and bin counts for in the reference, (..., cohorts, bins), and whether all matched."""
    possible = np.arange(1, bins + 1)
    of_age = (ages[..., None] == possible) & inside[..., None]
    wanted = np.sum(np.where(of_age, chosen[..., None], 0.0), axis=-2)
    old_enough = (ages[..., None] >= possible) & outside[..., None]
    there = np.sum(np.where(old_enough, chosen[..., None], 0.0), axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(wanted > 0, wanted / there, 0.0)
    finite = np.where(np.isfinite(factor), factor, 0.0)
    # A label in bin d counts towards the ages d + 1 and above that its cohort has reached.
    reached = np.where(old_enough, finite[..., None, :], 0.0)
    return from_here_on(reached), np.all(np.isfinite(factor), axis=-1)


def _share(verdicts: tuple[Triangle, Triangle], scale: Floats) -> Estimate:
    violating, benign = (np.sum(scale * table.sums, axis=(-2, -1)) for table in verdicts)
    violating2, benign2 = (np.sum(scale**2 * table.squares, axis=(-2, -1)) for table in verdicts)
    return hajek(violating, benign, square_violating=violating2, square_benign=benign2)
