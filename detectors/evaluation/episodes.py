"""Episodes: consecutive alarms are one message to whoever is on call, and count once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Episodes:
    """First and last alarm of each episode and how many it has; arrays of shape (episodes,), oldest first."""

    first: Ints
    last: Ints
    alarms: Ints


def episodes(alarms: npt.ArrayLike, *, merge_within: int = 1) -> Episodes:
    """Alarms no more than `merge_within` observations after the one before belong to its episode.

    `alarms` are positions (integers >= 0, shape (n,), any order; one named twice counts once). With `merge_within` 1
    only an unbroken run of alarms is one episode: right for a detector that stays in alarm. Give one that restarts
    after each alarm the time within which nobody would be told again. An episode that goes on over a change hides it:
    nothing new is said. Our word and River's (`river.drift.evaluate.episode_recall`), but River merges no alarms.

    Raises ValueError for positions that are no whole numbers >= 0 and for `merge_within` < 1.

    >>> found = episodes([40, 41, 42, 90, 95], merge_within=5)
    >>> found.first.tolist(), found.last.tolist(), found.alarms.tolist()
    ([40, 90], [42, 95], [3, 2])
    """
    if merge_within < 1:
        raise ValueError(f"merge_within: got {merge_within!r}, allowed are whole numbers >= 1")
    place = positions("alarms", alarms)
    begins = np.ones(len(place), dtype=np.bool_)
    begins[1:] = np.diff(place) > merge_within
    at = np.flatnonzero(begins)
    ends = np.append(at[1:], len(place)) - 1 if len(place) else at
    return Episodes(first=place[at], last=place[ends], alarms=ends - at + 1)


def positions(name: str, values: npt.ArrayLike, *, length: int | None = None) -> Ints:
    """Distinct positions in a stream, sorted. ValueError for other than whole numbers within [0, `length`).

    >>> positions("changes", [20, 10, 20], length=30).tolist()
    [10, 20]
    >>> positions("changes", [20, 30], length=30)
    Traceback (most recent call last):
    ValueError: changes: found 30 at position 1, allowed are whole numbers within [0, 30)
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name}: got an array of shape {array.shape}, allowed is (n,)")
    allowed = "whole numbers >= 0" if length is None else f"whole numbers within [0, {length})"
    if not array.size:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name}: found {array.dtype} values, allowed are {allowed}")
    usable = (array >= 0) & (array < (np.iinfo(np.int64).max if length is None else length))
    if not usable.all():
        place = int(np.argmin(usable))
        raise ValueError(f"{name}: found {int(array[place])} at position {place}, allowed are {allowed}")
    return np.unique(array.astype(np.int64))
