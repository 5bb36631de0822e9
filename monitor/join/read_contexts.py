"""Bytes of decisions to what feedback needs of them: by the compiled scanner, what it is not sure of by decoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor import read_decisions
from monitor.decode import decode_identified
from monitor.events import Action
from monitor.join.forwarding import Contexts, contexts_of, encode_names
from monitor.join.name_book import NameBook
from monitor.read_decisions import raw_key, split_names
from monitor.rows import Ints
from monitor.slices import Slices

try:
    from monitor import scan as _scan
except ImportError:
    _scan = None  # type: ignore[assignment]


def read_contexts(values: Sequence[bytes | None], places: Ints, book: NameBook) -> Contexts:
    """The contexts of the decisions at some `places`, all of which `monitor.read_decisions` took."""
    book.begin_anew_if_full()
    count = len(places)
    if not count or not read_decisions.COMPILED:
        return _decoded(values, places, book)
    ids, told = [b""] * count, [b""] * count
    occurred_us = np.empty(count, dtype=np.int64)
    score, inclusion = np.empty((2, count))
    slices = Slices.of(values)
    begin, end = slices.begin[places], slices.end[places]
    _scan.contexts(slices.buffer, begin, end, occurred_us, score, inclusion, ids, told)
    numbers, unsure = book.scanned(told, _encoded)
    found = Contexts(ids, book.texts, np.array(numbers, dtype=np.int64), occurred_us, score, inclusion)
    return _replaced(found, unsure, _decoded(values, places[unsure], book)) if unsure else found


def _replaced(found: Contexts, rows: Sequence[int], by: Contexts) -> Contexts:
    """`found`, some rows of which are those of `by`; both have the same names."""
    for row, told in zip(rows, by.ids, strict=True):
        found.ids[row] = told
    found.which[rows], found.occurred_us[rows], found.score[rows], found.inclusion[rows] = by[2:]
    return found


def _decoded(values: Sequence[bytes | None], places: Ints, book: NameBook) -> Contexts:
    return contexts_of([decode_identified(value) for place in places if (value := values[place]) is not None], book)


def _encoded(names: bytes) -> bytes:
    """The names that `contexts` of the scanner joined."""
    model, version, role, policy, language, region, surface, kind = raw_key(names)
    action, policy_version, design = split_names(names)[-3:]
    told = (model, version, policy, Action(action or ""), policy_version, kind, language, region, surface, role, design)
    return encode_names(told)
