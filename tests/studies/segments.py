"""Labels of many overlapping segments: policy x region x language with all margins, of very different volume.

Labels of a policy are drawn once, in the order of time; each belongs to four segments. Volume has a daily rhythm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DAY: Final = 1440
"""Minutes."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labels of one segment, oldest first: the minute of each and whether it is bad, shapes (n,)."""

    minute: npt.NDArray[np.int32]
    bad: npt.NDArray[np.bool_]

    def from_minute(self, start: int) -> Labels:
        """Those at or after `start`."""
        first = int(np.searchsorted(self.minute, start))
        return Labels(self.minute[first:], self.bad[first:])


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Labels an hour, `rate`, and the share of bad ones, `p0`, of the cells: shapes (policies, regions, languages)."""

    rate: Floats
    p0: Floats

    def margins(self, cells: Floats) -> Floats:
        """Sums over the cells (policies, regions, languages) of each segment, (policies, segments of a policy): the
        cells, then policy by region, policy by language, policies."""
        policies = len(cells)
        parts = (cells, cells.sum(axis=2), cells.sum(axis=1), cells.sum(axis=(1, 2)))
        return np.concatenate([part.reshape(policies, -1) for part in parts], axis=1)

    def rates(self) -> Floats:
        """Labels an hour of each segment, (policies, segments of a policy)."""
        return self.margins(self.rate)

    def shares(self) -> Floats:
        """The share of bad labels of each segment in control."""
        return self.margins(self.rate * self.p0) / self.rates()

    def labels(
        self, rng: np.random.Generator, policy: int, *, days: int, change: float = 0.0, change_day: int = 0
    ) -> Iterator[Labels]:
        """The labels of each segment of a policy; from `change_day` on `change` is added to the share of bad ones."""
        rate, p0 = self.rate[policy], self.p0[policy]
        count = rng.poisson(rate.sum() / 60.0 * rhythm(np.arange(days * DAY)))
        minute = np.repeat(np.arange(days * DAY, dtype=np.int32), count)
        cell = np.searchsorted(np.cumsum(rate.ravel()) / rate.sum(), rng.random(len(minute), dtype=np.float32))
        cell = np.minimum(cell, rate.size - 1).astype(np.uint8)
        share = p0.ravel().astype(np.float32)[cell]
        share[np.searchsorted(minute, change_day * DAY) :] += np.float32(change)
        bad = rng.random(len(minute), dtype=np.float32) < share
        region, language = np.divmod(cell, np.uint8(rate.shape[1]))
        for key, size in ((cell, rate.size), (region, rate.shape[0]), (language, rate.shape[1])):
            order = np.argsort(key, kind="stable")
            for place in np.split(order, np.cumsum(np.bincount(key, minlength=size))[:-1]):
                yield Labels(minute[place], bad[place])
        yield Labels(minute, bad)


def draw(
    rng: np.random.Generator, *, policies: int, regions: int, languages: int, median_rate: float, spread: float
) -> Segments:
    """Cells whose volume is lognormal with `median_rate` labels an hour, at least one a day, and 4 to 20 % bad ones."""
    shape = (policies, regions, languages)
    rate = np.maximum(rng.lognormal(np.log(median_rate), spread, shape), 1 / 24)
    p0 = rng.uniform(0.05, 0.17, (policies, 1, 1)) * rng.uniform(0.8, 1.2, shape)
    return Segments(rate=rate, p0=p0)


def rhythm(minute: npt.NDArray[np.int64]) -> Floats:
    """The volume of a minute beside that of the mean: a daily sine, nine times more at noon than at night."""
    return 1.0 - 0.8 * np.cos(2.0 * np.pi * minute / DAY)
