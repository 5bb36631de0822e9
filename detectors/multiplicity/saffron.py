"""SAFFRON: LORD++ that pays only for p-values that are not small, for independent p-values with many non-nulls."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors.arrays import Floats
from detectors.multiplicity.evidence import p_values_or_nan
from detectors.multiplicity.online import REMEMBERED, OnlineTests, earned_levels, in_order


class SaffronState(msgspec.Struct, frozen=True):
    """How many p-values were no candidates (above lambda), how many hypotheses were discovered, and the number of
    non-candidates before each of the latest discoveries."""

    passed: int = 0
    discovered: int = 0
    latest: tuple[int, ...] = ()


class Saffron(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reject p_t <= alpha_t = min(lambda, (1 - lambda) (w0 g_0 + (alpha - w0) g_1 + alpha sum over j >= 2 of g_j)).

    g_j is .4374901658 i^-1.6 with i = 1 + the number of p-values above lambda since the j-th discovery (since the
    beginning for g_0): a candidate, p <= `candidate` (lambda), costs nothing. w0 is `initial_wealth`, alpha / 2 unless
    told. Only the latest 1000 discoveries are remembered; to forget one only lowers levels.

    Controls the false discovery rate at alpha for null p-values that are independent and uniform or larger. More power
    than LORD++ where many hypotheses are false, less where null p-values crowd near 1 (one-sided tests of segments that
    are better than asked). Of overlapping segments nothing is proved; by simulation (210 by policy, region and
    language, one-sided) the rate was .02 to .035 at alpha .05. Where the guarantee matters take `ELond`.

    Source: Ramdas, Zrnic, Wainwright and Jordan 2018 (ICML), 80:4286-4294; defaults of R's onlineFDR.

    >>> tests, state = Saffron(alpha=0.05).decide([1e-6, 0.6, 0.02])
    >>> tests.threshold.round(6).tolist(), tests.rejected.tolist()
    ([0.005469, 0.010937, 0.003608], [True, False, False])
    """

    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    initial_wealth: Annotated[float, Meta(gt=0, lt=1)] | None = None
    candidate: Annotated[float, Meta(gt=0, lt=1)] = 0.5

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("candidate", self.candidate)):
            if not 0.0 < value < 1.0:
                raise ValueError(f"Saffron.{name}: got {value!r}, allowed is 0 < {name} < 1")
        if not 0.0 < self.wealth <= self.alpha:
            raise ValueError(f"Saffron.initial_wealth: got {self.wealth!r}, allowed is 0 < initial_wealth <= alpha")

    @property
    def wealth(self) -> float:
        """w0."""
        return self.alpha / 2.0 if self.initial_wealth is None else self.initial_wealth

    def decide(self, p_values: npt.ArrayLike, state: SaffronState | None = None) -> tuple[OnlineTests, SaffronState]:
        """Test hypotheses in their order, p-values (n,), after those in `state`. NaN is passed over, see OnlineTests.

        Raises ValueError for numbers outside [0, 1].
        """
        return in_order(
            p_values_or_nan("p_values", p_values),
            SaffronState() if state is None else state,
            thresholds=self._levels,
            rejects=np.less_equal,
            after=self._after,
        )

    def _levels(self, state: SaffronState, ahead: Floats) -> Floats:
        passed = (ahead > self.candidate).astype(np.int64)
        place = state.passed + 1 + np.cumsum(passed) - passed
        level = earned_levels(
            place, _share, latest=state.latest, discovered=state.discovered, alpha=self.alpha, wealth=self.wealth
        )
        return np.minimum(self.candidate, (1.0 - self.candidate) * level)

    def _after(self, state: SaffronState, tested: Floats, discovery: bool) -> SaffronState:
        passed = state.passed + int(np.count_nonzero(tested > self.candidate))
        if not discovery:
            return msgspec.structs.replace(state, passed=passed)
        return SaffronState(passed, state.discovered + 1, (*state.latest, passed)[-REMEMBERED:])


def _share(i: npt.NDArray[np.int64]) -> Floats:
    return np.asarray(0.4374901658 / i**1.6, dtype=np.float64)
