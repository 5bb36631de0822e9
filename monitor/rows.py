"""Events as columns: what a block keeps of a record until it is summarised.

A row holds numbers only; names have become codes of a key table, ids have become 64-bit hashes. Each column is one pass
over the events by `map` and `attrgetter`: a loop in C, no bytecode a record.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from monitor.cells import REFUSED, KeyTable, RawKey
from monitor.decode import Rejected
from monitor.events import (
    Appeal,
    CountedDecision,
    FeatureValue,
    Feedback,
    Report,
    Review,
    ReviewSource,
)
from monitor.layout import ACTIONS, LABEL_VERDICTS, REVIEW_KINDS, STAGES

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

ACTION_COLUMN: Final = {action: index for index, action in enumerate(ACTIONS)}
STAGE_COLUMN: Final = {stage: index for index, stage in enumerate(STAGES)}
REVIEW_COLUMN: Final = {kind: index for index, kind in enumerate(REVIEW_KINDS)}
VERDICT_COLUMN: Final = {verdict: index for index, verdict in enumerate(LABEL_VERDICTS)}


@dataclass(frozen=True, slots=True)
class Rows:
    """What all accepted records of a block share. Arrays have shape (rows,), in order of offset."""

    timestamp_ms: Ints
    """Kafka timestamp"""
    occurred_ms: Ints
    """time of the decision"""
    key: Ints
    """code in the key table; -1 for feedback whose decision is not known"""
    id_hash: Hashes
    column: Ints
    """column within the group of the record's kind: the action, (source, verdict), the stage, 0 for reports"""


@dataclass(frozen=True, slots=True)
class DecisionRows(Rows):
    """Decisions. `latency` is NaN where it is not told."""

    score: Floats
    latency: Floats
    sampled: Mask
    """whether it was sampled for review"""
    features: npt.NDArray[np.object_] | None
    """mapping of name to value, or None; None as a whole where features are not counted"""


R = TypeVar("R", bound=Rows)


@dataclass(frozen=True, slots=True)
class FeedbackRows(Rows):
    """Reviews, appeals and reports about decisions."""

    action: Ints
    """column of the decision's action; -1 where the decision is not known"""
    verdict: Ints
    """0 violating, 1 benign; -1 for everything that is not a label of known inclusion probability"""
    probability: Floats
    """inclusion probability of the label; NaN where it is not known"""


def hash_id(identifier: str) -> int:
    """64-bit hash of an id, the same in every process."""
    return xxh3_64_intdigest(identifier.encode())


def hash_ids(identifiers: Sequence[bytes]) -> Hashes:
    """`hash_id` of each, of their UTF-8."""
    return np.fromiter(map(xxh3_64_intdigest, identifiers), dtype=np.uint64, count=len(identifiers))


decision_key: Final = attrgetter(
    "model", "model_version", "variant", "policy", "language", "region", "surface", "modality"
)
"""What the key table tells cells apart by: the RawKey of a decision or of a decision's context."""
_DECISION_ID: Final = attrgetter("decision_id")
_OCCURRED_AT: Final = attrgetter("occurred_at")
_ACTION: Final = attrgetter("action")
_SCORE: Final = attrgetter("score")
_LATENCY: Final = attrgetter("latency_seconds")
_SAMPLED: Final = attrgetter("sampled")
_PROBABILITY: Final = attrgetter("inclusion_probability")
_FEATURES: Final = attrgetter("features")


def decision_rows(
    events: Sequence[CountedDecision], timestamps: Ints, table: KeyTable, *, features: bool = False
) -> tuple[DecisionRows, dict[int, Rejected]]:
    """Columns of decisions, and which of them (by index) are refused for a name; refused ones have no row.

    With `features` the events are FeaturedDecisions.
    """
    keys: list[RawKey | None] = list(map(decision_key, events))
    codes, refused = _codes(keys, table)
    if refused:
        events = [event for index, event in enumerate(events) if index not in refused]
        timestamps = np.delete(timestamps, list(refused))
    count = len(events)
    rows = DecisionRows(
        timestamp_ms=timestamps,
        occurred_ms=_milliseconds(map(datetime.timestamp, map(_OCCURRED_AT, events)), count),
        key=codes,
        id_hash=hash_ids(list(map(str.encode, map(_DECISION_ID, events)))),
        column=np.fromiter(map(ACTION_COLUMN.__getitem__, map(_ACTION, events)), dtype=np.int64, count=count),
        score=np.fromiter(map(_SCORE, events), dtype=np.float64, count=count),
        latency=np.array(list(map(_LATENCY, events)), dtype=np.float64),  # None becomes NaN
        sampled=np.fromiter(map(_is_sampled, map(_SAMPLED, events), map(_PROBABILITY, events)), np.bool_, count=count),
        features=_objects(list(map(_FEATURES, events))) if features else None,
    )
    return rows, refused


