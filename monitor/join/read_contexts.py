"""Bytes of decisions to what feedback needs of them: by the compiled scanner, what it is not sure of by decoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from monitor import read_decisions
from monitor.decode import decode_identified
from monitor.events import Action
from monitor.join.forwarding import Contexts, contexts_of, encode_names
from monitor.read_decisions import raw_key, split_names
from monitor.slices import Slices

try:
    from monitor import scan as _scan
except ImportError:
    _scan = None  # type: ignore[assignment]


def read_contexts(values: Sequence[bytes | None], places: Sequence[int]) -> Contexts:
    """The contexts of the decisions at some `places`, all of which `monitor.read_decisions` took."""
    count = len(places)
    if not count or not read_decisions.COMPILED:
        return _decoded(values, places)
    ids, names = [b""] * count, [b""] * count
    occurred_us = np.empty(count, dtype=np.int64)
    score, inclusion = np.empty((2, count))
    slices = Slices.of(values)
    begin, end = slices.begin[places], slices.end[places]
    _scan.contexts(slices.buffer, begin, end, occurred_us, score, inclusion, ids, names)
    encoded = [_encoded(told) if told else b"" for told in names]
    columns = (ids, encoded, occurred_us.tolist(), score.tolist(), inclusion.tolist())
    unsure = [row for row, told in enumerate(names) if not told]
    for row, *found in zip(unsure, *_decoded(values, [places[row] for row in unsure]), strict=True):
        for column, told in zip(columns, found, strict=True):
            column[row] = told
    return Contexts(*columns)


def _decoded(values: Sequence[bytes | None], places: Sequence[int]) -> Contexts:
    return contexts_of([decode_identified(value) for place in places if (value := values[place]) is not None])


@lru_cache(8192)
def _encoded(names: bytes) -> bytes:
    """The names that `contexts` of the scanner joined; those of all decisions are few."""
    model, version, role, policy, language, region, surface, kind = raw_key(names)
    action, policy_version, design = split_names(names)[-3:]
    told = (model, version, policy, Action(action or ""), policy_version, kind, language, region, surface, role, design)
    return encode_names(told)
