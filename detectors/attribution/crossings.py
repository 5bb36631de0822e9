"""All crossings of values up to an order, as one sparse matrix: sums over a segment are a product with it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from detectors.arrays import Floats, Ints
from detectors.attribution.cells import Cells, Dimension, Role

Segment = tuple[tuple[str, str], ...]
"""(dimension, value) pairs that hold together; () is everything."""


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """Segments in rows, cells in columns of `matrix`; row 0 is everything. Only crossings that occur are there.

    `order` is the number of values that a segment fixes. `segments` names them. `rows` finds a segment's row.
    """

    dimensions: tuple[Dimension, ...]
    matrix: scipy.sparse.csr_matrix
    order: Ints
    segments: tuple[Segment, ...]
    rows: Mapping[Segment, int]

    def sums(self, *values: Floats) -> Floats:
        """Sums of cells over each segment, (arrays, segments)."""
        return np.ascontiguousarray((self.matrix @ np.stack(values, axis=1)).T)

    def rows_only(self, *rows: int) -> Crossings:
        """The same with these rows only, in this order."""
        segments = tuple(self.segments[row] for row in rows)
        places = {segment: place for place, segment in enumerate(segments)}
        return Crossings(self.dimensions, self.matrix[list(rows)], self.order[list(rows)], segments, places)

    def cells_of(self, row: int) -> Ints:
        """The cells of a segment."""
        return self.matrix.indices[self.matrix.indptr[row] : self.matrix.indptr[row + 1]].astype(np.int64)

    def fixing(self, *roles: Role) -> Ints:
        """How many dimensions of these roles each segment fixes."""
        names = {dimension.name for dimension in self.dimensions if dimension.role in roles}
        return np.array([sum(name in names for name, _ in segment) for segment in self.segments])

    def without(self, role: Role) -> Ints:
        """The row of each segment once its values on dimensions of this role are dropped."""
        names = {dimension.name for dimension in self.dimensions if dimension.role == role}
        return np.array([self.rows[tuple(pair for pair in each if pair[0] not in names)] for each in self.segments])


def crossings(cells: Cells, *, order: int = 3) -> Crossings:
    """Every crossing of up to `order` values that occurs in `cells`, coarse before fine, each by its dimensions' order.

    Memory: one entry for each cell and each set of up to `order` dimensions, 41 for 6 dimensions and order 3.
    Raises ValueError for an order below 1.

    >>> from detectors.attribution.cells import cells, window_sums
    >>> axes = [Dimension("language", ("en", "pt")), Dimension("surface", ("feed", "chat"))]
    >>> both = window_sums([9.0, 4.0, 5.0], [1.0, 1.0, 0.0])
    >>> found = crossings(cells(axes, [[0, 0], [1, 0], [1, 1]], reference=both, current=both), order=2)
    >>> len(found.segments), found.segments[2], found.sums(both.positive)[0, :3].tolist()
    (8, (('language', 'pt'),), [18.0, 9.0, 9.0])
    """
    if order < 1:
        raise ValueError(f"order: got {order}, allowed is at least 1")
    count = len(cells.codes)
    rows, segments, sizes = [np.zeros(count, dtype=np.int64)], list[Segment]([()]), [0]
    shape = tuple(len(dimension.values) for dimension in cells.dimensions)
    for size in range(1, min(order, len(shape)) + 1):
        for chosen in itertools.combinations(range(len(shape)), size):
            axes = [cells.dimensions[place] for place in chosen]
            extent = tuple(shape[place] for place in chosen)
            key = np.ravel_multi_index(tuple(cells.codes[:, place] for place in chosen), extent)
            distinct, place_of = np.unique(key, return_inverse=True)
            rows.append(place_of.reshape(-1) + len(segments))
            for codes in zip(*(axis.tolist() for axis in np.unravel_index(distinct, extent)), strict=True):
                segments.append(tuple((axis.name, axis.values[code]) for axis, code in zip(axes, codes, strict=True)))
            sizes += [size] * len(distinct)
    place, cell = np.concatenate(rows), np.tile(np.arange(count), len(rows))
    matrix = scipy.sparse.csr_matrix((np.ones(len(place)), (place, cell)), shape=(len(segments), count))
    return Crossings(
        dimensions=cells.dimensions,
        matrix=matrix,
        order=np.array(sizes),
        segments=tuple(segments),
        rows={segment: row for row, segment in enumerate(segments)},
    )