def feedback_rows(
    events: Sequence[Review | Appeal | Report], timestamps: Ints, table: KeyTable
) -> tuple[FeedbackRows, dict[int, Rejected]]:
    """Columns of feedback, and which of it (by index) is refused for a name; refused ones have no row.

    Feedback without context has key -1: its decision is not known here.
    """
    contexts = [event.decision for event in events]
    codes, refused = _codes([None if context is None else decision_key(context) for context in contexts], table)
    if refused:
        events = [event for index, event in enumerate(events) if index not in refused]
        contexts = [event.decision for event in events]
        timestamps = np.delete(timestamps, list(refused))
    labels = [_label(event) for event in events]
    rows = FeedbackRows(
        timestamp_ms=timestamps,
        occurred_ms=_milliseconds(
            (0.0 if context is None else context.occurred_at.timestamp() for context in contexts), len(contexts)
        ),
        key=codes,
        id_hash=np.array([hash_id(_feedback_id(event)) for event in events], dtype=np.uint64),
        column=np.array([_feedback_column(event) for event in events], dtype=np.int64),
        action=np.array(
            [-1 if context is None else ACTION_COLUMN[context.action] for context in contexts], dtype=np.int64
        ),
        verdict=np.array([verdict for verdict, _ in labels], dtype=np.int64),
        probability=np.array([probability for _, probability in labels], dtype=np.float64),
    )
    return rows, refused


def concatenate(parts: Sequence[R]) -> R:
    """The rows of several fetches as one; all of the same class, at least one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    columns = {column.name: [getattr(part, column.name) for part in parts] for column in fields(first)}
    return replace(first, **{name: np.concatenate(told) for name, told in columns.items() if told[0] is not None})


def take(rows: R, which: Mask | Ints | slice, **columns: Ints) -> R:
    """The rows that `which` selects, with some columns replaced (before the selection)."""
    told = {column.name: columns.get(column.name, getattr(rows, column.name)) for column in fields(rows)}
    return replace(rows, **{name: column[which] for name, column in told.items() if column is not None})


def no_decisions() -> DecisionRows:
    """Zero rows."""
    none = np.empty(0, dtype=np.int64)
    return DecisionRows(
        timestamp_ms=none,
        occurred_ms=none,
        key=none,
        id_hash=none.astype(np.uint64),
        column=none,
        score=none.astype(np.float64),
        latency=none.astype(np.float64),
        sampled=none.astype(np.bool_),
        features=None,
    )


def _is_sampled(sampled: bool | None, inclusion_probability: float | None) -> bool:
    """A probability alone says so only where `sampled` is not told: many producers log it for all decisions."""
    return inclusion_probability is not None if sampled is None else sampled


def _objects(values: Sequence[Mapping[str, FeatureValue] | None]) -> npt.NDArray[np.object_]:
    array = np.empty(len(values), dtype=np.object_)
    array[:] = values
    return array


def _codes(keys: Sequence[RawKey | None], table: KeyTable) -> tuple[Ints, dict[int, Rejected]]:
    """Codes of keys, -1 for None; refused ones are left out and told by index."""
    if None in keys:
        found = (-1 if key is None else table.codes[key] for key in keys)
        codes = np.fromiter(found, dtype=np.int64, count=len(keys))
    else:
        codes = np.fromiter(map(table.codes.__getitem__, keys), dtype=np.int64, count=len(keys))  # type: ignore[arg-type]
    bad = np.flatnonzero(codes == REFUSED)
    if not bad.size:
        return codes, {}
    return np.delete(codes, bad), {
        index: table.refusals[key] for index in bad.tolist() if (key := keys[index]) is not None
    }


def _milliseconds(seconds: Iterable[float], count: int) -> Ints:
    return np.rint(np.fromiter(seconds, dtype=np.float64, count=count) * 1000.0).astype(np.int64)


def _feedback_id(event: Feedback) -> str:
    """What makes two feedback events the same: a review, a stage of an appeal, a report."""
    match event:
        case Review():
            return event.review_id
        case Appeal():
            return f"{event.stage.value}\x1f{event.appeal_id}"
        case Report():
            return event.report_id
    raise TypeError(f"feedback: expected a review, an appeal or a report, got {type(event).__name__}")


def _feedback_column(event: Feedback) -> int:
    match event:
        case Review():
            return REVIEW_COLUMN[event.source, event.verdict]
        case Appeal():
            return STAGE_COLUMN[event.stage]
    return 0


def _label(event: Feedback) -> tuple[int, float]:
    """(verdict, inclusion probability) of a review that can be weighted, else (-1, NaN).

    The review's own probability counts; an audit may leave it to the decision's. Golden items are not traffic.
    """
    if not isinstance(event, Review) or event.source is ReviewSource.GOLDEN:
        return -1, math.nan
    probability = event.inclusion_probability
    if probability is None and event.source is ReviewSource.AUDIT and event.decision is not None:
        probability = event.decision.inclusion_probability
    verdict = VERDICT_COLUMN.get(event.verdict)
    if probability is None or verdict is None:
        return -1, math.nan
    return verdict, probability
