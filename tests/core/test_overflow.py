"""`other` of several partitions reads as one model, as if one partition had taken all of its blocks."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given

from monitor.blocks import BlockMessage, ModelBlock
from monitor.cells import OTHER, Limits
from monitor.evaluate import PartitionEvaluator
from monitor.model import ModelSettings
from monitor.overflow import snapshots
from monitor.snapshot import ModelSnapshot
from tests.core.runs import LAYOUT, model_settings, summaries
from tests.core.strategies import examples, seeds, traffic

SETTINGS = model_settings(layout=LAYOUT, limits=Limits(models=1))


def folded(
    messages: list[BlockMessage], clock_ms: int | None, settings: ModelSettings = SETTINGS
) -> PartitionEvaluator:
    evaluator = PartitionEvaluator(settings)
    for message in messages:
        evaluator.fold(message)
    evaluator.advance(clock_ms)
    return evaluator


def by_series(found: ModelSnapshot) -> dict[object, object]:
    order = sorted(range(len(found.series)), key=found.series.__getitem__)
    told: dict[object, object] = {"series": [found.series[row] for row in order]}
    for name in ("decisions", "reviews", "appeals", "reports"):
        told[name] = getattr(found, name).values[order].tolist()
    for histogram in ("score", "latency"):
        told[histogram] = getattr(found, histogram).counts[order].tolist()
    for one in found.readings:
        values = np.nan_to_num(one.value[order], nan=-1.0).tolist()
        told[one.quantity, one.window, one.method, one.input] = (values, one.sample[order].tolist())
    told["rest"] = (found.launches, found.last_decision_at)
    return told


@examples(8)
@given(seed=seeds)
def test_other_of_two_partitions_reads_as_if_it_were_one(seed: int) -> None:
    rng = random.Random(seed)
    logs = traffic(seed, models=6)
    end = max(at for log in logs for at in log.timestamps)
    side: dict[str, int] = {}
    halves: tuple[list[BlockMessage], list[BlockMessage]] = ([], [])
    first: list[BlockMessage] = []
    for message in (message for log in logs for message in summaries(log)):
        if isinstance(message, ModelBlock):
            half = side.setdefault(message.model, rng.randrange(2))
            halves[half].append(message)
            first.append(message)
    nothing = model_settings(layout=LAYOUT, limits=Limits(models=0))
    parts = [folded(half, end, nothing) for half in halves]
    (found,) = snapshots(model for part in parts for model in part.models())
    (expected,) = snapshots(folded(first, end, nothing).models())
    assert OTHER == found.model
    assert by_series(expected) == by_series(found)


def test_models_of_one_partition_are_their_own_snapshots_in_order_of_name() -> None:
    evaluator = folded([m for log in traffic(2) for m in summaries(log)], 0, model_settings(layout=LAYOUT))
    found = snapshots(reversed(list(evaluator.models())))
    assert ["m", "m0", "m1", "m2"] == [one.model for one in found]


def test_detections_of_one_series_add_up() -> None:
    topic = [m for log in traffic(2) for m in summaries(log)]
    parts = [folded(topic, None, model_settings(layout=LAYOUT, limits=Limits(models=0))) for _ in range(2)]
    (one,) = parts[0].models()
    for key in list(one.streams._logics)[:3]:
        one.streams._found[key] = (2, 60.0)
    (other,) = parts[1].models()
    for key in list(other.streams._logics)[:3]:
        other.streams._found[key] = (3, 120.0)
    (found,) = snapshots([one, other])
    assert [(5, 120.0)] * 3 == [(d.count, d.last_at) for d in found.detections if d.count]
