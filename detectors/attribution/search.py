"""Which segments explain a change: the smallest set, ranked, with errors and a stated chance of naming anything.

`decompose` says which mechanism moved the rate; this says where. It searches crossings of every order at once, so a
crossing is named only where its parent says less, and a parent only where its other children moved with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.arrays import Floats, require_fraction
from detectors.attribution.cells import Cells, Role, collapse
from detectors.attribution.crossings import Segment
from detectors.attribution.decomposition import Decomposition, Factor, decompose
from detectors.attribution.level import Level, level_of, sampled, volume_variation
from detectors.attribution.pursuit import pursue
from detectors.attribution.rate_model import RateModel, rate_model
from detectors.attribution.scans import log_p_value
from detectors.attribution.share_model import ShareModel, share_model

_LEVELS: Final = {
    Factor.MIX: (Role.SEGMENT,),
    Factor.VERSION: (Role.SEGMENT, Role.VERSION),
    Factor.SAMPLING: (Role.SEGMENT,),
    Factor.REVIEWER: (Role.SEGMENT, Role.REVIEWER),
    Factor.WITHIN: tuple(Role),
}
"""The dimensions over which each factor is searched."""
_ROLE: Final = {Factor.MIX: Role.SEGMENT, Factor.VERSION: Role.VERSION, Factor.REVIEWER: Role.REVIEWER}
"""What there must be a dimension of."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A segment and what happened to it.

    `contribution` is its part of the change of the whole rate, `standard_error` its error. `effect` is the change in
    the segment itself: of its rate (WITHIN), or the log odds ratio of its share in all traffic (MIX), in its segment's
    decisions (VERSION), in all label weight, given its traffic (SAMPLING), in the labels of its segment (REVIEWER).
    `p_value` is corrected for all segments and factors that were searched.
    """

    factor: Factor
    segment: Segment
    contribution: float
    standard_error: float
    effect: float
    p_value: float

    @property
    def z(self) -> float:
        """The contribution in standard errors."""
        return self.contribution / self.standard_error


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """`causes`, the largest contribution first, and the decomposition over the dimensions that they name.

    `remainders`, in the order of the decomposition's factors, is what no named cause covers of each component:
    contributions of the causes of a factor + its remainder = its component. `searched` counts the segments tested.
    """

    causes: tuple[Cause, ...]
    decomposition: Decomposition
    remainders: Floats
    searched: int


def explain(
    cells: Cells,
    *,
    order: int = 3,
    alpha: float = 0.05,
    least_labels: float = 10.0,
    least_contribution: float = 0.002,
    most: int = 5,
) -> Explanation:
    """Search all crossings of up to `order` values for the causes of a change between two windows.

    For each factor a model of the cells says what to expect if nothing changed; every segment is scanned for a
    departure (`scans`), the best is taken into the model, and so on (at most `most` a factor). Each cause taken is then
    put back and searched again given the others, until nothing changes: this undoes a parent that stood for two of its
    children. Best means the smallest p-value times the number of segments of that order: the likelihood ratio less
    log(number of candidates), a description length. A segment is taken only if it also moved by itself. The same
    product, times orders and factors searched, is the corrected p-value and must be at most `alpha`. With nothing
    changed, something is named with probability at most about `alpha` (in the study `attribution` clearly less; the
    normal law of rare verdicts is the weak point).

    A share that moved (MIX, VERSION, SAMPLING, REVIEWER) matters only where rates differ: its contribution, the share
    moved x (its rate - the rate of the rest), must also differ from 0, at `alpha` over those taken; without labels in
    either it is not known, nor named. Volumes vary more than counts do; the variance of their logarithm is estimated
    from the cells, robustly (half of the cells may move), and added. Contributions below `least_contribution` are not
    named, whatever their p-value.

    A segment is tested for its rate if both windows have `least_labels` (effective) labels. A version or reviewer that
    only one window has is not tested inside; its arrival is, against those it replaced. MATURITY is not searched.

    It misleads with clustered labels (one reviewer, one campaign: errors too small), and cannot see a cause whose
    contribution is below 4 (one value) to 5 (a crossing of three) standard errors: with n effective labels of the
    segment in each window and precision p, a drop of 5.6 to 7 sqrt(p (1 - p) / n). Deterministic. Searching some
    thousand cells takes about 100 ms.

    Sources, for the questions rather than the answers: Adtributor (Bhagwan et al. 2014), Squeeze (Li et al. 2019),
    Slice Finder (Chung et al. 2019), DivExplorer (Pastor et al. 2021); none of them knows sampled labels. The code
    length of a segment is Rissanen's 1978.

    Raises ValueError for an `alpha` outside (0, 1) and for an `order` below 1.

    >>> from detectors.attribution import Dimension, cells, window_sums
    >>> axes = [Dimension("policy", ("hate", "spam", "nudity")), Dimension("language", ("en", "pt"))]
    >>> codes = [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]
    >>> before = window_sums([465, 186, 930, 93, 465, 186], [35, 14, 70, 7, 35, 14])
    >>> after = window_sums([465, 120, 930, 93, 465, 186], [35, 80, 70, 7, 35, 14])
    >>> found = explain(cells(axes, codes, reference=before, current=after))
    >>> [(cause.factor.value, cause.segment, round(cause.contribution, 3)) for cause in found.causes]
    [('within', (('policy', 'hate'), ('language', 'pt')), -0.026)]
    """
    require_fraction("alpha", alpha)
    present = {dimension.role for dimension in cells.dimensions}
    wanted = [factor for factor in _LEVELS if factor not in _ROLE or _ROLE[factor] in present]
    if not sampled(cells):
        wanted.remove(Factor.SAMPLING)
    variation = volume_variation(collapse(cells, *_names(cells, (Role.SEGMENT,))))
    levels: dict[tuple[str, ...], Level] = {}
    causes: list[Cause] = []
    tested = 0
    for factor in wanted:
        names = _names(cells, _LEVELS[factor])
        if names not in levels:
            levels[names] = level_of(collapse(cells, *names), order=order)
        level = levels[names]
        model: RateModel | ShareModel
        if factor is Factor.WITHIN:
            model = rate_model(level, least_labels=least_labels)
        else:
            model = share_model(level, factor, variation=variation)
        found = pursue(model, level.found, trials=len(wanted), alpha=alpha, most=most)
        tested += found.tested
        for row, scan, p_value in zip(found.rows, found.scans, found.p_values, strict=True):
            part = model.contribution(row, scan)
            # Both must differ from 0, the shift and the difference in rates: the larger p-value counts.
            also = float(np.exp(log_p_value(part.size / max(part.of_rates, 1e-300)))) * len(found.rows)
            largest = max(p_value, min(also, 1.0))
            # NaN compares as anything: without labels inside or outside nothing says that the rates differ.
            identified = np.isfinite(part.of_rates)
            if identified and abs(part.size) >= least_contribution and largest <= alpha:
                segment = level.found.segment(row)
                causes.append(Cause(factor, segment, part.size, part.standard_error, scan.effect, largest))
    causes.sort(key=lambda cause: (-abs(cause.contribution), cause.factor, cause.segment))
    named = {name for cause in causes for name, _ in cause.segment}
    kept = [axis.name for axis in cells.dimensions if axis.name in named or axis.role is not Role.SEGMENT]
    parts = decompose(collapse(cells, *kept))
    covered = [sum(cause.contribution for cause in causes if cause.factor is factor) for factor in parts.factors]
    return Explanation(tuple(causes), parts, parts.components - np.array(covered), tested)


def _names(cells: Cells, roles: tuple[Role, ...]) -> tuple[str, ...]:
    return tuple(dimension.name for dimension in cells.dimensions if dimension.role in roles)
