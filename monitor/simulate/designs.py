"""Review designs: who is audited, with which known probability.

The probability is written into every decision of the design, selected or not; without the not-selected nobody can
check that declared probabilities hold (`BrokenDesign` among the incidents breaks exactly that).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from monitor.events import MIN_INCLUSION_PROBABILITY
from monitor.simulate.spec import DIMENSIONS, Label, Spec

if TYPE_CHECKING:
    from monitor.simulate.rows import Rows

Inclusion = Annotated[float, Meta(ge=MIN_INCLUSION_PROBABILITY, le=1.0)]
Floats = npt.NDArray[np.float64]


class Design(Spec, frozen=True, kw_only=True):
    """What every design has: a name, and whether it covers all decisions or only those acted on."""

    design_id: Label
    scope: Literal["all", "acted"] = "all"


class Uniform(Design, frozen=True, kw_only=True, tag="uniform", tag_field="kind"):
    """The same probability for every decision in scope."""

    probability: Inclusion

    def probabilities(self, rows: Rows) -> Floats:
        """Probability of each row, shape (rows,)."""
        return np.full(len(rows), self.probability)


class ByScore(Design, frozen=True, kw_only=True, tag="by_score", tag_field="kind"):
    """A probability for each score bin; `edges` are the inner bounds, a score on an edge belongs to the upper bin."""

    edges: tuple[Annotated[float, Meta(gt=0.0, lt=1.0)], ...]
    bins: tuple[Inclusion, ...]

    def __post_init__(self) -> None:
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"design {self.design_id!r}: edges have to increase, got {list(self.edges)}")
        if len(self.bins) != len(self.edges) + 1:
            raise ValueError(
                f"design {self.design_id!r}: {len(self.edges)} edges need {len(self.edges) + 1} bins, "
                f"got {len(self.bins)}"
            )

    def probabilities(self, rows: Rows) -> Floats:
        """Probability of each row, shape (rows,)."""
        edges = np.rint(np.array(self.edges) * 1e4)
        return np.array(self.bins)[np.searchsorted(edges, rows.score, side="right")]


class BySegment(Design, frozen=True, kw_only=True, tag="by_segment", tag_field="kind"):
    """A probability for each segment, written `language=es`; the first that matches counts, else `default`."""

    segments: dict[str, Inclusion]
    default: Inclusion

    def __post_init__(self) -> None:
        for segment in self.segments:
            dimension, separator, value = segment.partition("=")
            if dimension not in DIMENSIONS or not separator or not value:
                raise ValueError(
                    f"design {self.design_id!r}: segment {segment!r} is not `dimension=value` "
                    f"with a dimension of: {', '.join(DIMENSIONS)}"
                )

    def probabilities(self, rows: Rows) -> Floats:
        """Probability of each row, shape (rows,)."""
        result = np.full(len(rows), self.default)
        for segment, probability in reversed(self.segments.items()):
            dimension, _, value = segment.partition("=")
            result[rows.where({dimension: value})] = probability
        return result


AnyDesign = Uniform | ByScore | BySegment
