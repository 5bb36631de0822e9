"""The decisions of one model and minute as columns.

Categories are codes into `names`; scores are whole ten-thousandths, so that comparing with a threshold, writing the
digits and counting agree exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MS_PER_MINUTE = 60_000
SCORE_UNITS = 10_000


class Release(NamedTuple):
    """A version of the model in a role."""

    version: str
    variant: str


@dataclass(frozen=True, slots=True)
class Names:
    """What the codes of a model's rows stand for."""

    policy: tuple[str, ...]
    language: tuple[str, ...]
    region: tuple[str, ...]
    surface: tuple[str, ...]
    release: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """One row a decision; all columns have shape (rows,) except `features` with shape (rows, features)."""

    names: Names
    offset_ms: Ints
    """Milliseconds after the start of the minute."""
    policy: Ints
    language: Ints
    region: Ints
    surface: Ints
    release: Ints
    violating: Bools
    """The truth."""
    score: Ints
    """Ten-thousandths."""
    latency_ms: Ints
    views: Ints
    actor: Ints
    features: Ints
    """Codes of the feature's values; -1 is missing."""

    def __len__(self) -> int:
        return len(self.offset_ms)

    def where(self, selector: Mapping[str, str]) -> Bools:
        """Rows of a segment, for example `{"language": "es"}`. A value without traffic selects nothing."""
        result = np.ones(len(self), dtype=np.bool_)
        for dimension, value in selector.items():
            known: tuple[str, ...] = getattr(self.names, dimension)
            result &= getattr(self, dimension) == (known.index(value) if value in known else -1)
        return result

    def take(self, index: Ints | Bools) -> Rows:
        """The rows at `index` (positions or mask), in its order."""
        return Rows(self.names, *(getattr(self, name)[index] for name in COLUMNS))

    @staticmethod
    def concatenate(parts: Sequence[Rows]) -> Rows:
        """All rows of parts that share their names, in order."""
        if len(parts) == 1:
            return parts[0]
        return Rows(parts[0].names, *(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS))


COLUMNS = tuple(field.name for field in fields(Rows) if field.name != "names")
