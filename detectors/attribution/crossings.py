"""All crossings of values up to an order, as one sparse matrix: sums over a segment are a product with it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import scipy

from detectors.arrays import Floats, Ints
from detectors.attribution.cells import Cells, Dimension, Role, distinct_codes

Segment = tuple[tuple[str, str], ...]
"""(dimension, value) pairs that hold together; () is everything."""


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """Segments in rows, cells in columns of `matrix`; row 0 is everything. Only crossings that occur are there.

    `values` (rows, dimensions) holds the code that a segment fixes on each dimension, -1 where it fixes none. Sums can
    be kept apart by stratum, `strata` (cells,) = 0 .. count - 1: a matrix with as many entries, not as many times more.
    """

    dimensions: tuple[Dimension, ...]
    matrix: scipy.sparse.csr_matrix
    values: Ints
    strata: Ints

    @property
    def order(self) -> Ints:
        """The number of values that each segment fixes."""
        counts: Ints = np.sum(self.values >= 0, axis=1, dtype=np.int64)
        return counts

    def segment(self, row: int) -> Segment:
        """The name of a row."""
        pairs = zip(self.dimensions, self.values[row].tolist(), strict=True)
        return tuple((dimension.name, dimension.values[code]) for dimension, code in pairs if code >= 0)

    def sums(self, *values: Floats) -> Floats:
        """Sums of cells over each segment, (arrays, segments)."""
        return np.ascontiguousarray((self.matrix @ np.stack(values, axis=1)).T)

    def sums_by_stratum(self, *values: Floats) -> Floats:
        """Sums of cells over each segment and stratum, (arrays, segments, strata)."""
        count, segments = int(self.strata.max(initial=0)) + 1, self.matrix.shape[0]
        rows = np.repeat(np.arange(segments), np.diff(self.matrix.indptr)) * count + self.strata[self.matrix.indices]
        table = np.stack([np.bincount(rows, each[self.matrix.indices], segments * count) for each in values])
        return table.reshape(len(values), segments, count).astype(np.float64)

    def rows_only(self, *rows: int) -> Crossings:
        """The same with these rows only, in this order."""
        return Crossings(self.dimensions, self.matrix[list(rows)], self.values[list(rows)], self.strata)

    def cells_of(self, row: int) -> Ints:
        """The cells of a segment."""
        return self.matrix.indices[self.matrix.indptr[row] : self.matrix.indptr[row + 1]].astype(np.int64)

    def fixing(self, role: Role) -> Ints:
        """How many dimensions of this role each segment fixes."""
        counts: Ints = np.sum(self.values[:, self._of(role)] >= 0, axis=1, dtype=np.int64)
        return counts

    def without(self, role: Role) -> Ints:
        """The row of each segment once its values on dimensions of this role are dropped."""
        wider = self.values.copy()
        wider[:, self._of(role)] = -1
        own, dropped = np.split(distinct_codes(np.concatenate([self.values, wider]), range(len(self.dimensions)))[1], 2)
        row = np.empty(len(own), dtype=np.int64)
        row[own] = np.arange(len(own))
        return row[dropped]

    def _of(self, role: Role) -> list[int]:
        return [place for place, dimension in enumerate(self.dimensions) if dimension.role is role]


def crossings(cells: Cells, *, order: int = 3, strata: Ints | None = None) -> Crossings:
    """Every crossing of up to `order` values that occurs in `cells`, coarse before fine, each by its dimensions' order.

    Memory: one entry for each cell and each set of up to `order` dimensions, 41 for 6 dimensions and order 3.
    Raises ValueError for an order below 1.

    >>> from detectors.attribution.cells import cells, window_sums
    >>> axes = [Dimension("language", ("en", "pt")), Dimension("surface", ("feed", "chat"))]
    >>> both = window_sums([9.0, 4.0, 5.0], [1.0, 1.0, 0.0])
    >>> found = crossings(cells(axes, [[0, 0], [1, 0], [1, 1]], reference=both, current=both), order=2)
    >>> found.matrix.shape, found.segment(2), found.sums(both.positive)[0, :3].tolist()
    ((8, 3), (('language', 'pt'),), [18.0, 9.0, 9.0])
    """
    if order < 1:
        raise ValueError(f"order: got {order}, allowed is at least 1")
    count, axes = cells.codes.shape
    rows, values, size = [np.zeros(count, dtype=np.int64)], [np.full((1, axes), -1, dtype=np.int64)], 1
    for chosen in _sets(axes, order):
        distinct, group = distinct_codes(cells.codes, chosen)
        rows.append(group + size)
        fixed = np.full((len(distinct), axes), -1, dtype=np.int64)
        fixed[:, list(chosen)] = distinct
        values.append(fixed)
        size += len(distinct)
    place, cell = np.concatenate(rows), np.tile(np.arange(count), len(rows))
    matrix = scipy.sparse.csr_matrix((np.ones(len(place)), (place, cell)), shape=(size, count))
    return Crossings(
        dimensions=cells.dimensions,
        matrix=matrix,
        values=np.concatenate(values),
        strata=np.zeros(count, dtype=np.int64) if strata is None else strata,
    )


def _sets(dimensions: int, order: int) -> list[tuple[int, ...]]:
    sizes = range(1, min(order, dimensions) + 1)
    return [chosen for size in sizes for chosen in itertools.combinations(range(dimensions), size)]
