"""Many e-detectors of one kind in one call: a series each, with its own mean, changes and run length.

Each series says, bit for bit, what `update` of its own detector would say of one observation after the other, however
they are cut into columns and blocks. Restarts are the holder's, by mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, fractions
from detectors.contract import Readings
from detectors.sequential.e_cusum import ECusum
from detectors.sequential.e_detector import Bets, Lanes, usable
from detectors.sequential.e_sr import ESr


class EDetectors:
    """e-SR or e-CUSUM of many series. State: a number and an exponent for each bet of each, 1 and 0 at the start.

    `specs`: one for each series, all `ESr` or all `ECusum`. Shorter grids are filled up with bets of stake 0. With
    thousands of series an observation takes 20 to 50 ns for six bets, in columns and in blocks; `update_sparse` takes
    some 300.

    >>> family = EDetectors([ESr(mean=0.9, average_run_length=1000), ESr(mean=0.5, average_run_length=50)])
    >>> family.update([[1, 1, 0], [0, 0, 0]]).statistic.round(2).tolist()
    [[-0.27, 0.35, 1.84], [0.22, 1.05, 1.61]]
    >>> family.update_sparse([1, 1], [0, 0]).alarm.tolist()
    [False, False]
    """

    def __init__(self, specs: Sequence[ESr] | Sequence[ECusum], *, carried: npt.ArrayLike | None = None) -> None:
        kinds = {type(spec) for spec in specs}
        if len(kinds) != 1:
            raise ValueError(f"specs: got {len(specs)} of {len(kinds)} kinds, allowed are one or more of a single kind")
        self._join = kinds.pop().join
        bets = [spec.bets() for spec in specs]
        grid = max(len(bet.weight) for bet in bets)

        def stacked(parts: list[Floats], filling: float) -> Floats:
            rows = [np.pad(part[:, 0], (0, grid - len(part)), constant_values=filling) for part in parts]
            return np.ascontiguousarray(np.stack(rows, axis=1))

        self._bets = Bets(
            at_zero=stacked([bet.at_zero for bet in bets], 1.0),
            slope=stacked([bet.slope for bet in bets], 0.0),
            weight=stacked([bet.weight for bet in bets], 0.0),
        )
        self._threshold = np.log([spec.average_run_length for spec in specs])
        shape = (2, len(specs), grid)
        fresh = np.stack([np.ones(shape[1:]), np.zeros(shape[1:])])
        start = fresh if carried is None else np.asarray(carried, dtype=np.float64)
        if start.shape != shape or not usable(*start):
            raise ValueError(f"carried: got shape {start.shape}, allowed is a snapshot of shape {shape}")
        self._lanes = Lanes(self._bets, start[0].T.copy(), start[1].T.astype(np.int64, order="C"), join=self._join)

    def update(self, x: npt.ArrayLike) -> Readings:
        """One observation a series, shape (series,), or a block (series, n), oldest first; readings of that shape."""
        values = fractions("x", x)
        if values.ndim not in (1, 2) or len(values) != len(self._threshold):
            raise ValueError(f"x: got shape {values.shape}, allowed are ({len(self._threshold)},) and a block of it")
        columns = np.ascontiguousarray(np.atleast_2d(values.T))
        statistic = np.empty(columns.shape)
        for place, column in enumerate(columns):
            statistic[place] = self._lanes.update(column)
        threshold = self._threshold if values.ndim == 1 else np.broadcast_to(self._threshold[:, None], values.shape)
        found = np.ascontiguousarray(statistic.T).reshape(values.shape)
        return Readings(statistic=found, threshold=threshold, alarm=found > threshold)

    def update_sparse(self, series: npt.ArrayLike, x: npt.ArrayLike) -> Readings:
        """Observations `x` (n,) of the series with the numbers `series` (n,); the order within a series is theirs.

        Readings of shape (n,). It runs in as many rounds as the busiest series has observations here: give long blocks
        of few series to `update`. Raises ValueError, and changes nothing, for numbers that are no integers (1.9 is no
        series), for one that there is not, other shapes, and observations outside [0, 1].
        """
        values, rows = fractions("x", x), np.asarray(series)
        if values.ndim != 1 or rows.shape != values.shape:
            raise ValueError(f"series, x: got shapes {rows.shape} and {values.shape}, allowed is (n,) for both")
        if rows.size and not np.issubdtype(rows.dtype, np.integer):
            raise ValueError(f"series: got {rows.dtype}, allowed are integers")
        rows = rows.astype(np.int64)
        if ((rows < 0) | (rows >= len(self._threshold))).any():
            raise ValueError(f"series: found a number outside 0 to {len(self._threshold) - 1}")
        order = np.argsort(rows, kind="stable")
        first = np.searchsorted(rows[order], rows[order], side="left")
        turn = np.arange(len(rows)) - first
        statistic, value, exponent = np.empty(values.shape), self._lanes.value, self._lanes.exponent
        for now in range(int(turn.max(initial=-1)) + 1):
            places = order[turn == now]
            at = rows[places]
            lanes = Lanes(self._bets.of(at), value[:, at], exponent[:, at], join=self._join)
            statistic[places] = lanes.update(values[places])
            value[:, at], exponent[:, at] = lanes.value, lanes.exponent
        self._lanes = Lanes(self._bets, value, exponent, join=self._join)
        threshold = self._threshold[rows]
        return Readings(statistic=statistic, threshold=threshold, alarm=statistic > threshold)

    def restart(self, which: npt.ArrayLike) -> None:
        """Start the series of a boolean mask (series,) afresh: after their alarms, or when their model changed.

        Raises ValueError, and changes nothing, for anything else, indices too.
        """
        mask = np.asarray(which)
        if mask.shape != self._threshold.shape or mask.dtype != np.bool_:
            raise ValueError(
                f"which: got {mask.dtype} of shape {mask.shape}, allowed are {len(self._threshold)} booleans"
            )
        value, exponent = np.where(mask, 1.0, self._lanes.value), np.where(mask, 0, self._lanes.exponent)
        self._lanes = Lanes(self._bets, value, exponent, join=self._join)

    def snapshot(self) -> Floats:
        """What is carried on, (2, series, grid), numbers and exponents: a copy, to give to `carried`."""
        return np.stack([self._lanes.value.T, self._lanes.exponent.T])
