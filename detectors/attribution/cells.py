"""The cells that an attribution works on: mergeable sums of two windows over the same crossings of dimensions.

A cell is one combination of values, for example (policy hate, language pt, model v2, policy version 7). Sums of workers
or minutes are added before or by `cells`; nothing here needs a single decision or label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Ints, none_without, nonnegative, nonnegative_squares


class Role(StrEnum):
    """What a change of shares along a dimension means. The order is the order of conditioning."""

    SEGMENT = "segment"
    """where traffic comes from: policy, language, region, modality"""
    VERSION = "version"
    """what decided: model version, threshold"""
    REVIEWER = "reviewer"
    """who judged the decision, and by which rule-book: reviewer group, policy version of the label"""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A name, the names of its values (a code is a position among them), and its role."""

    name: str
    values: tuple[str, ...]
    role: Role = Role.SEGMENT


@dataclass(frozen=True, slots=True, eq=False)
class WindowSums:
    """Sums of one window, arrays of shape (cells,). Build it with `window_sums`, which checks them.

    `positive` and `negative` are sums of w = 1/pi over the labels that arrived, by verdict; the rate is positive /
    (positive + negative). `square_*` are sums of w^2. `mature_*` are the same sums with each label weighted for those
    that have not arrived, w / G(age).
    """

    decisions: Floats
    positive: Floats
    negative: Floats
    square_positive: Floats
    square_negative: Floats
    mature_positive: Floats
    mature_negative: Floats

    @property
    def rate(self) -> float:
        """The rate of the whole window as it is reported; NaN without labels."""
        total = float(self.positive.sum() + self.negative.sum())
        return float(self.positive.sum()) / total if total > 0 else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Two windows over the same distinct cells: `codes` (cells, dimensions), the sums of `reference` and `current`.

    Build it with `cells`, which checks and merges. A cell that a window does not have holds zeros there.
    """

    dimensions: tuple[Dimension, ...]
    codes: Ints
    reference: WindowSums
    current: WindowSums

    def groups(self, *roles: Role) -> Ints:
        """Which group of equal codes, on the dimensions of these roles, each cell belongs to: 0, 1, ... (cells,)."""
        chosen = [place for place, dimension in enumerate(self.dimensions) if dimension.role in roles]
        return distinct_codes(self.codes, chosen)[1]


def window_sums(
    positive: npt.ArrayLike,
    negative: npt.ArrayLike,
    *,
    square_positive: npt.ArrayLike | None = None,
    square_negative: npt.ArrayLike | None = None,
    decisions: npt.ArrayLike | None = None,
    mature_positive: npt.ArrayLike | None = None,
    mature_negative: npt.ArrayLike | None = None,
) -> WindowSums:
    """Check the sums of one window; all arrays have the shape (cells,).

    What is left out: `square_*` are the sums of w (each label counts one, w = 1), `decisions` the labels (no sampling:
    action rate, share of overturned among decided appeals), `mature_*` the sums that arrived (all labels are in).
    `decisions` are added over the dimensions of reviewers: put them into any cell of their segment and version.

    Raises ValueError for sums that are negative or not finite, for shapes that differ, for a cell with labels but no
    mature labels, or with labels but no squares, and the reverse, and for fewer mature labels than arrived.

    >>> window_sums([90.0, 40.0], [10.0, 10.0]).rate.__round__(4)
    0.8667
    """
    yes, no = nonnegative("positive", positive), nonnegative("negative", negative)
    found = WindowSums(
        positive=yes,
        negative=no,
        square_positive=yes if square_positive is None else nonnegative_squares("square_positive", square_positive),
        square_negative=no if square_negative is None else nonnegative_squares("square_negative", square_negative),
        decisions=np.zeros_like(yes) if decisions is None else nonnegative("decisions", decisions),
        mature_positive=yes if mature_positive is None else nonnegative("mature_positive", mature_positive),
        mature_negative=no if mature_negative is None else nonnegative("mature_negative", mature_negative),
    )
    for field in fields(found):
        shape = getattr(found, field.name).shape
        if shape != yes.shape or len(shape) != 1:
            raise ValueError(f"{field.name}: shape {shape}, allowed is (cells,) as of positive, {yes.shape}")
    for name, arrived, needed in (
        ("mature_positive", yes, found.mature_positive),
        ("mature_negative", no, found.mature_negative),
        ("square_positive", yes, found.square_positive),
        ("square_negative", no, found.square_negative),
    ):
        if np.any((arrived > 0) & (needed == 0)):
            place = int(np.flatnonzero((arrived > 0) & (needed == 0))[0])
            raise ValueError(f"{name}: found 0 at position {place} where labels arrived, allowed are sums > 0 there")
        none_without(name, needed, arrived > 0)
    for name, arrived, mature in (
        ("mature_positive", yes, found.mature_positive),
        ("mature_negative", no, found.mature_negative),
    ):
        if np.any(mature < arrived * (1.0 - 1e-9)):
            raise ValueError(f"{name}: found less than arrived, allowed are sums of w / G with G of 1 at most")
    if decisions is None:
        found = WindowSums(**{**_arrays(found), "decisions": found.mature_positive + found.mature_negative})
    return found


def cells(
    dimensions: Sequence[Dimension], codes: npt.ArrayLike, *, reference: WindowSums, current: WindowSums
) -> Cells:
    """Cells from rows: `codes` (rows, dimensions) says which value each row has on each dimension.

    Rows of equal codes are added, and the result is sorted by code, so the order of rows and how sums were split over
    rows do not matter. Raises ValueError for codes that are no integers or outside the values of their dimension, for
    repeated names, for windows with another number of rows, and for labels of a segment and version without decisions.

    >>> language = Dimension("language", ("en", "pt"))
    >>> both = window_sums([9.0, 4.0, 5.0], [1.0, 1.0, 0.0])
    >>> found = cells([language], [[0], [1], [1]], reference=both, current=both)
    >>> found.codes.tolist(), found.current.positive.tolist()
    ([[0], [1]], [9.0, 9.0])
    """
    axes = tuple(dimensions)
    rows = np.asarray(codes)
    if len({axis.name for axis in axes}) < len(axes):
        raise ValueError(f"dimensions: names {[axis.name for axis in axes]}, allowed are distinct names")
    if rows.ndim != 2 or rows.shape[1] != len(axes):
        raise ValueError(f"codes: shape {rows.shape}, allowed is (rows, {len(axes)}), a column for each dimension")
    if rows.size and not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(f"codes: got {rows.dtype}, allowed are integers")
    rows = rows.astype(np.int64)
    for column, axis in enumerate(axes):
        if np.any((rows[:, column] < 0) | (rows[:, column] >= len(axis.values))):
            raise ValueError(f"codes of {axis.name}: found a code outside 0..{len(axis.values) - 1}")
    for name, sums in (("reference", reference), ("current", current)):
        if len(sums.positive) != len(rows):
            raise ValueError(f"{name}: {len(sums.positive)} rows, allowed are as many as codes, {len(rows)}")
    distinct, place = distinct_codes(rows, range(len(axes)))
    merged = Cells(axes, distinct, *(_merged(sums, place, len(distinct)) for sums in (reference, current)))
    group = merged.groups(Role.SEGMENT, Role.VERSION)
    for name, sums in (("reference", merged.reference), ("current", merged.current)):
        labels = np.bincount(group, sums.mature_positive + sums.mature_negative)
        if np.any((labels > 0) & (np.bincount(group, sums.decisions) == 0)):
            raise ValueError(
                f"{name}: labels without decisions in their segment and version, allowed are decisions > 0"
            )
    return merged


def ratio(above: Floats, below: Floats) -> Floats:
    """above / below, and 0 where there is nothing below: broadcasting arrays of sums."""
    found: Floats = np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0)
    return found


def distinct_codes(codes: Ints, chosen: Sequence[int]) -> tuple[Ints, Ints]:
    """The distinct rows of `codes` on some columns, sorted, and which of them each row is.

    >>> [part.tolist() for part in distinct_codes(np.array([[1, 7], [0, 7], [1, 9]]), [0])]
    [[[0], [1]], [1, 0, 1]]
    """
    group = np.zeros(len(codes), dtype=np.int64)
    for place in chosen:
        # Numbered anew after each column: the product of many dimensions' sizes would overflow.
        column = codes[:, place] - codes[:, place].min(initial=0)
        group = np.unique(group * (column.max(initial=0) + 1) + column, return_inverse=True)[1]
    first = np.unique(group, return_index=True)[1]
    return codes[first][:, list(chosen)], group.astype(np.int64)


def _arrays(sums: WindowSums) -> dict[str, Floats]:
    return {field.name: getattr(sums, field.name) for field in fields(sums)}


def _merged(sums: WindowSums, place: Ints, size: int) -> WindowSums:
    return WindowSums(
        **{name: np.bincount(place, array, size).astype(np.float64) for name, array in _arrays(sums).items()}
    )


def collapse(cells: Cells, *names: str) -> Cells:
    """The same windows over fewer dimensions: sums over all that are not named. Raises ValueError for unknown names.

    >>> language, surface = Dimension("language", ("en", "pt")), Dimension("surface", ("feed", "chat"))
    >>> both = window_sums([9.0, 4.0, 5.0], [1.0, 1.0, 0.0])
    >>> fine = cells([language, surface], [[0, 0], [1, 0], [1, 1]], reference=both, current=both)
    >>> collapse(fine, "language").reference.positive.tolist()
    [9.0, 9.0]
    """
    known = [dimension.name for dimension in cells.dimensions]
    if set(names) - set(known):
        raise ValueError(f"names: got {sorted(set(names) - set(known))}, allowed are {known}")
    kept = [place for place, name in enumerate(known) if name in names]
    distinct, place = distinct_codes(cells.codes, kept)
    sums = (_merged(window, place, len(distinct)) for window in (cells.reference, cells.current))
    return Cells(tuple(cells.dimensions[at] for at in kept), distinct, *sums)
