"""LORD++: online control of the false discovery rate that earns its levels by discoveries, for independent p-values."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors.arrays import Floats
from detectors.multiplicity.evidence import p_values_or_nan
from detectors.multiplicity.online import REMEMBERED, OnlineTests, earned_levels, in_order


class LordState(msgspec.Struct, frozen=True):
    """How many hypotheses were tested, how many discovered, and the numbers (from 1) of the latest discoveries."""

    tested: int = 0
    discovered: int = 0
    latest: tuple[int, ...] = ()


class LordPlusPlus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reject p_t <= alpha_t = w0 g_t + (alpha - w0) g_{t - tau_1} + alpha sum over j >= 2 of g_{t - tau_j}.

    tau_j is the number of the j-th discovery, g_j = .07720838 ln(max(j, 2)) / (j exp(sqrt(ln j))) sums to .976, and
    w0 is `initial_wealth`, alpha / 10 unless told. A test spends, a discovery earns alpha: after long without one
    hardly anything is rejected. Only the latest 1000 discoveries are remembered; to forget one only lowers levels.

    Controls the false discovery rate at alpha at each time for null p-values that are independent of each other and of
    the rest. Segments that overlap, and the same segment tested again on a window that shares data, are dependent:
    nothing is proved there, though it stayed far below alpha in simulation; where the guarantee matters take `ELond`.
    Made for a long sequence of hypotheses (each launch, each day's cohorts), not for a chart checked each minute.

    Source: Ramdas, Yang, Wainwright and Jordan 2017 (NeurIPS), section 3; the g_j are Javanmard and Montanari's (2018,
    Annals of Statistics 46:526-554), the defaults those of R's onlineFDR.

    >>> tests, state = LordPlusPlus(alpha=0.05).decide([1e-6, 0.5, 0.0004])
    >>> tests.threshold.round(6).tolist(), tests.rejected.tolist(), state.latest
    ([0.000268, 0.002466, 0.000573], [True, False, True], (1, 3))
    """

    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    initial_wealth: Annotated[float, Meta(gt=0, lt=1)] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"LordPlusPlus.alpha: got {self.alpha!r}, allowed is 0 < alpha < 1")
        if not 0.0 < self.wealth <= self.alpha:
            raise ValueError(f"LordPlusPlus.initial_wealth: got {self.wealth!r}, allowed is 0 < it <= alpha")

    @property
    def wealth(self) -> float:
        """w0."""
        return self.alpha / 10.0 if self.initial_wealth is None else self.initial_wealth

    def decide(self, p_values: npt.ArrayLike, state: LordState | None = None) -> tuple[OnlineTests, LordState]:
        """Test hypotheses in their order, p-values (n,), after those in `state`. NaN is passed over, see OnlineTests.

        Raises ValueError for numbers outside [0, 1].
        """
        return in_order(
            p_values_or_nan("p_values", p_values),
            LordState() if state is None else state,
            thresholds=self._levels,
            rejects=np.less_equal,
            after=_after,
        )

    def _levels(self, state: LordState, ahead: Floats) -> Floats:
        times = state.tested + 1 + np.arange(len(ahead))
        return earned_levels(
            times, _share, latest=state.latest, discovered=state.discovered, alpha=self.alpha, wealth=self.wealth
        )


def _share(j: npt.NDArray[np.int64]) -> Floats:
    shares: Floats = 0.07720838 * np.log(np.maximum(j, 2)) / (j * np.exp(np.sqrt(np.log(j))))
    return shares


def _after(state: LordState, tested: Floats, discovery: bool) -> LordState:
    number = state.tested + len(tested)
    if not discovery:
        return msgspec.structs.replace(state, tested=number)
    return LordState(number, state.discovered + 1, (*state.latest, number)[-REMEMBERED:])
