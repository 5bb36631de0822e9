"""Many charts of one kind, updated in one call: arrays of states, parameters of each chart, batches in any form.

Each chart says what the single chart of the same parameters says, bit for bit. Families are made by `cusum_family`,
`bernoulli_cusum_family`, `poisson_cusum_family` and `ewma_family`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats, Ints, finite
from detectors.contract import Spec, StateMismatch, require_observations

State = tuple[npt.NDArray[Any], ...]

VERSION: Final = 1
"""Of the snapshots: a change of what their arrays mean raises it."""

RUN: Final = 1.5
"""A run along one chart costs about so many steps across charts (each some tens of microseconds and the arithmetic)."""


class Arithmetic(Protocol):
    """What the charts of a family compute; parameters are arrays, a chart each."""

    @property
    def spec(self) -> type[Spec]:
        """The single chart."""

    @property
    def threshold(self) -> Floats:
        """What a statistic must exceed, shape (charts,)."""

    def start(self) -> State:
        """The arrays of states before the first observation, shape (charts,) each."""

    def select(self, charts: Ints) -> Self:
        """The same for some charts, in this order."""

    def step(self, state: State, x: Floats) -> Floats:
        """Take one observation for each of the first len(x) charts; changes `state`, returns the statistics."""

    def run(self, state: State, chart: int, x: Floats) -> Floats:
        """Take observations (n,) of one chart, oldest first; changes `state`, returns the statistics."""

    def parameters(self) -> bytes:
        """All parameters, for a fingerprint."""


@dataclass(frozen=True, slots=True, eq=False)
class FamilyReadings:
    """What the charts say after each observation: arrays of the shape of the observations."""

    statistic: Floats
    alarm: Bools


@dataclass(frozen=True, slots=True, eq=False)
class FamilySnapshot:
    """The state of a family: plain arrays that cannot be written to. `fingerprint` changes with any parameter."""

    version: int
    fingerprint: str
    n: Ints
    state: State


def table(**parameters: npt.ArrayLike) -> Floats:
    """A row for each of `parameters`, in their order, and a column for each chart; a single number is for all charts.

    Raises ValueError, naming the parameter, for NaN and infinity.

    >>> table(target=[0.0, 0.5], sigma=1.0).tolist()
    [[0.0, 0.5], [1.0, 1.0]]
    """
    rows = (np.atleast_1d(finite(name, values)) for name, values in parameters.items())
    return np.array(np.broadcast_arrays(*rows))


class ChartFamily:
    """Charts of one kind with their states. A chart never resets itself after an alarm: see `restart`."""

    def __init__(self, arithmetic: Arithmetic, *, state: State | None = None, n: Ints | None = None) -> None:
        self._arithmetic = arithmetic
        self._state = arithmetic.start() if state is None else state
        self._n = np.zeros(len(arithmetic.threshold), dtype=np.int64) if n is None else n

    def __len__(self) -> int:
        return len(self._n)

    @property
    def threshold(self) -> Floats:
        """What a statistic must exceed to be an alarm, shape (charts,)."""
        return self._arithmetic.threshold

    @property
    def n(self) -> Ints:
        """How many observations each chart has taken since it was made or restarted, shape (charts,)."""
        return self._n.copy()

    def update(self, x: npt.ArrayLike) -> FamilyReadings:
        """Take one observation for each chart, shape (charts,), or several, shape (charts, times), oldest first.

        Raises ValueError, and changes nothing, for another shape or an observation outside of the domain.
        """
        values = np.asarray(x, dtype=np.float64)
        if values.ndim not in (1, 2) or len(values) != len(self):
            raise ValueError(f"x: got shape {values.shape}, allowed is ({len(self)},) or ({len(self)}, times)")
        require_observations(values.ravel(), self._arithmetic.spec)
        if values.ndim == 1:
            statistic = self._arithmetic.step(self._state, values)
            self._n += 1
            return FamilyReadings(statistic=statistic, alarm=statistic > self.threshold)
        times = values.shape[1]
        if RUN * len(self) >= times:
            found = np.empty((times, len(self)))
            for time, column in enumerate(np.ascontiguousarray(values.T)):
                found[time] = self._arithmetic.step(self._state, column)
            found = found.T
        else:
            found = np.empty(values.shape)
            for chart, row in enumerate(values):
                found[chart] = self._arithmetic.run(self._state, chart, row)
        self._n += times
        return FamilyReadings(statistic=found, alarm=found > self.threshold[:, None])

    def update_some(self, chart: npt.ArrayLike, x: npt.ArrayLike) -> FamilyReadings:
        """Take observations x (n,) of the charts with the indices `chart` (n,), as they came: any number for each.

        The order within a chart is kept; charts that are not named stay as they are. Readings are in the order of x.
        Raises ValueError, and changes nothing, for an index that there is not, other shapes, or an observation outside
        of the domain.

        >>> from detectors.charts import cusum_family
        >>> cusum_family([0.0, 10.0], 1.0, threshold=5.0).update_some([1, 0, 1], [12.0, 0.0, 12.0]).statistic.tolist()
        [1.5, 0.0, 3.0]
        """
        index, values = np.asarray(chart), require_observations(x, self._arithmetic.spec)
        if index.shape != values.shape or (len(index) and not np.issubdtype(index.dtype, np.integer)):
            raise ValueError(f"chart: got {index.dtype} of shape {index.shape}, allowed are indices, one for each x")
        if len(index) and not (index.min() >= 0 and index.max() < len(self)):
            raise ValueError(f"chart: found {index.min()} to {index.max()}, allowed is 0 to {len(self) - 1}")
        index = index.astype(np.int64)
        counts = np.bincount(index, minlength=len(self))
        # A stable sort of 16-bit numbers is a radix sort, ten times faster than one of longer numbers.
        order = np.argsort(index.astype(np.uint16) if len(self) <= 1 << 16 else index, kind="stable")
        first = np.cumsum(counts) - counts
        # Busiest first: runs along those of which a step would wait for the others, then steps across the rest, where
        # the charts that still have observations are always a prefix.
        rows = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        lengths, begins, sorted_x = counts[rows], first[rows], values[order]
        alone = int(np.argmin(RUN * np.arange(len(rows) + 1) + np.append(lengths, 0)))
        arithmetic, state = self._arithmetic.select(rows), tuple(array[rows] for array in self._state)
        found = np.empty(len(values))
        for row in range(alone):
            part = slice(begins[row], begins[row] + lengths[row])
            found[part] = arithmetic.run(state, row, sorted_x[part])
        across, rest = arithmetic.select(np.arange(alone, len(rows))), tuple(array[alone:] for array in state)
        for time in range(int(lengths[alone]) if alone < len(rows) else 0):
            active = int(np.searchsorted(-lengths, -time, side="left"))
            places = begins[alone:active] + time
            found[places] = across.step(rest, sorted_x[places])
        for array, changed in zip(self._state, state, strict=True):
            array[rows] = changed
        self._n += counts
        statistic = np.empty(len(values))
        statistic[order] = found
        return FamilyReadings(statistic=statistic, alarm=statistic > self.threshold[index])

    def restart(self, which: npt.ArrayLike) -> None:
        """Begin afresh, with their head start, those charts where `which` (charts,) is True: after an alarm is handled.

        Until then a chart stays in alarm while its statistic is above the threshold (latch).
        """
        mask = self._mask(which)
        for array, fresh in zip(self._state, self._arithmetic.start(), strict=True):
            array[mask] = fresh[mask]
        self._n[mask] = 0

    def keep(self, which: npt.ArrayLike) -> Self:
        """A family of the charts where `which` (charts,) is True, with copies of their states."""
        mask = self._mask(which)
        arithmetic, state = self._arithmetic.select(np.flatnonzero(mask)), tuple(array[mask] for array in self._state)
        return type(self)(arithmetic, state=state, n=self._n[mask])

    def snapshot(self) -> FamilySnapshot:
        """A copy of all states, to go on from with `resume`."""
        arrays = tuple(array.copy() for array in (self._n, *self._state))
        for array in arrays:
            array.flags.writeable = False
        return FamilySnapshot(VERSION, self._fingerprint(), arrays[0].astype(np.int64, copy=False), arrays[1:])

    def resume(self, snapshot: FamilySnapshot) -> None:
        """Go on from a snapshot. StateMismatch, and nothing changed, for another version, parameters or shape."""
        shapes = [(array.shape, array.dtype) for array in (self._n, *self._state)]
        if snapshot.version != VERSION or snapshot.fingerprint != self._fingerprint():
            raise StateMismatch(f"resuming {len(self)} charts: saved with another version or other parameters")
        if shapes != [(array.shape, array.dtype) for array in (snapshot.n, *snapshot.state)]:
            raise StateMismatch(f"resuming {len(self)} charts: the arrays have other shapes or types")
        self._n, *state = (array.copy() for array in (snapshot.n, *snapshot.state))
        self._state = tuple(state)

    def _mask(self, which: npt.ArrayLike) -> Bools:
        mask = np.asarray(which)
        if mask.shape != (len(self),) or mask.dtype != np.bool_:
            raise ValueError(f"which: got {mask.dtype} of shape {mask.shape}, allowed are {len(self)} booleans")
        return mask

    def _fingerprint(self) -> str:
        kind = self._arithmetic.spec.__struct_config__.tag
        return hashlib.blake2b(f"{kind}:".encode() + self._arithmetic.parameters(), digest_size=8).hexdigest()
