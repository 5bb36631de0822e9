"""Exits by delay bin: how many decisions got their label in each bin, and how many were last seen still waiting.

This is all that Kaplan-Meier, Aalen-Johansen and IPCW need, and it is mergeable: the exits of workers, hours and
segments add up. Bins are in order of delay; within a bin labels come first, then the decisions that leave unlabelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats, Ints, nonnegative, nonnegative_squares, single, some_with

_ROUNDING: Final = 1e-9
"""A difference of sums that are equal but for rounding may be up to this share of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Exits:
    """`events` (..., causes, bins) and `censored` (..., bins): sums of weights; the squares are the sums of w^2.

    `times` (bins,) is the delay that a bin stands for, in the caller's unit, or the bin's number.
    """

    times: Floats
    events: Floats
    censored: Floats
    square_events: Floats
    square_censored: Floats


def exits_from_observations(
    delay: npt.ArrayLike, cause: npt.ArrayLike, *, causes: int = 1, weight: npt.ArrayLike = 1.0
) -> Exits:
    """Exits of single decisions, with a bin for each distinct delay.

    `delay` (n,) is the delay of the label, or the age at which a decision without one was last seen. `cause` (n,) is 0
    for a decision without a label and 1 to `causes` for the kind of its label (1 overturned, 2 upheld, for one).
    `weight` is 1 / inclusion probability, (n,) or one number.

    Raises ValueError for a negative delay or weight, for NaN and for a cause that is not a whole number in 0..causes.

    >>> exits = exits_from_observations([2, 1, 3, 2], [1, 2, 0, 0], causes=2)
    >>> exits.times.tolist(), exits.events.tolist(), exits.censored.tolist()
    ([1.0, 2.0, 3.0], [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], [0.0, 1.0, 1.0])
    """
    durations, kinds, weights = single(
        delay=nonnegative("delay", delay), cause=_causes(cause, causes), weight=nonnegative("weight", weight)
    )
    times, bins = np.unique(durations, return_inverse=True)
    cells = kinds.astype(np.int64) * times.size + bins
    first, second = (
        np.bincount(cells, squares, (causes + 1) * times.size).astype(np.float64).reshape(causes + 1, -1)
        for squares in (weights, weights**2)
    )
    return Exits(times=times, events=first[1:], censored=first[0], square_events=second[1:], square_censored=second[0])


def exits_from_cohorts(
    events: npt.ArrayLike,
    entries: npt.ArrayLike,
    age: npt.ArrayLike,
    *,
    square_events: npt.ArrayLike | None = None,
    square_entries: npt.ArrayLike | None = None,
) -> Exits:
    """Exits of cohorts of decisions (one hour's or day's each), each seen for its own number of delay bins.

    `events` (..., causes, cohorts, bins) is the sum of weights of the labels that came in each bin, `entries`
    (..., cohorts) that of all decisions of the cohort that wait for one, `age` (..., cohorts) the number of bins that
    have passed in full. What has not come by then is censored in the last bin seen; a cohort of age 0 says nothing.
    The squares are the sums of w^2 and default to the sums themselves, which is right for counts only.

    Raises ValueError for labels in a bin that has not passed, for more labels than entries, for ages out of range, for
    axes that are not there, and for squares of only one of the two or of 0 where the sum is not.

    >>> exits = exits_from_cohorts([[[3, 1], [2, 0]]], [5, 6], [2, 1])
    >>> exits.events.tolist(), exits.censored.tolist()
    ([[5.0, 1.0]], [4.0, 1.0])
    """
    require_squares_of_all(square_events=square_events, square_entries=square_entries)
    came, came2 = squared("events", events, square_events)
    require_axes("events", came, "causes", "cohorts", "bins")
    waits, waits2 = squared("entries", entries, square_entries)
    require_axes("entries", waits, "cohorts")
    ages, seen = observed(age, came.shape[-1])
    require_passed("events", came.sum(axis=-3), seen)
    last = np.arange(came.shape[-1]) == ages[..., None] - 1
    pending, pending2 = (
        remainder("events", total, part.sum(axis=(-3, -1))) for total, part in ((waits, came), (waits2, came2))
    )
    # What rounding leaves where all labels have come is no decision that still waits.
    left = pending > _ROUNDING * waits
    some_with("square_entries", pending2, left)
    pending, pending2 = (np.where(left, part, 0.0) for part in (pending, pending2))
    return Exits(
        times=np.arange(came.shape[-1], dtype=np.float64),
        events=came.sum(axis=-2),
        censored=(pending[..., None] * last).sum(axis=-2),
        square_events=came2.sum(axis=-2),
        square_censored=(pending2[..., None] * last).sum(axis=-2),
    )


