"""Bytes of decisions to columns: what is usual by the compiled scanner (scan.pyx), all else by `monitor.decode`.

Which of the two reads a record changes nothing but the time it takes. Where the scanner was not compiled, because there
was no C compiler when the package was installed, everything is decoded: the same numbers at a fifth of the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
import numpy as np

from monitor.cells import REFUSED, KeyTable, RawKey
from monitor.decode import Rejected, decode_decisions
from monitor.events import FeatureValue, Modality, Variant
from monitor.rows import DecisionRows, Ints, concatenate, decision_rows, take
from monitor.slices import Slices

try:
    from monitor import scan as _scan
except ImportError:
    _scan = None  # type: ignore[assignment]

COMPILED: Final = _scan is not None
"""Whether the scanner is there."""

DECODED_AT_ONCE: Final = 1024
"""Decisions that are objects at the same time: so many fit into a processor's cache, between JSON and columns."""
_FEATURES: Final = msgspec.json.Decoder(dict[str, FeatureValue] | None).decode


@dataclass(frozen=True, slots=True)
class ReadDecisions:
    """Records of decisions: the accepted ones as rows, and by index those that are not (None: a tombstone)."""

    rows: DecisionRows
    places: Ints
    """index of each row among the records, ascending"""
    refused: dict[int, Rejected | None]


def read_decisions(
    values: Sequence[bytes | None], timestamps: Sequence[int], table: KeyTable, *, features: bool
) -> ReadDecisions:
    """Read decisions as far as counting needs them; `timestamps` are Kafka's, milliseconds since the epoch.

    `features`: whether features are read too.
    """
    times = np.array(timestamps, dtype=np.int64)
    unsure = np.arange(len(values))
    found = []
    if COMPILED:
        found.append(_scanned(values, times, table, features))
        unsure = np.delete(unsure, found[0].places)
    while len(unsure) or not found:
        now, unsure = unsure[:DECODED_AT_ONCE], unsure[DECODED_AT_ONCE:]
        found.append(_decoded([values[index] for index in now.tolist()], times[now], now, table, features))
    return _in_order(found)


def _scanned(values: Sequence[bytes | None], timestamps: Ints, table: KeyTable, features: bool) -> ReadDecisions:
    """What the scanner is sure of."""
    count = len(values)
    key, occurred_ms, column = np.empty((3, count), dtype=np.int64)
    score, latency = np.empty((2, count))
    sampled = np.empty(count, dtype=np.bool_)
    id_hash = np.empty(count, dtype=np.uint64)
    texts: list[bytes | None] | None = [None] * count if features else None
    slices = Slices.of(values)
    unmet = _scan.scan(
        slices.buffer,
        slices.begin,
        slices.end,
        table.names,
        key,
        occurred_ms,
        id_hash,
        column,
        score,
        latency,
        sampled.view(np.uint8),
        texts,
    )
    for index, names in unmet.items():
        code = table.learn(names, raw_key)
        key[index] = _scan.UNSURE if code == REFUSED else code
    rows = DecisionRows(
        timestamp_ms=timestamps,
        occurred_ms=occurred_ms,
        key=key,
        id_hash=id_hash,
        column=column,
        score=score,
        latency=latency,
        sampled=sampled,
        features=None if texts is None else _features(texts, key),
    )
    places = np.arange(count)
    sure = key != _scan.UNSURE
    if not sure.all():
        rows, places = take(rows, sure), places[sure]
    return ReadDecisions(rows, places, {})


def split_names(names: bytes) -> list[str | None]:
    """Names that the scanner joined, None where one is not told."""
    told: list[str | None] = []
    at = 0
    while at < len(names):
        begin = at + 1
        at = begin if names[at] == _scan.NO_NAME else begin + names[at]
        told.append(names[begin:at].decode() or None)
    return told


def raw_key(names: bytes) -> RawKey:
    """The key of names as the scanner joins them: it has found that nothing is missing which is required."""
    model, version, variant, policy, language, region, surface, modality, *_ = split_names(names)
    role, kind = Variant(variant or Variant.CHAMPION), modality and Modality(modality)
    return cast(RawKey, (model, version, role, policy, language, region, surface, kind))


def _features(texts: Sequence[bytes | None], key: Ints) -> Any:
    """Features of decisions; where they are not what an event may hold, `key` takes UNSURE."""
    found = np.empty(len(texts), dtype=np.object_)
    for index, text in enumerate(texts):
        if text is not None:
            try:
                found[index] = _FEATURES(text)
            except msgspec.MsgspecError:
                key[index] = _scan.UNSURE
    return found


def _decoded(
    values: Sequence[bytes | None], timestamps: Ints, indices: Ints, table: KeyTable, features: bool
) -> ReadDecisions:
    """What decoding says of records, which are those with `indices` among more."""
    decoded = decode_decisions(values, features=features)
    places = np.array(decoded.places, dtype=np.int64)
    rows, unnamed = decision_rows(decoded.events, timestamps[places], table, features=features)
    refused = decoded.refused | {int(places[index]): why for index, why in unnamed.items()}
    places = np.delete(places, list(unnamed))
    return ReadDecisions(rows, indices[places], {int(indices[index]): why for index, why in refused.items()})


def _in_order(parts: Sequence[ReadDecisions]) -> ReadDecisions:
    """What several say of different records."""
    if len(parts) == 1:
        return parts[0]
    places = np.concatenate([part.places for part in parts])
    order = np.argsort(places)
    rows = take(concatenate([part.rows for part in parts]), order)
    return ReadDecisions(rows, places[order], {index: why for part in parts for index, why in part.refused.items()})
