"""Bytes of decisions to what feedback needs of them: by the compiled scanner, what it is not sure of by decoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from monitor import read_decisions
from monitor.decode import decode_identified
from monitor.events import Action
from monitor.join.forwarding import Contexts, contexts_of, encode_names, numbered
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
    ids, told = [b""] * count, [b""] * count
    occurred_us = np.empty(count, dtype=np.int64)
    score, inclusion = np.empty((2, count))
    slices = Slices.of(values)
    begin, end = slices.begin[places], slices.end[places]
    _scan.contexts(slices.buffer, begin, end, occurred_us, score, inclusion, ids, told)
    names, which = numbered(told)
    unsure = [row for row, one in enumerate(told) if not one] if b"" in names else []
    found = Contexts(ids, [_encoded(one) if one else b"" for one in names], which, occurred_us, score, inclusion)
    return _replaced(found, unsure, _decoded(values, [places[row] for row in unsure])) if unsure else found


def _replaced(found: Contexts, rows: Sequence[int], by: Contexts) -> Contexts:
    """`found`, some rows of which are those of `by`."""
    for row, told in zip(rows, by.ids, strict=True):
        found.ids[row] = told
    found.which[rows] = by.which + len(found.names)
    found.occurred_us[rows], found.score[rows], found.inclusion[rows] = by[3:]
    return found._replace(names=found.names + by.names)


def _decoded(values: Sequence[bytes | None], places: Sequence[int]) -> Contexts:
    return contexts_of([decode_identified(value) for place in places if (value := values[place]) is not None])


@lru_cache(8192)
def _encoded(names: bytes) -> bytes:
    """The names that `contexts` of the scanner joined; those of all decisions are few."""
    model, version, role, policy, language, region, surface, kind = raw_key(names)
    action, policy_version, design = split_names(names)[-3:]
    told = (model, version, policy, Action(action or ""), policy_version, kind, language, region, surface, role, design)
    return encode_names(told)
