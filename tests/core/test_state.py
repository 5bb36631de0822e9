"""Checkpoints: what is damaged is set aside and named, what has changed its meaning starts anew, the rest goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.evaluate import PartitionEvaluator, Restored
from monitor.events import Action
from monitor.layout import Layout
from monitor.model import ModelSettings
from monitor.overflow import snapshots
from monitor.packing import Compressed, compress, expand
from monitor.sources import merge_totals
from monitor.state import (
    FORMAT,
    SEPARATOR,
    Head,
    Position,
    model_key,
    model_names,
    position_key,
)
from tests.core.runs import (
    EVALUATE,
    FEATURES,
    LAYOUT,
    SUMMARISE,
    evaluated,
    facts,
    ledger_facts,
    model_settings,
    summaries,
    write,
    writes,
)
from tests.core.strategies import Log, examples, traffic

LOGS = traffic(7)
TOPIC = [message for log in LOGS for message in summaries(log)]
END = max(at for log in LOGS for at in log.timestamps)
MIDDLE = len(TOPIC) // 2
State = dict[bytes, bytes]


def saved(settings: ModelSettings = EVALUATE, *, messages: int = MIDDLE) -> State:
    evaluator = PartitionEvaluator(settings, owner="first")
    for message in TOPIC[:messages]:
        evaluator.fold(message)
    evaluator.advance()
    state: State = {}
    write(state, writes(evaluator.checkpoints(position=messages)))
    return state


def restored(state: State, settings: ModelSettings = EVALUATE) -> tuple[PartitionEvaluator, Restored]:
    evaluator = PartitionEvaluator(settings, owner="second")
    return evaluator, evaluator.restore(state)


def finished(evaluator: PartitionEvaluator, begin: int) -> PartitionEvaluator:
    for message in TOPIC[begin:]:
        evaluator.fold(message)
    evaluator.advance(END)
    return evaluator


STATE = saved()
EXPECTED = facts(evaluated(TOPIC, clock_ms=END))
HEADS = [key for key in STATE if key.startswith(b"model")]
PARTS = [key for key in STATE if key.startswith(b"part")]
SOURCES = [key for key in STATE if key.startswith(b"source")]
PLACE = position_key("first")


def test_a_state_has_heads_parts_sources_and_a_position_and_goes_on_exactly() -> None:
    assert {b"model", b"part", b"source", b"position"} == {key.split(SEPARATOR.encode())[0] for key in STATE}
    evaluator, found = restored(STATE)
    assert Restored(MIDDLE, ()) == found
    assert EXPECTED == facts(finished(evaluator, MIDDLE))


def test_no_state_at_all_starts_from_the_first_block() -> None:
    evaluator, found = restored({})
    assert Restored(0, ()) == found
    assert [] == list(evaluator.models())


def damaged(key: bytes, change: Callable[[bytes], bytes | None]) -> State:
    state = dict(STATE)
    value = change(state[key])
    if value is None:
        del state[key]
    else:
        state[key] = value
    return state


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "cut off": lambda value: value[: len(value) // 2],
    "empty": lambda _: b"",
    "foreign": lambda _: b"not msgpack at all",
    "of another type": lambda _: msgspec.msgpack.encode({"a": 1}),
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("key", [HEADS[0], PARTS[0], SOURCES[0], PLACE], ids=["head", "part", "source", "place"])
def test_a_damaged_record_is_set_aside_named_and_rebuilt_from_the_blocks(
    key: bytes, change: Callable[[bytes], bytes | None]
) -> None:
    evaluator, found = restored(damaged(key, change))
    assert 0 == found.reread_from
    (reason,) = found.unreadable
    assert key.split(SEPARATOR.encode())[2 if key in SOURCES else 0 if key is PLACE else 1].decode() in reason
    assert 1 == evaluator.discarded()["unreadable"]
    assert EXPECTED == facts(finished(evaluator, 0))


def test_a_part_that_is_missing_is_named_and_its_model_starts_anew() -> None:
    evaluator, found = restored(damaged(PARTS[0], lambda _: None))
    assert 1 == len(found.unreadable)
    assert "is missing" in found.unreadable[0]
    assert len(HEADS) - 1 == len(list(evaluator.models()))
    assert EXPECTED == facts(finished(evaluator, 0))


def test_what_is_not_damaged_is_kept() -> None:
    evaluator, _ = restored(damaged(SOURCES[0], lambda _: b""))
    assert len(SOURCES) - 1 == len(evaluator.sources())
    assert len(HEADS) == len(list(evaluator.models()))


def test_a_newer_format_is_set_aside_with_both_numbers() -> None:
    head = msgspec.msgpack.decode(STATE[HEADS[0]], type=Head)
    newer = msgspec.msgpack.encode(msgspec.structs.replace(head, format=FORMAT + 1))
    _, found = restored(damaged(HEADS[0], lambda _: newer))
    assert (f"state of model {head.model}: expected format {FORMAT}, got {FORMAT + 1}",) == found.unreadable


def cohort_part() -> bytes:
    return next(key for key in PARTS if key.split(SEPARATOR.encode())[2] == b"cohort")


@pytest.mark.parametrize("what", ["values", "places", "bytes", "types", "one array"])
def test_sums_that_decode_but_do_not_fit_together_are_set_aside_too(what: str) -> None:
    key = cohort_part()
    held = msgspec.msgpack.decode(STATE[key], type=Compressed)
    steps, value = expand(held)
    wrong = {
        "values": compress(steps, np.append(value, 1)),
        "places": compress(np.full(len(steps), 2**40), value),
        "bytes": msgspec.structs.replace(held, data=b"\1\2\3"),
        "types": msgspec.structs.replace(held, dtypes=("<f8", "<f8")),
        "one array": compress(steps),
    }
    evaluator, found = restored(damaged(key, lambda _: msgspec.msgpack.encode(wrong[what])))
    assert 1 == len(found.unreadable)
    assert EXPECTED == facts(finished(evaluator, 0))


@examples(40)
@given(data=st.data())
def test_no_damage_of_bytes_ends_in_an_exception(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(STATE)))
    value = bytearray(STATE[key])
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    evaluator, _ = restored(STATE | {key: bytes(value)})
    snapshots(evaluator.models())


@pytest.mark.parametrize(
    ("layout", "lost"),
    [
        (Layout(features=FEATURES, thresholds=(0.333,)), {"score"}),
        (Layout(features=FEATURES, positive_actions={Action.REMOVE}), {"labels", "weights", "squared_weights"}),
        (Layout(features=FEATURES[:1]), {"feature:kind"}),
        (Layout(features=FEATURES[::-1]), set()),
    ],
    ids=["thresholds", "positive actions", "features", "order of features"],
)
def test_a_changed_layout_keeps_every_group_whose_meaning_has_not_changed(layout: Layout, lost: set[str]) -> None:
    state = saved(messages=len(TOPIC))
    evaluator, found = restored(state, model_settings(layout=layout))
    assert () == found.unreadable
    before, _ = restored(state)
    columns = {
        group.start + offset: own.start + offset
        for group in LAYOUT.groups
        for own in layout.groups
        if group.name == own.name and group.name not in lost
        for offset in range(group.width)
    }
    for old, new in zip(before.models(), evaluator.models(), strict=True):
        for evaluated_ in (before, evaluator):
            evaluated_.advance(END)
        old_sums, new_sums = ledger_facts(old.ledger)["sums"], ledger_facts(new.ledger)["sums"]
        for key, value in old_sums.items():
            if isinstance(key[-1], int):
                if key[-1] in columns:
                    assert value == new_sums[*key[:-1], columns[key[-1]]]
            else:
                begins_anew = key[0] == "totals" and "score" in lost
                anew = range(layout.width)[layout.score_sum.columns] if begins_anew else range(0)
                assert not any(new_sums[key][column] for column in anew)  # as the bins of the same histogram
                kept = {old: own for old, own in columns.items() if own not in anew}
                assert [value[c] for c in kept] == [new_sums[key][own] for own in kept.values()]
        assert sum(isinstance(key[-1], int) and key[-1] in columns for key in old_sums) == sum(
            isinstance(key[-1], int) for key in new_sums
        )


def test_changed_kinds_of_segments_keep_the_whole_and_begin_the_new_ones() -> None:
    kinds = (("modality",),)
    evaluator, found = restored(STATE, model_settings(layout=LAYOUT, kinds=kinds))
    assert () == found.unreadable
    finished(evaluator, found.reread_from)
    for model in evaluator.models():
        own = ledger_facts(model.ledger)["sums"]
        expected = EXPECTED["models"][model.name]["sums"]
        whole = {key: value for key, value in expected.items() if key[0] == "totals" and key[1].segment == "all"}
        assert whole == {key: own[key] for key in whole}
    for message in summaries(Log(*later(LOGS[0])), dataclasses.replace(SUMMARISE, kinds=kinds)):
        evaluator.fold(message)
    told = {series.segment for model in evaluator.models() for series in model.ledger.table.series}
    assert any(segment.startswith("modality=") for segment in told)


def later(log: Log) -> tuple[Any, ...]:
    """The same records in later blocks of the partition."""
    offsets = [offset + 10**6 for offset in log.offsets]
    return log.source, log.partition, offsets, log.timestamps, log.values, log.end + 10**6


def test_only_what_has_changed_is_written() -> None:
    evaluator = PartitionEvaluator(EVALUATE, owner="o")
    for message in TOPIC:
        evaluator.fold(message)
    evaluator.advance()
    everything = evaluator.checkpoints(position=1)
    nothing = evaluator.checkpoints(position=2)
    assert {"m", "m0", "m1", "m2"} == {
        key.decode().split(SEPARATOR)[1] for key, _ in (m.head for m in everything.models)
    }
    assert ((), ()) == (nothing.models, nothing.sources)
    assert 2 == msgspec.msgpack.decode(nothing.position[1], type=Position).offset


def test_what_is_no_longer_named_is_removed_and_the_topic_does_not_grow() -> None:
    state: State = {}
    evaluator = PartitionEvaluator(EVALUATE, owner="first")
    sizes = []
    for number, message in enumerate(TOPIC):
        evaluator.fold(message)
        evaluator.advance()
        write(state, writes(evaluator.checkpoints(position=number)))
        named = sum(len(msgspec.msgpack.decode(state[key], type=Head).slots) for key in state if key in HEADS)
        sizes.append((sum(key.startswith(b"part") for key in state), named))
    assert all(named <= parts <= 2 * named for parts, named in sizes)


def folded(evaluator: PartitionEvaluator, begin: int, end: int) -> State:
    """The records of a checkpoint after more messages; those to be removed have no value."""
    for message in TOPIC[begin:end]:
        evaluator.fold(message)
    evaluator.advance()
    return {key: value or b"" for key, value in writes(evaluator.checkpoints(position=end))}


@pytest.mark.parametrize("kinds", [(b"model",), (b"source",), (b"position",), (b"model", b"source", b"position")])
def test_a_former_owners_records_that_come_late_count_for_nothing_once_there_is_a_newer_state(
    kinds: tuple[bytes, ...],
) -> None:
    """Its head names parts that the next owner has removed; blocks of that time may be gone from their topic."""
    state, quarter = dict(STATE), len(TOPIC) // 8
    former, _ = restored(state)
    owner = PartitionEvaluator(EVALUATE, owner="third")
    assert MIDDLE == owner.restore(state).reread_from
    late = folded(former, MIDDLE, MIDDLE + quarter)
    write(state, ((key, value or None) for key, value in folded(owner, MIDDLE, MIDDLE + 2 * quarter).items()))

    write(state, ((key, value) for key, value in late.items() if value and key.split(SEPARATOR.encode())[0] in kinds))

    evaluator, found = restored(state)
    assert Restored(MIDDLE + 2 * quarter, ()) == found
    assert EXPECTED == facts(finished(evaluator, found.reread_from))


def test_of_former_owners_nothing_is_left_after_the_first_checkpoint_of_the_next() -> None:
    state: State = {}
    for number in range(5):
        evaluator = PartitionEvaluator(EVALUATE, owner=f"owner{number}")
        begin = evaluator.restore(state).reread_from
        end = len(TOPIC) * (number + 1) // 5
        write(state, ((key, value or None) for key, value in folded(evaluator, begin, end).items()))
        assert [] == [key for key in state if f"owner{number}" not in key.decode().split(SEPARATOR)]
    evaluator, _ = restored(state)
    assert EXPECTED == facts(finished(evaluator, len(TOPIC)))


def test_an_owner_writes_everything_once_also_if_nothing_has_changed() -> None:
    evaluator, found = restored(STATE)
    state: State = {}
    write(state, writes(evaluator.checkpoints(position=found.reread_from)))
    assert len(STATE) == len(state)
    assert ((), (), ()) == (
        (again := evaluator.checkpoints(position=found.reread_from)).models,
        again.sources,
        again.obsolete,
    )


def test_names_of_models_are_read_from_their_heads() -> None:
    assert ["m0", "m1", "m2"] == model_names(STATE)
    assert ["a/b:c"] == model_names(
        {model_key("a/b:c", owner): b"" for owner in "xy"} | {b"model": b"", b"\xff\x1fx": b""}
    )


def test_a_head_that_is_behind_the_position_is_read_again_from_where_it_was() -> None:
    position = Position(10, {"a": 8, "b": 10})
    assert 10 == position.reread_from({"a": 8, "b": 10})
    assert 3 == position.reread_from({"a": 3, "b": 10})
    assert 0 == position.reread_from({"b": 10})
    assert 10 == position.reread_from({"a": 9, "b": 12, "c": 0})


def test_counters_of_sources_go_on_from_the_same_value() -> None:
    evaluator, _ = restored(saved(messages=len(TOPIC)))
    assert EXPECTED["counters"] == merge_totals(dict(evaluator.sources()))


def test_what_the_streaming_detectors_wait_for_is_kept() -> None:
    before = PartitionEvaluator(EVALUATE, owner="o")
    for message in TOPIC:
        before.fold(message)
    before.advance()
    after, _ = restored(saved(messages=len(TOPIC)))
    for old, new in zip(before.models(), after.models(), strict=True):
        assert old.ledger.arrivals_from == new.ledger.arrivals_from > 0
        assert old.streams.next_minute == new.streams.next_minute
        arrivals = [
            {minute: [part.tolist() for part in tally.items()] for minute, tally in model.ledger.arrivals.items()}
            for model in (old, new)
        ]
        assert arrivals[0] == arrivals[1]
