"""Series tables: which rows a key counts in, what the caps turn into `other`, and that a restart changes neither."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given

from monitor import segments
from monitor.cells import OTHER, Limits, SeriesName
from monitor.segments import SeriesTable
from monitor.snapshot import SeriesKey
from tests.core.strategies import examples, seeds

KINDS = (("language",), ("language", "region"))


Names = tuple[SeriesName, ...]
"""The series of one key: the whole, then one of each kind"""


def key(
    version: str = "1", policy: str = "p", language: str = "es", region: str = "us", variant: str = "champion"
) -> Names:
    segments = ("all", f"language={language}", f"language={language},region={region}")
    return tuple((version, variant, policy, segment) for segment in segments)


def table(*, kinds: Sequence[tuple[str, ...]] = KINDS, **limits: Any) -> SeriesTable:
    return SeriesTable("m", kinds=kinds, limits=Limits(**limits))


def rows(found: SeriesTable, keys: Sequence[Names]) -> list[list[int]]:
    """The rows of each key's series, asked for all at once."""
    told = found.rows([name for one in keys for name in one])
    return told.reshape(len(keys), -1).tolist()


def named(found: SeriesTable, one: Names) -> list[SeriesKey | None]:
    return [None if row < 0 else found.series[row] for row in found.rows(one).tolist()]


def test_the_series_of_a_key_have_a_row_each() -> None:
    whole = SeriesKey("m", "1", "champion", "p", "all")
    segments = ["language=es", "language=es,region=us"]
    expected = [whole, *(whole._replace(segment=segment) for segment in segments)]
    assert expected == named(table(), key())


def test_rows_are_numbered_in_order_of_first_appearance_and_stay() -> None:
    found = table()
    assert [[0, 1, 2], [0, 3, 4], [0, 1, 2]] == rows(found, [key(), key(language="en"), key()])
    assert (0,) == found.rows([]).shape


def test_a_kind_of_segment_that_is_not_configured_has_no_row() -> None:
    assert [0, -1, -1] == table(kinds=()).rows(key()).tolist()


def test_versions_and_policies_beyond_their_caps_count_under_other() -> None:
    found = table(kinds=(), versions=1, policies=1)
    named(found, key())
    assert SeriesKey("m", OTHER, "champion", OTHER, "all") == named(found, key(version="2", policy="q"))[0]
    assert SeriesKey("m", "1", "champion", OTHER, "all") == named(found, key(policy="q"))[0]


def test_segments_beyond_the_cap_count_under_other_of_their_kind() -> None:
    found = table(segments=2)
    named(found, key())
    _, language, crossing = named(found, key(language="en"))
    assert language is not None
    assert crossing is not None
    assert ("language=other", "language=other,region=other") == (language.segment, crossing.segment)


def test_when_the_series_run_out_the_whole_is_still_counted_once() -> None:
    found = table(series=4)
    whole = Counter(row[0] for row in rows(found, [key(version=str(number)) for number in range(50)]))
    assert 50 == sum(whole.values())
    assert len(found.series) <= 4 + 1 + len(KINDS)
    row = found.series.index(SeriesKey("m", OTHER, OTHER, OTHER, "all"))
    assert 48 <= whole[row]


def test_when_the_series_run_out_a_new_segment_counts_under_other_of_its_kind() -> None:
    found = table(series=3)
    named(found, key())
    whole, language, crossing = named(found, key(language="en"))
    assert SeriesKey("m", "1", "champion", "p", "all") == whole
    assert SeriesKey("m", OTHER, OTHER, OTHER, "language=other") == language
    assert SeriesKey("m", OTHER, OTHER, OTHER, "language=other,region=other") == crossing


def random_keys(rng: random.Random, count: int) -> list[Names]:
    return [
        key(
            version=f"v{rng.randrange(6)}",
            policy=f"p{rng.randrange(5)}",
            language=f"l{rng.randrange(8)}",
            region=f"r{rng.randrange(3)}",
            variant=rng.choice(("champion", "shadow")),
        )
        for _ in range(count)
    ]


@examples(60)
@given(seed=seeds)
def test_whatever_the_caps_every_key_counts_in_one_whole_and_at_most_once_in_a_kind_and_the_table_stays_small(
    seed: int,
) -> None:
    rng = random.Random(seed)
    caps = Limits(
        versions=rng.randrange(1, 8),
        policies=rng.randrange(1, 8),
        segments=rng.randrange(1, 30),
        series=rng.randrange(1, 80),
    )
    found = SeriesTable("m", kinds=KINDS, limits=caps)
    for row in rows(found, random_keys(rng, 200)):
        assert "all" == found.series[row[0]].segment
        for kind, where in zip(KINDS, row[1:], strict=True):
            assert where < 0 or tuple(part.split("=")[0] for part in found.series[where].segment.split(",")) == kind
    assert len(found.series) <= caps.series + 1 + len(KINDS)
    assert len({one.model_version for one in found.series} - {OTHER}) <= caps.versions
    assert len({one.policy for one in found.series} - {OTHER}) <= caps.policies
    segments = {one.segment for one in found.series} - {"all", "language=other", "language=other,region=other"}
    assert len(segments) <= caps.segments


@examples(80)
@given(seed=seeds)
def test_a_table_restored_from_its_series_goes_on_as_the_first_one_does(seed: int) -> None:
    rng = random.Random(seed)
    caps = Limits(
        versions=rng.randrange(1, 8),
        policies=rng.randrange(1, 8),
        segments=rng.randrange(1, 30),
        series=rng.randrange(1, 80),
    )
    first = SeriesTable("m", kinds=KINDS, limits=caps)
    rows(first, random_keys(rng, rng.randrange(1, 100)))
    second = SeriesTable("m", kinds=KINDS, limits=caps)
    second.restore(first.series)
    later = random_keys(rng, 100)
    assert rows(first, later) == rows(second, later)
    assert first.series == second.series


def test_remembered_rows_may_be_forgotten_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = random_keys(random.Random(1), 100)
    found, forgetful = table(series=30), table(series=30)
    expected = [found.rows(one).tolist() for one in keys]
    monkeypatch.setattr(segments, "KNOWN_SERIES", 2)
    assert expected == [forgetful.rows(one).tolist() for one in keys]


@examples(30)
@given(seed=seeds)
def test_the_rows_of_a_key_never_change_so_that_what_was_counted_can_be_taken_back(seed: int) -> None:
    rng = random.Random(seed)
    found = table(versions=3, policies=3, segments=10, series=20)
    keys = random_keys(rng, 60)
    before = {one: found.rows(one).tolist() for one in keys}
    rows(found, random_keys(rng, 60))
    assert before == {one: found.rows(one).tolist() for one in keys}
