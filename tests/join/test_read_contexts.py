"""What feedback is told of a decision is the same whether its record is scanned or decoded."""

from __future__ import annotations

import random
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cells import KeyTable, Limits
from monitor.join.forwarding import Contexts
from monitor.join.name_book import NameBook
from monitor.join.read_contexts import read_contexts
from monitor.read_decisions import read_decisions
from monitor.rows import Ints
from monitor.slices import Slices
from tests.bench.decisions import Decisions
from tests.core.strategies import decision, encoded, examples, seeds
from tests.core.test_read_decisions import RECORDS, USUAL, VALUES, damaged, rearranged

NAMED = USUAL | {"design_id": "weekly"}


def taken(values: Sequence[bytes | None]) -> Ints:
    """Which of some records are accepted decisions."""
    return read_decisions(values, [0] * len(values), KeyTable(Limits()), features=False).places


def agree(values: Sequence[bytes | None]) -> None:
    places = taken(values)
    with patch("monitor.read_decisions.COMPILED", new=False):
        expected = read_contexts(values, places, NameBook())
    for told in (values, Slices.of(values)):
        assert listed(expected) == listed(read_contexts(told, places, NameBook()))


def listed(told: Contexts) -> str:
    """As text, in which NaN is NaN; names by decision, as it does not matter which of them stand there unused."""
    names = [told.names[number] for number in told.which]
    return repr((told.ids, names, *(column.tolist() for column in told[3:])))


def scanned(values: Sequence[bytes | None]) -> Contexts:
    """The contexts of records none of which may need decoding."""
    with patch("monitor.join.read_contexts.decode_identified", None):
        return read_contexts(values, taken(values), NameBook())


@examples(60)
@given(values=st.lists(st.sampled_from([*RECORDS, encoded(NAMED)]), max_size=12))
def test_contexts_are_read_as_decoding_reads_them(values: list[bytes | None]) -> None:
    agree(values)


@examples(100)
@given(seed=seeds)
def test_fields_in_any_order_with_any_value_are_read_as_decoding_reads_them(seed: int) -> None:
    rng = random.Random(seed)
    agree([rearranged(rng, rng.random()) for _ in range(20)])


@examples(100)
@given(seed=seeds)
def test_damaged_records_are_read_as_decoding_reads_them(seed: int) -> None:
    rng = random.Random(seed)
    agree([damaged(rng, encoded(NAMED)) for _ in range(20)])


@pytest.mark.parametrize("field", ["policy_version", "design_id", "modality", "variant", "action"])
def test_a_name_of_any_value_is_read_as_decoding_reads_it(field: str) -> None:
    agree([encoded(NAMED | {field: "mark"}).replace(b'"mark"', value.encode()) for value in VALUES])


def test_usual_decisions_need_no_decoding() -> None:
    values = [*Decisions(acted_share=0.5).batch(500, 1_790_000_000_000), encoded(NAMED), encoded(decision(1))]
    assert 502 == len(scanned(values).ids)
    agree(values)


def test_of_no_decisions_there_is_nothing_to_read() -> None:
    assert "([], [], [], [], [])" == listed(read_contexts([None, b"junk"], np.empty(0, dtype=np.int64), NameBook()))
