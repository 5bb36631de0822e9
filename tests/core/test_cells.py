"""Key tables: equal keys have one number, caps turn into `other`, names that may not become labels are refused."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.cells import OTHER, UNKNOWN, CellKey, KeyTable, Limits, RawKey
from monitor.decode import Rejected
from monitor.events import Modality, Variant


def raw(**fields: Any) -> RawKey:
    told: dict[str, Any] = {"model": "m", "version": "1", "variant": Variant.CHAMPION, "policy": "p"}
    told |= {"language": None, "region": None, "surface": None, "modality": None}
    return tuple((told | fields).values())


def keys(table: KeyTable, *raws: RawKey) -> list[CellKey]:
    codes = [table.code(key) for key in raws]
    return [table.keys[code] for code in codes if not isinstance(code, Rejected)]


def test_equal_keys_have_one_number_in_order_of_first_appearance() -> None:
    table = KeyTable(Limits())
    assert [0, 1, 0, 2] == [table.code(raw(policy=policy)) for policy in ("b", "a", "b", "c")]
    assert ["b", "a", "c"] == [key.policy for key in table.keys]


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
    table = KeyTable(Limits(models_in_block=1, versions=1))
    found = keys(table, raw(model="a"), raw(model="b", version="x"), raw(model="c", version="y"), raw(model="a"))
    assert ["a", OTHER, OTHER, "a"] == [key.model for key in found]
    assert ["1", "x", OTHER, "1"] == [key.model_version for key in found]
    assert (OTHER, "a") == (table.model("d"), table.model("a"))


def test_a_bomb_of_distinct_values_makes_no_more_keys_than_the_caps_allow() -> None:
    table = KeyTable(Limits(models_in_block=3, versions=2, policies=2, dimension_values=4))
    for number in range(5000):
        table.code(raw(model=f"m{number % 50}", version=f"v{number}", policy=f"p{number}", language=f"l{number}"))
    models, versions, policies, languages = 3 + 1, 2 + 1, 2 + 1, 4 + 1
    assert len(table.keys) <= models * versions * policies * languages
    assert {OTHER} | {f"m{number}" for number in range(3)} == {key.model for key in table.keys}


@pytest.mark.parametrize("field", ["model", "version", "policy", "language", "region", "surface"])
@pytest.mark.parametrize("name", ["a b", "a\n", "\x00", "__name__", "\u202ea", "a=b,c=d", "\U0001f600"])
def test_a_name_that_may_not_become_a_label_refuses_its_event_and_takes_no_place(field: str, name: str) -> None:
    table = KeyTable(Limits(models_in_block=1, versions=1, policies=1, dimension_values=1))
    found = table.code(raw(**{field: name}))
    assert isinstance(found, Rejected)
    assert found.field in ("model_version", field)
    assert found.message.isascii()
    assert found.message.isprintable()
    assert [] == table.keys
    assert 0 == table.code(raw(language="es"))


def test_variant_and_modality_are_told_by_their_values() -> None:
    (key,) = keys(KeyTable(Limits()), raw(variant=Variant.OTHER, modality=Modality.AUDIO))
    assert ("other", "audio") == (key.variant, key.modality)
