"""Bins of scores and features, chosen from a sample of the decisions that a reference is taken from.

The sample of a model is the decisions whose ids have the smallest hashes: the same whatever the order of the log, and
as good as a random one. Bins that the sample leaves empty are kept where a changed value would fall into them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from monitor.decode import name_is_allowed
from monitor.events import FeaturedDecision, FeatureValue
from monitor.layout import SCORE, CategoricalFeature, Feature, NumericFeature
from monitor.rows import hash_id

SAMPLE: Final = 20_000
"""Decisions of a model that bins are chosen from: a quantile's rank is then right within about 1 % (3 deviations)."""
SCORE_RANKS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Shares of decisions below the score edges: tenths, and a finer tail, which is where decisions to act are made."""
RANGE_RANKS: Final = (0.001, 0.999)
"""What lies outside this part of the sample is out of range."""
MAX_CATEGORIES: Final = 50
RARE: Final = 0.001
"""A category below this share of the values counts with everything else."""
MAX_FEATURES: Final = 50


class TooManyFeatures(ValueError):  # noqa: N818 - says what is wrong
    """More features than a reference may have, and none were chosen."""


@dataclass(slots=True)
class Sample:
    """A sample of the decisions of one model."""

    size: int = SAMPLE
    decisions: int = 0
    """how many there were to sample from"""
    _kept: dict[int, tuple[float, dict[str, FeatureValue]]] = field(default_factory=dict)
    _bound: int = 2**64

    def add(self, decision: FeaturedDecision) -> None:
        """See a decision. A second copy is not sampled twice."""
        self.decisions += 1
        hashed = hash_id(decision.decision_id)
        if hashed < self._bound:
            self._kept[hashed] = (decision.score, decision.features or {})
            if len(self._kept) > 2 * self.size:
                self._shrink()

    def values(self) -> list[tuple[float, dict[str, FeatureValue]]]:
        """(score, features) of the sampled decisions."""
        return [self._kept[hashed] for hashed in sorted(self._kept)[: self.size]]

    def _shrink(self) -> None:
        self._kept = {hashed: self._kept[hashed] for hashed in sorted(self._kept)[: self.size]}
        self._bound = max(self._kept)


def score_edges(sample: Sample) -> tuple[float, ...]:
    """Inclusive upper bounds of the score bins; one edge in the middle where all scores are 0 or 1."""
    edges = _quantiles([score for score, _ in sample.values()], SCORE_RANKS)
    return tuple(edge for edge in edges if 0.0 < edge < 1.0) or (0.5,)


def features(sample: Sample, *, bins: int, names: Collection[str] | None = None) -> tuple[Feature, ...]:
    """Bins of the features in the sample, by name. `names` chooses them; None: all whose name may become a label.

    A feature is numeric or categorical as most of its values are; those of the other kind are out of range then.
    Features without any value are left out, and one of the name of the model's own score. Raises TooManyFeatures.
    """
    columns: dict[str, list[float | str]] = {}
    for _, told in sample.values():
        for name, value in told.items():
            if value is not None and name != SCORE and (name in names if names is not None else name_is_allowed(name)):
                columns.setdefault(name, []).append(value)
    if len(columns) > MAX_FEATURES:
        raise TooManyFeatures(f"{len(columns)} features, at most {MAX_FEATURES} are allowed: name those that matter")
    return tuple(_feature(name, columns[name], bins=bins) for name in sorted(columns))


def _feature(name: str, values: Sequence[float | str], *, bins: int) -> Feature:
    numbers = [value for value in values if not isinstance(value, str)]
    if 2 * len(numbers) < len(values):
        return CategoricalFeature(name, _categories([value for value in values if isinstance(value, str)]))
    low, high = np.quantile(numbers, RANGE_RANKS, method="inverted_cdf").tolist()
    edges = _quantiles(numbers, [rank / bins for rank in range(1, bins)])
    if low == high:  # a constant has bins below, at and above it
        edges = (float(np.nextafter(low, -np.inf)), low)
    return NumericFeature(name=name, edges=edges, low=low, high=high)


def _categories(values: Sequence[str]) -> tuple[str, ...]:
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return tuple(value for value, count in ranked[:MAX_CATEGORIES] if count >= RARE * len(values))


def _quantiles(values: Sequence[float], ranks: Sequence[float]) -> tuple[float, ...]:
    found = np.unique(np.quantile(values, ranks, method="inverted_cdf"))
    return tuple(float(edge) for edge in found)
