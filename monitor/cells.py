"""Cell keys: which model, version, role, policy and segment dimensions a record counts for, as numbers.

A table numbers the keys that it meets, for as long as its owner likes; what it numbers does not depend on what it met
before, but for the numbers. The caps on distinct values hold for each block by itself (`BlockKeys`), so that what they
turn into `other` depends on that block's records only.
"""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.decode import Rejected, invalid_name, name_is_allowed
from monitor.events import Modality, Variant

try:
    from monitor.name_codes import NameCodes
except ImportError:
    NameCodes = dict  # type: ignore[assignment,misc]  # the scanner, which alone asks it, was not compiled either

Ints = npt.NDArray[np.int64]

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


MAXIMUM_NAMES: Final = 50_000
"""Names as bytes beyond which they are learned anew: values of enumerations that are not known here are many names of
one key."""

_NAMED: Final = ("model", "model_version", "policy", "language", "region", "surface")
"""Fields of an event whose text may be anything."""

REFUSED: Final = -2
"""The code of a key with a name that may not become a label."""

ALL: Final = "all"
"""The segment that holds everything."""

SeriesName = tuple[str, str, str, str]
"""(model_version, variant, policy, segment) of one model"""


class _Codes(dict[RawKey, int]):
    """Numbers of keys; one that is not known is admitted."""

    def __init__(self, admit: Callable[[RawKey], int]) -> None:
        super().__init__()
        self._admit = admit

    def __missing__(self, raw: RawKey) -> int:
        code = self[raw] = self._admit(raw)
        return code


class KeyTable:
    """Numbers keys and the series that each counts in: `all`, and one for each of `kinds` (dimensions of segments).

    `codes[raw]` is the number of a key, or REFUSED; `refusals` then says why. `keys` and `model_of` are by that number.
    """

    def __init__(self, limits: Limits, kinds: Sequence[tuple[str, ...]] = ()) -> None:
        self.limits = limits
        self._kinds = tuple(tuple((name, CellKey._fields.index(name)) for name in kind) for kind in kinds)
        self.codes = _Codes(self._admit)
        self.names = NameCodes()
        """Codes of keys by their names as `monitor.scan` joins them; some keys have several, others none."""
        self.refusals: dict[RawKey, Rejected] = {}
        self.keys: list[CellKey] = []
        self.unknown: dict[str, list[int]] = {"variant": [], "modality": []}
        """Codes of the keys whose variant or modality is none that is known here."""
        self.models: list[str] = []
        self.series: list[SeriesName] = []
        """names of the series that keys counted in"""
        self.crowded = False
        """whether more values of some label have been met than the caps of a block allow"""
        self._cells: dict[CellKey, int] = {}
        self._model_numbers: dict[str, int] = {}
        self._series_numbers: dict[tuple[str, SeriesName], int] = {}
        self._caps = _caps(limits)
        self._met: dict[str, list[set[str]]] = {}
        """by model, the values of each of the labels that are capped within a model"""
        self._models_of = array("q")
        self._series_of: Ints = np.empty((0, 1 + len(kinds)), dtype=np.int64)

    def learn(self, names: bytes, key_of: Callable[[bytes], RawKey]) -> int:
        """The code of `names`, of which `key_of` makes the key; kept, if it is not REFUSED."""
        code = self.names.get(names)
        if code is None:
            code = self.codes[key_of(names)]
            if code != REFUSED:
                if len(self.names) >= MAXIMUM_NAMES:
                    self.names.clear()
                self.names[names] = code
        return code

    def cell(self, key: CellKey) -> int:
        """The number of a key as it counts."""
        code = self._cells.get(key)
        if code is None:
            code = self._cells[key] = len(self.keys)
            self.keys.append(key)
            model = self._model_numbers.setdefault(key.model, len(self.models))
            if model == len(self.models):
                self.models.append(key.model)
            self._models_of.append(model)
            for field, codes in self.unknown.items():
                if getattr(key, field) == OTHER:
                    codes.append(code)
        return code

    def model_of(self, codes: Ints) -> Ints:
        """Number (in `models`) of the model of each key."""
        return np.array(self._models_of, dtype=np.int64)[codes]

    def series_of(self, codes: Ints) -> Ints:
        """Numbers (in `series`) of the series that each key counts in; shape (codes, 1 + kinds)."""
        return self.named(codes)[codes]

    def named(self, codes: Ints) -> Ints:
        """`series_of` by code for these codes and others; shape (keys at least, 1 + kinds).

        Series are named when they are first asked for: a key that counts under `other` never is.
        """
        missing = len(self.keys) - len(self._series_of)
        if missing > 0:
            room = np.full((max(missing, len(self._series_of)), self._series_of.shape[1]), -1, dtype=np.int64)
            self._series_of = np.concatenate([self._series_of, room])
        met = np.flatnonzero(np.bincount(codes))
        for code in met[self._series_of[met, 0] < 0].tolist():
            self._series_of[code] = self._name_series(self.keys[code])
        return self._series_of

    def _admit(self, raw: RawKey) -> int:
        model, version, variant, policy, language, region, surface, modality = raw
        for where, name in zip(_NAMED, (model, version, policy, language, region, surface), strict=True):
            if name is not None and not name_is_allowed(name):
                self.refusals[raw] = invalid_name(where, name)
                return REFUSED
        key = CellKey(
            model,
            version,
            str.__str__(variant),  # of a member of an enumeration, its text
            policy,
            self._listed("language", language),
            self._listed("region", region),
            self._listed("surface", surface),
            UNKNOWN if modality is None else str.__str__(modality),
        )
        self._meet(key)
        return self.cell(key)

    def _listed(self, dimension: str, name: str | None) -> str:
        if name is None:
            return UNKNOWN
        values = self.limits.values.get(dimension)
        return name if values is None or name in values else OTHER

    def _meet(self, key: CellKey) -> None:
        if self.crowded:
            return
        met = self._met.get(key.model)
        if met is None:
            met = self._met[key.model] = [set() for _ in self._caps]
            self.crowded = len(self._met) > self.limits.models_in_block
        for names, name, limit in zip(met, _capped(key), self._caps, strict=True):
            names.add(name)
            if len(names) > limit:
                self.crowded = True

    def _name_series(self, key: CellKey) -> list[int]:
        segments = (ALL, *(",".join(f"{name}={key[place]}" for name, place in kind) for kind in self._kinds))
        numbers = []
        for segment in segments:
            name = (key.model_version, key.variant, key.policy, segment)
            number = self._series_numbers.setdefault((key.model, name), len(self.series))
            if number == len(self.series):
                self.series.append(name)
            numbers.append(number)
        return numbers


