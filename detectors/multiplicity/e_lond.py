"""e-LOND: online control of the false discovery rate among e-values, whatever their dependence."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors.arrays import Floats
from detectors.multiplicity.evidence import e_values_or_nan
from detectors.multiplicity.online import OnlineTests, in_order


class ELondState(msgspec.Struct, frozen=True):
    """How many hypotheses were tested and how many discovered."""

    tested: int = 0
    discovered: int = 0


class ELond(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reject e_t >= 1 / (alpha g_t (R + 1)), R discoveries so far, g_t = 6 / (pi^2 t^2).

    Controls the false discovery rate at alpha at each time for e-values however they depend on each other: overlapping
    segments, windows that share data. Each e-value may be read off its e-process at a time of one's choice, but the
    value of an e-detector is no e-value (see `e_bh`). The price is that thresholds grow with the square of t: the
    hundredth hypothesis without a discovery needs e >= 329,000 at alpha .05. Begin afresh each quarter, with an alpha
    for each.

    Source: Xu and Ramdas 2024 (AISTATS), Online multiple testing with e-values, 238:3997-4005.

    >>> tests, state = ELond(alpha=0.05).decide([50.0, 10.0, 200.0])
    >>> tests.threshold.round(3).tolist(), tests.rejected.tolist(), state.discovered
    ([32.899, 65.797, 148.044], [True, False, True], 2)
    """

    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"ELond.alpha: got {self.alpha!r}, allowed is 0 < alpha < 1")

    def decide(self, e_values: npt.ArrayLike, state: ELondState | None = None) -> tuple[OnlineTests, ELondState]:
        """Test hypotheses in their order, e-values (n,), after those in `state`. NaN is passed over, see OnlineTests.

        Raises ValueError for numbers below 0 or above 1e100.
        """
        return in_order(
            e_values_or_nan("e_values", e_values),
            ELondState() if state is None else state,
            thresholds=self._thresholds,
            rejects=np.greater_equal,
            after=_after,
        )

    def _thresholds(self, state: ELondState, ahead: Floats) -> Floats:
        number = state.tested + 1.0 + np.arange(len(ahead))
        return np.asarray((math.pi * number) ** 2 / (6.0 * self.alpha * (state.discovered + 1)), dtype=np.float64)


def _after(state: ELondState, tested: Floats, discovery: bool) -> ELondState:
    return ELondState(state.tested + len(tested), state.discovered + discovery)
