"""What the compiled scanner takes, decoding takes with the same values; what is usual, it takes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from monitor.cells import MAXIMUM_NAMES, KeyTable, Limits
from monitor.decode import MAX_EVENT_BYTES, Rejected
from monitor.events import MAX_ID_LENGTH, Variant
from monitor.name_codes import NameCodes
from monitor.read_decisions import ReadDecisions, read_decisions
from monitor.rows import DecisionRows
from tests.bench.decisions import Decisions
from tests.core.strategies import decision, encoded, examples, review, seeds

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
USUAL = decision(
    1,
    modality="text",
    language="es",
    region="us",
    surface="feed",
    variant="challenger",
    latency_seconds=0.0123,
    sampled=True,
    inclusion_probability=0.05,
    schema_version="1.0",
    type="decision",
    features={"length": 17, "client": "web", "none": None},
    policy_version="p3",
    views=12,
    embedding_sketch=[0.25, -1e-3, 5],
    extension={"a": [1, {"b": [True, False, None, "x"]}], "c": {}, "d": []},
)
RECORDS: list[bytes | None] = [
    encoded(USUAL),
    encoded(decision(2)),
    encoded(decision(3, language=None, region=None, sampled=None, features=None, type=None)),
    encoded(decision(3, sampled=False, inclusion_probability=0.5)),
    encoded(decision(4, schema_version="1.7", action="strange", variant="strange", modality="smell")),
    encoded(decision(5, policy="named anything")),
    encoded(decision(6, features=[1])),
    encoded(decision(7, features={"a": [1]})),
    encoded(decision(8, score=7)),
    encoded(decision(9, schema_version="2.0")),
    encoded(decision("é")),
    encoded(decision(10, type="review")),
    encoded(decision(11))[:-1] + b" " * MAX_EVENT_BYTES + b"}",
    encoded(review(1, decision(1))),
    json.dumps(USUAL, indent=2).encode(),
    None,
    b"",
    b"{}",
    b"[]",
    b"\xff",
]
VALUES = (
    *("0", "1", "-0", "-1", "0.5", "0.", ".5", "05", "5e-1", "5E-01", "0.05e+1", "1e400", "1e-400", "0e", "+1", "1 2"),
    *("0.1000000000000000055511151231257827", "0.30000000000000004", "1e-05", "0.00001", "86400.0", "86400.00001"),
    *("null", "nul", "true", "falsey", "NaN", "Infinity", "{}", "[]", '{"a":1}', "[[[[[[[[[[1]]]]]]]]]]", '{"a":1,}'),
    *('""', '"x"', '"a\\u0041"', '"\\ud800"', '"é"', '"a\x00b"', '"a\tb"', '"a', '"' + "n" * 64 + '"'),
    *('"' + "n" * 65 + '"', '"' + "i" * 200 + '"', '"' + "i" * 201 + '"', '"allow"', '"strange"', '"1.0"', '"1.1"'),
    *('"2026-02-29T00:00:00Z"', '"2024-02-29T00:00:00Z"', '"2026-11-26T08:15:60Z"', '"2026-11-26T24:00:00Z"'),
    *('"2026-11-26T08:15:30.1234567Z"', '"2026-11-26 08:15:30Z"', '"2026-11-26T08:15:30z"', '"2026-11-26T08:15:30"'),
    *('"2026-11-26T08:15:30-00:00"', '"2026-11-26T08:15:30+2400"', '"2026-11-26T08:15:30.Z"', '"1969-12-31T23:59:59Z"'),
)
NUMBERED = ("occurred_ms", "id_hash", "column", "score", "latency", "sampled", "timestamp_ms")


def read(values: Sequence[bytes | None], table: KeyTable, *, scanner: bool, features: bool = True) -> ReadDecisions:
    times = [1_000 + index for index in range(len(values))]
    with patch("monitor.read_decisions.COMPILED", new=scanner):
        return read_decisions(values, times, table, features=features)


def agree(values: Sequence[bytes | None], table: KeyTable, *, features: bool = True) -> None:
    """Scanning and decoding say the same of each record."""
    plain_table = KeyTable(Limits())
    told = read(values, table, scanner=True, features=features)
    plain = read(values, plain_table, scanner=False, features=features)
    assert plain.refused == told.refused
    assert plain.places.tolist() == told.places.tolist()
    for name in NUMBERED:
        np.testing.assert_array_equal(getattr(plain.rows, name), getattr(told.rows, name), err_msg=name, strict=True)
    assert keys(plain.rows, plain_table) == keys(told.rows, table)
    assert listed(plain.rows.features) == listed(told.rows.features)


def keys(rows: DecisionRows, table: KeyTable) -> list[Any]:
    return [table.keys[code] for code in rows.key.tolist()]


def listed(features: Any) -> Any:
    return None if features is None else features.tolist()


def experienced() -> KeyTable:
    """A table that knows the names of the records."""
    table = KeyTable(Limits())
    read(RECORDS, table, scanner=True)
    return table


def scanned(values: Sequence[bytes | None], table: KeyTable) -> ReadDecisions:
    """Read records none of which may need decoding."""
    with patch("monitor.read_decisions.decode_decisions", None):
        return read(values, table, scanner=True)


@pytest.mark.parametrize("features", [False, True])
@examples(60)
@given(fetches=st.lists(st.lists(st.sampled_from([*RECORDS, *RECORDS[:4]]), max_size=10), max_size=6))
def test_records_are_read_as_decoding_reads_them(features: bool, fetches: list[list[bytes | None]]) -> None:
    table = KeyTable(Limits())
    for values in fetches:
        agree(values, table, features=features)


@examples(150)
@given(seed=seeds, text=st.sampled_from([encoded(USUAL), json.dumps(USUAL, indent=1).encode()]))
def test_damaged_records_are_read_as_decoding_reads_them(seed: int, text: bytes) -> None:
    rng = random.Random(seed)
    agree([damaged(rng, text) for _ in range(20)], experienced())


def damaged(rng: random.Random, text: bytes) -> bytes:
    """Some bytes of a record lost, exchanged, repeated or made up."""
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(text))
        end = at + rng.choice((0, 0, 1, 1, 2, 20))
        piece = rng.choice(
            (b"", bytes([rng.randrange(256)]), rng.choice(b'"{}[],:\\0 9.eE+-\n').to_bytes(1), text[at:end])
        )
        text = text[:at] + piece + text[end:]
    return text


@examples(150)
@given(seed=seeds)
def test_fields_in_any_order_with_any_value_are_read_as_decoding_reads_them(seed: int) -> None:
    rng = random.Random(seed)
    shuffled = rng.random()  # how often: most producers write their fields in one order
    agree([rearranged(rng, shuffled) for _ in range(20)], experienced())


def rearranged(rng: random.Random, shuffled: float) -> bytes:
    """The usual record with some fields left out, told twice, unknown, or with another value."""
    members = [(name, json.dumps(value)) for name, value in USUAL.items()]
    members += [(f"more_{number}", "1") for number in range(rng.choice((0, 0, 0, 40)))]
    if rng.random() < shuffled:
        rng.shuffle(members)
    members = members[rng.choice((0, 0, 0, 1)) :] + rng.choices(members, k=rng.choice((0, 0, 1)))
    for _ in range(rng.choice((0, 1, 1, 2))):
        at = rng.randrange(len(members))
        members[at] = members[at][0], rng.choice(VALUES)
    space = [rng.choice(("", "", " ", "\n\t", "\r")) for _ in range(5)]
    joined = (space[0] + ",").join(f'"{name}"{space[4]}:{space[1]}{value}' for name, value in members)
    return f"{{{space[2]}{joined}{space[3]}}}{space[0]}".encode()


@examples(200)
@given(
    number=st.one_of(
        st.floats(0, 1),
        st.floats(0, 86_400),
        st.decimals(0, 1, places=18, allow_nan=False),
        st.integers(0, 10**16).map(lambda digits: f"{digits}e-16"),
        st.integers(0, 10**15).map(lambda digits: f"0.{digits:015}E0"),
    )
)
def test_numbers_are_rounded_correctly(number: Any) -> None:
    text = str(number).encode()
    value = encoded(decision(1, latency_seconds=12345)).replace(b"12345", text)
    table = experienced()
    rows = scanned([value], table).rows
    assert [float(text)] == rows.latency.tolist()
    agree([value], table)


@examples(200)
@given(
    microseconds=st.integers(0, 8_000 * 365 * 86_400 * 10**6),
    offset=st.integers(-1439, 1439),
    decimals=st.integers(0, 6),
)
def test_instants_are_those_of_the_standard_library(microseconds: int, offset: int, decimals: int) -> None:
    microseconds -= microseconds % 10 ** (6 - decimals)
    at = (EPOCH + timedelta(microseconds=microseconds)).astimezone(timezone(timedelta(minutes=offset)))
    text = at.isoformat(timespec="microseconds")
    text = text[: 20 + decimals].rstrip(".") + text[26:]
    values = [encoded(decision(1, occurred_at=text))]
    if at.year >= 1970:
        assert [microseconds / 1000] == pytest.approx(scanned(values, experienced()).rows.occurred_ms.tolist(), abs=0.5)
    agree(values, experienced())


def test_usual_records_need_no_decoding_once_their_names_are_known() -> None:
    values = [*Decisions(acted_share=0.5, features=True).batch(2000, 1_790_000_000_000), encoded(USUAL)]
    table = KeyTable(Limits())
    read(values, table, scanner=True)
    found = scanned(values, table)
    assert len(values) == len(found.places)
    agree(values, table)


@pytest.mark.parametrize("name", ["policy_version", "extension", "actor_key"])
def test_of_a_record_with_letters_beyond_ascii_nothing_is_lost(name: str) -> None:
    table = experienced()
    value = encoded(USUAL | {name: "zażółć"})
    found = read([value, value.replace("zażółć".encode(), b"\\u0061")], table, scanner=True)
    assert [0, 1] == found.places.tolist()


def test_a_name_that_is_not_allowed_is_refused_each_time() -> None:
    table = KeyTable(Limits())
    value = encoded(decision(1, policy="named anything"))
    for _ in range(3):
        found = read([value], table, scanner=True)
        assert isinstance(found.refused[0], Rejected)
        assert "policy" == found.refused[0].field
    assert 0 == len(table.names)


def test_usual_records_whose_names_are_new_need_no_decoding_either() -> None:
    values = Decisions(acted_share=0.5).batch(300, 1_790_000_000_000)
    assert 300 == len(scanned(values, KeyTable(Limits())).places)


def test_ids_of_any_length_are_hashed_as_the_library_hashes_them() -> None:
    rng = random.Random(1)
    ids = ["".join(rng.choices("0123456789abcdef-", k=size)) for size in range(1, MAX_ID_LENGTH + 1)]
    found = scanned([encoded(USUAL | {"decision_id": one}) for one in ids], experienced())
    assert [xxh3_64_intdigest(one.encode()) for one in ids] == found.rows.id_hash.tolist()


def test_names_that_are_new_all_the_time_are_forgotten() -> None:
    table = KeyTable(Limits())
    key = ("m", "1", Variant.CHAMPION, "p", None, None, None, None)
    for number in range(MAXIMUM_NAMES + 10_000):
        assert 0 == table.learn(str(number).encode(), lambda _: key)
    assert 9_990 <= len(table.names) <= 10_000


def test_names_are_told_apart_wherever_they_lie_in_the_table() -> None:
    names = NameCodes()
    texts = [bytes([size]) * size + number.to_bytes(2, "big") for size in range(1, 20) for number in range(300)]
    for code, text in enumerate(texts):
        names[text] = code
        names[text] = code + 1  # the first one stays
    kept = {text: names.get(text) for text in texts if names.get(text) is not None}
    assert len(kept) == len(names) == len(texts)
    assert all(texts[code] == text for text, code in kept.items() if code is not None)
    assert names.get(b"\x00") is None
    names.clear()
    assert 0 == len(names)
    assert all(names.get(text) is None for text in texts)


def test_names_that_all_want_one_place_are_not_all_kept() -> None:
    """Colliding texts cost a look at a few places and decoding, nothing else."""
    names = NameCodes()
    texts = [colliding(word) for word in range(64)]
    for code, text in enumerate(texts):
        names[text] = code
    kept = [code for code, text in enumerate(texts) if names.get(text) is not None]
    assert kept == list(range(32))
    assert [names.get(texts[code]) for code in kept] == kept


def colliding(word: int) -> bytes:
    """A text of sixteen bytes of which the second eight undo in its hash what the first did."""
    product = (16 ^ word) * 0x165667919E3779F9
    return word.to_bytes(8, "little") + (product % 2**64 ^ product >> 64).to_bytes(8, "little")


@pytest.mark.parametrize(("names", "code"), [(b"", 1), (b"x", -1)])
def test_no_names_and_codes_of_nothing_are_refused(names: bytes, code: int) -> None:
    with pytest.raises(ValueError, match="expected names and a code"):
        NameCodes()[names] = code
