"""Bytes of decisions to columns: what is usual by the compiled scanner (scan.pyx), all else by `monitor.decode`.

Which of the two reads a record changes nothing but the time it takes. Where the scanner was not compiled, because there
was no C compiler when the package was installed, everything is decoded: the same numbers at less than half the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from monitor.cells import KeyTable
from monitor.decode import Rejected, decode_decisions
from monitor.events import FeatureValue
from monitor.rows import DecisionRows, Ints, concatenate, decision_rows, hash_ids, take
from monitor.slices import Slices

try:
    from monitor import scan as _scan
except ImportError:
    _scan = None  # type: ignore[assignment]

COMPILED: Final = _scan is not None
"""Whether the scanner is there."""

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
    if not COMPILED:
        return _decoded(values, times, np.arange(len(values)), table, features)
    scanned, unmet = _scanned(values, times, table, features)
    if len(scanned.places) == len(values):
        return scanned
    unsure = np.delete(np.arange(len(values)), scanned.places)
    decoded = _decoded([values[index] for index in unsure.tolist()], times[unsure], unsure, table, features)
    learned = dict(zip(decoded.places.tolist(), decoded.rows.key.tolist(), strict=True))
    table.learn({names: learned[index] for index, names in unmet.items() if index in learned})
    return _in_order(scanned, decoded)


def _scanned(
    values: Sequence[bytes | None], timestamps: Ints, table: KeyTable, features: bool
) -> tuple[ReadDecisions, dict[int, bytes]]:
    """What the scanner is sure of, and by index the names that `table` does not know."""
    count = len(values)
    key, occurred_ms, column = np.empty((3, count), dtype=np.int64)
    score, latency = np.empty((2, count))
    sampled = np.empty(count, dtype=np.bool_)
    ids = [b""] * count
    texts: list[bytes | None] | None = [None] * count if features else None
    told = sampled.view(np.uint8)
    slices = Slices.of(values)
    unmet = _scan.scan(
        slices.buffer, slices.begin, slices.end, table.names, key, occurred_ms, column, score, latency, told, ids, texts
    )
    rows = DecisionRows(
        timestamp_ms=timestamps,
        occurred_ms=occurred_ms,
        key=key,
        id_hash=hash_ids(ids),
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
    return ReadDecisions(rows, places, {}), unmet


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


def _in_order(one: ReadDecisions, other: ReadDecisions) -> ReadDecisions:
    """What two say of different records."""
    places = np.concatenate([one.places, other.places])
    order = np.argsort(places)
    return ReadDecisions(
        take(concatenate([one.rows, other.rows]), order),
        places[order],
        one.refused | other.refused,
    )
