"""Key tables and the keys of a block: equal keys have one number, caps turn into `other`, bad names are refused."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from monitor.cells import ALL, OTHER, REFUSED, UNKNOWN, BlockKeys, CellKey, KeyTable, Limits, RawKey
from monitor.events import Modality, Variant


def raw(**fields: Any) -> RawKey:
    told: dict[str, Any] = {"model": "m", "version": "1", "variant": Variant.CHAMPION, "policy": "p"}
    told |= {"language": None, "region": None, "surface": None, "modality": None}
    return tuple((told | fields).values())


def keys(table: KeyTable, *raws: RawKey) -> list[CellKey]:
    """What the keys of one block count as, without those that are refused."""
    return counted(BlockKeys(table), *raws)


def counted(block: BlockKeys, *raws: RawKey) -> list[CellKey]:
    codes = np.array([code for key in raws if (code := block.table.codes[key]) != REFUSED], dtype=np.int64)
    block.note(codes)
    return [block.table.keys[code] for code in block.counted(codes).tolist()]


def test_equal_keys_have_one_number_in_order_of_first_appearance() -> None:
    table = KeyTable(Limits())
    assert [0, 1, 0, 2] == [table.codes[raw(policy=policy)] for policy in ("b", "a", "b", "c")]
    assert ["b", "a", "c"] == [key.policy for key in table.keys]


def test_a_key_counts_in_the_whole_and_once_in_each_kind_of_segment() -> None:
    table = KeyTable(Limits(), (("language",), ("language", "region")))
    code = table.codes[raw(language="es", region="us")]
    names = [table.series[number] for number in table.series_of(np.array([code]))[0].tolist()]
    expected = [ALL, "language=es", "language=es,region=us"]
    assert [("1", "champion", "p", segment) for segment in expected] == names


def test_series_of_two_models_are_two_though_their_names_are_one() -> None:
    table = KeyTable(Limits(), (("language",),))
    codes = np.array([table.codes[raw(model=model, language=name)] for model in "za" for name in ("es", "en")])
    assert [[0, 1], [0, 2], [3, 4], [3, 5]] == table.series_of(codes).tolist()
    assert ["z", "a"] == table.models
    assert [0, 0, 1, 1] == table.model_of(codes).tolist()


def test_only_keys_that_count_have_series() -> None:
    table = KeyTable(Limits(policies=1))
    block = BlockKeys(table)
    codes = np.array([table.codes[raw(policy=f"p{number}")] for number in range(100)])
    block.note(codes)
    table.series_of(block.counted(codes))
    assert [("1", "champion", policy, ALL) for policy in ("p0", OTHER)] == table.series


@pytest.mark.parametrize("seed", range(5))
def test_what_a_block_counts_does_not_depend_on_what_the_table_met_before(seed: int) -> None:
    rng = random.Random(seed)
    limits = Limits(models_in_block=3, versions=2, policies=2, dimension_values=3)
    pool = [
        raw(model=f"m{rng.randrange(5)}", version=f"{rng.randrange(4)}", policy=f"p{rng.randrange(4)}", language=name)
        for name in ("en", "es", "de", "fr", None)
        for _ in range(8)
    ]
    used = KeyTable(limits)
    for _ in range(10):
        block = rng.choices(pool, k=rng.randrange(1, 30))
        cut = rng.randrange(len(block) + 1)
        known, fresh = BlockKeys(used), BlockKeys(KeyTable(limits))
        counted(known, *block[:cut])  # asked in between, as for an open block
        assert counted(fresh, *block)[cut:] == counted(known, *block[cut:])


def test_what_an_event_does_not_say_is_unknown() -> None:
    (key,) = keys(KeyTable(Limits()), raw())
    assert CellKey("m", "1", "champion", "p", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN) == key


def test_a_value_that_is_not_enumerated_is_other() -> None:
    table = KeyTable(Limits(values={"language": frozenset({"es"})}))
    found = keys(table, raw(language="es"), raw(language="fr"), raw(), raw(region="fr"))
    assert ["es", OTHER, UNKNOWN, UNKNOWN] == [key.language for key in found]
    assert "fr" == found[3].region


def test_each_label_has_its_own_cap_within_a_model() -> None:
    table = KeyTable(Limits(versions=2, policies=1, dimension_values=2))
    found = keys(
        table,
        raw(version="1", policy="a", language="en"),
        raw(version="2", policy="b", language="es"),
        raw(version="3", policy="a", language="de"),
        raw(model="n", version="3", policy="b", language="de"),
    )
    assert ["1", "2", OTHER, "3"] == [key.model_version for key in found]
    assert ["a", OTHER, "a", "b"] == [key.policy for key in found]
    assert ["en", "es", OTHER, "de"] == [key.language for key in found]


def test_models_beyond_the_cap_share_other_and_its_caps() -> None:
    block = BlockKeys(KeyTable(Limits(models_in_block=1, versions=1)))
    found = counted(block, raw(model="a"), raw(model="b", version="x"), raw(model="c", version="y"), raw(model="a"))
    assert ["a", OTHER, OTHER, "a"] == [key.model for key in found]
    assert ["1", "x", OTHER, "1"] == [key.model_version for key in found]
    assert (OTHER, "a") == (block.model("d"), block.model("a"))


def test_a_bomb_of_distinct_values_counts_as_no_more_keys_than_the_caps_allow() -> None:
    table = KeyTable(Limits(models_in_block=3, versions=2, policies=2, dimension_values=4))
    found = keys(
        table,
        *(
            raw(model=f"m{number % 50}", version=f"v{number}", policy=f"p{number}", language=f"l{number}")
            for number in range(5000)
        ),
    )
    models, versions, policies, languages = 3 + 1, 2 + 1, 2 + 1, 4 + 1
    assert len(set(found)) <= models * versions * policies * languages
    assert {OTHER} | {f"m{number}" for number in range(3)} == {key.model for key in found}


@pytest.mark.parametrize("field", ["model", "version", "policy", "language", "region", "surface"])
@pytest.mark.parametrize("name", ["a b", "a\n", "\x00", "__name__", "\u202ea", "a=b,c=d", "\U0001f600"])
def test_a_name_that_may_not_become_a_label_refuses_its_event_and_takes_no_place(field: str, name: str) -> None:
    table = KeyTable(Limits(models_in_block=1, versions=1, policies=1, dimension_values=1))
    bad = raw(**{field: name})
    assert REFUSED == table.codes[bad]
    found = table.refusals[bad]
    assert found.field in ("model_version", field)
    assert found.message.isascii()
    assert found.message.isprintable()
    assert [] == table.keys
    assert ["es"] == [key.language for key in keys(table, bad, raw(language="es"))]


def test_variant_and_modality_are_told_by_their_values() -> None:
    (key,) = keys(KeyTable(Limits()), raw(variant=Variant.OTHER, modality=Modality.AUDIO))
    assert ("other", "audio") == (key.variant, key.modality)
