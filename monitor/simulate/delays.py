"""Delays of feedback, drawn in milliseconds.

Every delay is at least one millisecond: feedback never has the same time as the decision it speaks of.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from monitor.simulate.rows import MS_PER_MINUTE
from monitor.simulate.spec import Spec

MAX_DELAY_MINUTES = 180 * 24 * 60
"""The longest delay drawn: appeals may stay open for six months (DSA Art. 20)."""

Minutes = Annotated[float, Meta(gt=0.0, le=MAX_DELAY_MINUTES)]


class Exponential(Spec, frozen=True, kw_only=True, tag="exponential", tag_field="kind"):
    """Memoryless delay with the given mean."""

    mean_minutes: Minutes

    def milliseconds(self, rng: np.random.Generator, *, size: int) -> npt.NDArray[np.int64]:
        """`size` delays in whole milliseconds, shape (size,)."""
        return _whole(self.mean_minutes * rng.standard_exponential(size))


class Lognormal(Spec, frozen=True, kw_only=True, tag="lognormal", tag_field="kind"):
    """Delay whose logarithm is normal: `median_minutes * exp(sigma * Z)`. The usual shape of human handling times."""

    median_minutes: Minutes
    sigma: Annotated[float, Meta(gt=0.0, le=5.0)] = 1.0

    def milliseconds(self, rng: np.random.Generator, *, size: int) -> npt.NDArray[np.int64]:
        """`size` delays in whole milliseconds, shape (size,)."""
        return _whole(self.median_minutes * np.exp(self.sigma * rng.standard_normal(size)))


Delay = Exponential | Lognormal


def _whole(minutes: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    whole: npt.NDArray[np.int64] = np.rint(np.minimum(minutes, MAX_DELAY_MINUTES) * MS_PER_MINUTE).astype(np.int64)
    return np.maximum(whole, 1)