class BlockKeys:
    """The keys of one block's records, in order of the log: decides which of them count under `other`."""

    def __init__(self, table: KeyTable) -> None:
        self.table = table
        self._codes: list[Ints] = []
        self._seen: dict[Hashable, set[str]] = {}
        self._counted: dict[int, int] = {}

    def note(self, codes: Ints) -> None:
        """Take the codes of the next records; negative ones have no key."""
        self._codes.append(codes)

    def counted(self, codes: Ints) -> Ints:
        """The codes under which these codes of the block count."""
        if not self.table.crowded:
            return codes
        noted = np.concatenate(self._codes) if self._codes else codes
        self._codes = [noted]
        distinct, firsts = np.unique(noted, return_index=True)
        for code in distinct[np.argsort(firsts)].tolist():
            if code >= 0 and code not in self._counted:
                self._counted[code] = self.table.cell(self._capped(self.table.keys[code]))
        places = np.full(len(self.table.keys), -1, dtype=np.int64)
        places[list(self._counted)] = list(self._counted.values())
        return np.where(codes < 0, codes, places[codes])

    def model(self, name: str) -> str:
        """The name under which a model counts in this block."""
        return self._admitted("model", name, self.table.limits.models_in_block)

    def _capped(self, key: CellKey) -> CellKey:
        model = self.model(key.model)
        labels = enumerate(zip(_capped(key), _caps(self.table.limits), strict=True))
        version, policy, language, region, surface = (
            self._admitted((model, label), name, cap) for label, (name, cap) in labels
        )
        return CellKey(model, version, key.variant, policy, language, region, surface, key.modality)

    def _admitted(self, scope: Hashable, name: str, limit: int) -> str:
        seen = self._seen.setdefault(scope, set())
        if name in seen:
            return name
        if len(seen) >= limit:
            return OTHER
        seen.add(name)
        return name


def _capped(key: CellKey) -> tuple[str, str, str, str, str]:
    """The labels that are capped within a model, in the order of `_caps`."""
    return key.model_version, key.policy, key.language, key.region, key.surface


def _caps(limits: Limits) -> tuple[int, int, int, int, int]:
    values = limits.dimension_values
    return limits.versions, limits.policies, values, values, values
