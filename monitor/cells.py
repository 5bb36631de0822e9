"""Cell keys: which model, version, role, policy and segment dimensions a record counts for.

A table lives as long as one block, so that what it caps depends on that block's records only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from monitor.decode import Rejected, invalid_name, name_is_allowed
from monitor.events import Modality, Variant

DIMENSIONS: Final = ("language", "region", "surface", "modality")
"""The dimensions that segments may be cut by."""

UNKNOWN: Final = "unknown"
"""The value of a dimension that the event does not carry."""

OTHER: Final = "other"
"""Takes what exceeds a cap."""


class CellKey(NamedTuple):
    """Everything but the minute that tells two cells apart. Dimensions in the order of `DIMENSIONS`."""

    model: str
    model_version: str
    variant: str
    policy: str
    language: str
    region: str
    surface: str
    modality: str


RawKey = tuple[str, str, Variant, str, str | None, str | None, str | None, Modality | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on distinct label values; what exceeds them is counted under `other`."""

    models: int = 64
    models_in_block: int = 256
    """more than the ledger keeps: junk names that come first in a block push no model aside that the ledger knows"""
    versions: int = 64
    policies: int = 64
    dimension_values: int = 256
    segments: int = 500
    """segments of one model"""
    series: int = 5000
    """series (version, variant, policy, segment) of one model"""
    values: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """the values of a dimension that are told apart; any value where a dimension is not named"""


class KeyTable:
    """Numbers the distinct keys of one block, in order of first appearance."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._codes: dict[RawKey, int | Rejected] = {}
        self._cells: dict[CellKey, int] = {}
        self._seen: dict[Hashable, set[str]] = {}
        self.keys: list[CellKey] = []
        self.unknown: dict[str, list[int]] = {"variant": [], "modality": []}
        """Codes of the keys whose variant or modality is none that is known here."""

    def code(self, raw: RawKey) -> int | Rejected:
        """The number of a key, or why one of its names may not become a label."""
        code = self._codes.get(raw)
        if code is None:
            code = self._codes[raw] = self._admit(raw)
        return code

    def model(self, name: str) -> str:
        """The name under which a model counts in this block."""
        return self._capped("model", name, self._limits.models_in_block)

    def _admit(self, raw: RawKey) -> int | Rejected:
        model, version, variant, policy, language, region, surface, modality = raw
        names = (("model", model), ("model_version", version), ("policy", policy))
        dimensions = (("language", language), ("region", region), ("surface", surface))
        for where, name in (*names, *dimensions):
            if name is not None and not name_is_allowed(name):
                return invalid_name(where, name)
        capped_model = self.model(model)
        language, region, surface = (
            self._capped((dimension, capped_model), self._listed(dimension, name), self._limits.dimension_values)
            for dimension, name in dimensions
        )
        key = CellKey(
            model=capped_model,
            model_version=self._capped(("version", capped_model), version, self._limits.versions),
            variant=variant.value,
            policy=self._capped(("policy", capped_model), policy, self._limits.policies),
            language=language,
            region=region,
            surface=surface,
            modality=UNKNOWN if modality is None else modality.value,
        )
        code = self._cells.get(key)
        if code is None:
            code = self._cells[key] = len(self.keys)
            self.keys.append(key)
            for field in self.unknown:
                if getattr(key, field) == OTHER:
                    self.unknown[field].append(code)
        return code

    def _listed(self, dimension: str, name: str | None) -> str:
        if name is None:
            return UNKNOWN
        values = self._limits.values.get(dimension)
        return name if values is None or name in values else OTHER

    def _capped(self, scope: Hashable, name: str, limit: int) -> str:
        seen = self._seen.setdefault(scope, set())
        if name in seen:
            return name
        if len(seen) >= limit:
            return OTHER
        seen.add(name)
        return name
