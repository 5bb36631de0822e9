"""The pinned reference: what scores and features looked like when the model was accepted.

A reference fixes the bins of the features it names; without one there is no drift against a baseline to speak of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.cells import ALL
from monitor.layout import SCORE, Feature, Layout, NumericFeature
from monitor.snapshot import SeriesKey

FORMAT: Final = 1
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Also exact as a floating-point number."""
Counts = tuple[Count, ...]


class ReferenceSeries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts by bin for one policy and segment, over all versions of the range."""

    policy: str
    segment: str
    decisions: Count
    score: Counts
    features: dict[str, Counts]


class ModelReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reference of one model. `score_edges` are inclusive upper bounds; the last bin has none."""

    model: str
    score_edges: tuple[float, ...]
    features: tuple[Feature, ...]
    series: tuple[ReferenceSeries, ...]


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pinned reference and where it came from."""

    format: int
    source: str
    """the file or the topic range it was taken from"""
    first_decision: str
    last_decision: str
    """decision times of the first and last record, RFC 3339"""
    models: tuple[ModelReference, ...]


class InvalidReference(ValueError):  # noqa: N818 - says what the file is
    """A reference file that cannot be used; the message names file, place and what is allowed."""


def load_reference(path: Path) -> Reference:
    """Read and check a reference file. InvalidReference names the file and what is wrong."""
    reference = _decoded(path)
    if reference.format != FORMAT:
        raise InvalidReference(f"reference {path}: format: expected {FORMAT}, got {reference.format}")
    if len({model.model for model in reference.models}) < len(reference.models):
        raise InvalidReference(f"reference {path}: models: expected each model once")
    for model in reference.models:
        problem = _bins_problem(model)
        if problem:
            raise InvalidReference(f"reference {path}: model {model.model}: {problem}")
        widths = {feature.name: feature.bins for feature in model.features}
        for series in model.series:
            where = f"reference {path}: model {model.model}, policy {series.policy}, segment {series.segment}"
            if len(series.score) != len(model.score_edges) + 1:
                raise InvalidReference(f"{where}: score: expected {len(model.score_edges) + 1} bins")
            if {name: len(counts) for name, counts in series.features.items()} != widths:
                raise InvalidReference(f"{where}: features: expected bins {widths}")
    return reference


def _decoded(path: Path) -> Reference:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Reference)
    except OSError as error:
        raise InvalidReference(f"reference {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidReference(f"reference {path}: expected JSON in UTF-8: {error.reason}") from error
    except msgspec.MsgspecError as error:
        raise InvalidReference(f"reference {path}: {error}") from error


def _bins_problem(model: ModelReference) -> str:
    """What is wrong with the bins of a model, "" when nothing is: counts could not be compared by them."""
    edges = model.score_edges
    if any(left >= right for left, right in pairwise((0.0, *edges, 1.0))):
        return f"score_edges: expected ascending numbers between 0 and 1, got {list(edges)}"
    if len({feature.name for feature in model.features}) < len(model.features):
        return "features: expected each name once"
    for feature in model.features:
        if feature.name == SCORE:
            return f"features: expected another name than `{SCORE}`, under which the model's own score is told"
        if isinstance(feature, NumericFeature):
            if any(left >= right for left, right in pairwise(feature.edges)):
                return f"feature {feature.name}: edges: expected ascending numbers, got {list(feature.edges)}"
            if feature.low > feature.high:
                return f"feature {feature.name}: expected low <= high, got {feature.low} and {feature.high}"
        elif len(set(feature.categories)) < len(feature.categories):
            return f"feature {feature.name}: categories: expected each once"
    return ""


class Baseline:
    """A model's reference in the shape that readings need: counts for the rows of a ledger."""

    def __init__(self, reference: ModelReference) -> None:
        self.features = reference.features
        self.score_edges = reference.score_edges
        self._series = {(series.policy, series.segment): series for series in reference.series}

    def counts(self, name: str | None, series: Sequence[SeriesKey]) -> npt.NDArray[np.int64]:
        """Reference counts of a feature (None: the score) for each series; shape (series, bins).

        A segment that the reference lacks is compared with its policy as a whole; zeros where that is missing too.
        """
        width = len(self.score_edges) + 1 if name is None else {f.name: f.bins for f in self.features}[name]
        empty: Counts = (0,) * width
        rows = []
        for key in series:
            found = self._series.get((key.policy, key.segment)) or self._series.get((key.policy, ALL))
            rows.append(empty if found is None else found.score if name is None else found.features[name])
        return np.array(rows, dtype=np.int64).reshape(len(series), width)

    def score_bins(self, layout: Layout) -> npt.NDArray[np.int64]:
        """First column, within the layout's score group, of each of the reference's bins (for np.add.reduceat)."""
        firsts: npt.NDArray[np.int64] = np.r_[0, np.searchsorted(layout.score_edges, self.score_edges, side="left") + 1]
        return firsts


def baselines(reference: Reference | None) -> Mapping[str, Baseline]:
    """Baselines by model."""
    return {} if reference is None else {model.model: Baseline(model) for model in reference.models}