def require_squares_of_all(**squares: npt.ArrayLike | None) -> None:
    """ValueError for squares of some sums and not of others: these would be taken for counts beside sums of weights.

    >>> require_squares_of_all(square_events=[4.0], square_censored=None)
    Traceback (most recent call last):
    ValueError: square_censored: missing beside square_events, allowed are the squares of all sums or of none
    """
    given = [name for name, values in squares.items() if values is not None]
    missing = [name for name, values in squares.items() if values is None]
    if given and missing:
        raise ValueError(
            f"{', '.join(missing)}: missing beside {', '.join(given)}, allowed are the squares of all sums or of none"
        )


def squared(name: str, sums: npt.ArrayLike, squares: npt.ArrayLike | None) -> tuple[Floats, Floats]:
    """Sums of weights with their sums of squares; without the latter the weights are 1 and both are the same.

    ValueError for shapes that differ, and for squares of 0 where the sum is not: an estimate without any error.

    >>> squared("events", [2.0], None)[1].tolist()
    [2.0]
    """
    first = nonnegative(name, sums)
    second = first if squares is None else nonnegative_squares(f"square_{name}", squares)
    if first.shape != second.shape:
        raise ValueError(f"square_{name}: shape {second.shape}, allowed is that of {name}, {first.shape}")
    some_with(f"square_{name}", second, first > 0)
    return first, second


def require_axes(name: str, array: Floats, *axes: str) -> None:
    """ValueError for an array without these last axes.

    >>> require_axes("events", np.array(3.0), "bins")
    Traceback (most recent call last):
    ValueError: events: got shape (), allowed is (..., bins)
    """
    if array.ndim < len(axes):
        raise ValueError(f"{name}: got shape {array.shape}, allowed is (..., {', '.join(axes)})")


def observed(age: npt.ArrayLike, bins: int) -> tuple[Ints, Bools]:
    """Ages as whole numbers (..., cohorts), and which bins (..., cohorts, bins) have passed in full by then.

    >>> observed([1, 2], 2)[1].tolist()
    [[True, False], [True, True]]
    """
    ages = nonnegative("age", age)
    if np.any((ages > bins) | (ages != np.floor(ages))):
        raise ValueError(f"age: found a number other than 0..{bins}, allowed are whole delay bins that have passed")
    whole = ages.astype(np.int64)
    return whole, np.arange(bins) < whole[..., None]


def require_passed(name: str, sums: Floats, seen: Bools) -> None:
    """Refuse labels in bins that have not passed in full: half a bin would count as a bin with few labels."""
    if np.any((sums > 0) & ~seen):
        raise ValueError(f"{name}: found labels in a delay bin that has not passed, allowed are bins below the age")


def remainder(name: str, total: Floats, part: Floats) -> Floats:
    """total - part, which is never negative but for rounding.

    >>> remainder("events", np.array(3.0), np.array(1.0)).tolist()
    2.0
    """
    rest = total - part
    if np.any(rest < -_ROUNDING * (1.0 + total)):
        raise ValueError(f"{name}: found more labels than decisions that wait for one in the same cohort")
    return np.maximum(rest, 0.0)


def _causes(cause: npt.ArrayLike, causes: int) -> Floats:
    kinds = nonnegative("cause", cause)
    if np.any((kinds > causes) | (kinds != np.floor(kinds))):
        raise ValueError(f"cause: found a number other than 0..{causes}, allowed are 0 (no label) and the causes")
    return kinds
