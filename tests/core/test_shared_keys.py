"""Partitions that share their keys say what they would say alone, and what is shared does not grow for ever."""

from __future__ import annotations

import random

import pytest
from hypothesis import given

from monitor.blocks import encode_block
from monitor.cells import Limits
from monitor.shared_keys import CROWDED_BLOCKS, KEYS_KEPT, SharedKeys
from monitor.topics import DECISIONS
from tests.core.runs import KINDS, feed, summaries, summarise_settings, summariser
from tests.core.strategies import Log, decision, examples, log, seeds

ROOMY = Limits()
TIGHT = Limits(models_in_block=2, versions=2, policies=2, dimension_values=2)


def traffic(rng: random.Random, *, partition: int) -> Log:
    names = "abcd"
    events = [
        decision(
            number,
            model=rng.choice(names),
            model_version=rng.choice(names),
            policy=rng.choice(names),
            language=rng.choice((*names, "a name that is not allowed")),
        )
        for number in range(100)
    ]
    return log(DECISIONS, events, partition=partition)


@pytest.mark.parametrize("limits", [ROOMY, TIGHT])
@examples(25)
@given(seed=seeds)
def test_summaries_do_not_depend_on_what_other_partitions_met(limits: Limits, seed: int) -> None:
    rng = random.Random(seed)
    settings = summarise_settings(limits=limits, kinds=KINDS)
    logs = [traffic(rng, partition=number) for number in range(3)]
    shared = SharedKeys(settings)
    followers = [summariser(one, settings, keys=shared) for one in logs]
    told: list[list[bytes]] = [[] for _ in logs]
    for begin in range(0, 100, 10):
        for at, one in enumerate(logs):
            told[at] += map(encode_block, feed(followers[at], one, begin, begin + 10)[1])
    for at, follower in enumerate(followers):
        told[at] += map(encode_block, follower.open_block())
    assert [list(map(encode_block, summaries(one, settings))) for one in logs] == told


def test_a_table_with_too_many_keys_is_begun_anew_and_blocks_keep_the_one_they_began_with() -> None:
    shared = SharedKeys(summarise_settings())
    table = shared.for_block()
    for number in range(KEYS_KEPT + 1):
        table.codes["m", f"v{number}", "champion", "p", None, None, None, None]  # type: ignore[index]
    new_table = shared.for_block()
    assert (KEYS_KEPT + 1, 0) == (len(table.keys), len(new_table.keys))
    assert new_table is shared.for_block()


def test_a_crowded_table_is_begun_anew_after_so_many_blocks() -> None:
    shared = SharedKeys(summarise_settings(limits=TIGHT))
    table = shared.for_block()
    for number in range(3):
        table.codes["m", f"v{number}", "champion", "p", None, None, None, None]  # type: ignore[index]
    assert table.crowded
    assert all(shared.for_block() is table for _ in range(CROWDED_BLOCKS - 1))
    assert table is not shared.for_block()
