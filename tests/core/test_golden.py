"""Golden values of a small fixed input: whoever changes a format or a number notices, and raises its FORMAT.

A changed digest means that blocks or checkpoints written before can no longer be read, or read differently. If that is
meant, raise `blocks.FORMAT` or `state.FORMAT` and write down the new digest here.
"""

from __future__ import annotations

import hashlib

import pytest

from monitor import blocks, state
from monitor.blocks import encode_block
from monitor.evaluate import PartitionEvaluator
from monitor.model import ModelSettings
from monitor.readings import Watched, readings
from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS
from tests.core.runs import LAYOUT, evaluated, model_settings, summaries, writes
from tests.core.strategies import MINUTE, T0, Log, appeal, decision, launch, log, report, review

MADE = [
    decision(
        number,
        at=T0 + number * MINUTE / 4,
        model_version=str(1 + number % 2),
        action=("allow", "remove", "label")[number % 3],
        score=number / 40,
        language=("en", "es")[number % 2],
        region="us",
        modality="text",
        latency_seconds=number / 100,
        features={"length": number / 10 - 2, "kind": "abc"[number % 3]},
    )
    for number in range(40)
]
SETTINGS: ModelSettings = model_settings(layout=LAYOUT, detectors=())


def logs() -> list[Log]:
    end = T0 + 600
    return [
        log(DECISIONS, [*MADE, MADE[3], None, b"{"], at=[*(T0 + n * MINUTE / 4 for n in range(40)), end, end, end]),
        log(
            REVIEWS,
            [
                review(n, about, verdict=("violating", "benign")[n % 5 == 0], inclusion_probability=(0.5, 0.125)[n % 2])
                for n, about in enumerate(MADE)
            ],
            at=end,
        ),
        log(APPEALS, [appeal(n, MADE[n], stage=("filed", "overturned")[n % 2]) for n in range(20)], at=end),
        log(REPORTS, [report(n, MADE[n], known=n % 4 > 0) for n in range(12)], at=end),
        log(LAUNCHES, [launch("2", traffic_share=0.5)], at=end),
    ]


TOPIC = [message for one in logs() for message in summaries(one)]


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def test_the_bytes_of_blocks_are_those_of_their_format() -> None:
    assert (2, "92455784d64b1567") == (blocks.FORMAT, digest(*map(encode_block, TOPIC)))


def test_the_bytes_of_a_checkpoint_are_those_of_its_format() -> None:
    evaluator = PartitionEvaluator(SETTINGS, owner="golden")
    for message in TOPIC:
        evaluator.fold(message)
    evaluator.advance(1000 * (T0 + 600))
    records = writes(evaluator.checkpoints(position=len(TOPIC)))
    assert (4, "fa2eca6607024f16") == (state.FORMAT, digest(*(part for record in records for part in record if part)))


def test_the_readings_are_those_of_the_input() -> None:
    (model,) = evaluated(TOPIC, SETTINGS, clock_ms=1000 * (T0 + 600)).models()
    assert "m" == model.name
    row = next(n for n, key in enumerate(model.ledger.table.series) if (key.model_version, key.segment) == ("2", "all"))
    found = {
        f"{one.quantity.value} {one.window}": (one.value[row], one.sample[row])
        for one in readings([Watched(model.ledger, None, {})])[0]
        if one.window in ("5m", "1h")
    }
    assert {
        name: (pytest.approx(value, rel=1e-9, nan_ok=True), pytest.approx(sample, rel=1e-9))
        for name, (value, sample) in EXPECTED.items()
    } == found


EXPECTED: dict[str, tuple[float, float]] = {
    "volume 5m": (9.0, 9.0),
    "action_rate 5m": (0.6666666666666666, 9.0),
    "appeal_rate 5m": (0.0, 6.0),
    "overturn_share 5m": (float("nan"), 0.0),
    "report_rate 5m": (0.0, 9.0),
    "precision 5m": (0.6666666666666666, 6.0),
    "volume 1h": (20.0, 20.0),
    "action_rate 1h": (0.65, 20.0),
    "appeal_rate 1h": (0.0, 13.0),
    "overturn_share 1h": (1.0, 10.0),
    "report_rate 1h": (0.3, 20.0),
    "precision 1h": (0.7692307692307693, 13.0),
}
