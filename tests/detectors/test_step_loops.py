"""Compiled loops against the same text as Python runs it: every bit of what they say and of what they carry on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import ConfidenceSequence, Ddm, Domain, ECusum, Eddm, ESr, HddmA, HddmW, PageHinkley, Spec, step_loops
from detectors.contract import Sides
from tests.sources import source_of

TARGETS: list[tuple[float, Sides]] = [(0.5, "both"), (0.5, "fall"), (0.9, "fall"), (0.99, "rise"), (1e-9, "rise")]
SPECS: list[tuple[str, Spec]] = [
    *(("page_hinkley", PageHinkley(warm_up=3, forgetting=f, direction="both")) for f in (1.0, 0.9999, 0.7)),
    ("page_hinkley", PageHinkley(warm_up=1, slack=0.3, direction="fall")),
    ("ddm", Ddm(warm_up=2, deviations=1.5)),
    ("eddm", Eddm(warm_up=2)),
    *(("hddm_a", HddmA(direction=direction)) for direction in ("rise", "fall", "both")),
    *(("hddm_w", HddmW(direction=direction, weight=0.1)) for direction in ("rise", "fall", "both")),
    *(
        ("confidence_sequence", ConfidenceSequence(target=target, optimal_n=10.0, period=50, direction=direction))
        for target, direction in TARGETS
    ),
    *(("e_detector", kind(mean=0.3, direction="both")) for kind in (ESr, ECusum)),
    *(("e_detector", kind(mean=1e-6, direction="rise")) for kind in (ESr, ECusum)),
]


SOURCE = source_of("detectors.step_loops")


def taken(spec: Spec, parts: list[list[float]]) -> list[bytes]:
    """What is said of each part and carried on from it, as bytes."""
    logic, found = spec.build(), []
    for part in parts:
        told = logic.update_many(part)
        found += [told.statistic.tobytes(), told.threshold.tobytes(), repr(logic.snapshot()).encode()]
    return found


@pytest.mark.parametrize(("name", "spec"), SPECS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(SPECS)])
@settings(max_examples=60)
@given(data=st.data())
def test_compiled_or_not_the_bits_are_the_same(name: str, spec: Spec, data: st.DataObject) -> None:
    one = {
        Domain.BINARY: st.sampled_from([0.0, 1.0]),
        Domain.UNIT: st.floats(0, 1),
        Domain.REAL: st.floats(-1e100, 1e100) | st.floats(-1, 1),
    }[spec.domain]
    part = st.lists(one, max_size=60) | st.lists(st.sampled_from([0.0, 1.0]), max_size=60)
    assert_same_bits(name, spec, data.draw(st.lists(part, min_size=1, max_size=3)))


@pytest.mark.parametrize(
    ("target", "mean"), [(0.5, 0.5), (0.9, 0.97), (0.9, 1.0), (0.9, 0.0), (0.99, 0.3), (0.01, 0.5), (0.3, 0.1)]
)
def test_an_e_value_far_on_either_side_has_the_same_bits_too(target: float, mean: float) -> None:
    verdicts = (np.random.default_rng(9).random(3000) < mean).astype(float).tolist()
    spec = ConfidenceSequence(target=target, direction="fall", period=2000)
    assert_same_bits("confidence_sequence", spec, [verdicts[:700], verdicts[700:]])


def assert_same_bits(name: str, spec: Spec, parts: list[list[float]]) -> None:
    compiled: Callable[..., Any] = getattr(step_loops, name)
    expected = taken(spec, parts)
    try:
        setattr(step_loops, name, getattr(SOURCE, name))
        assert expected == taken(spec, parts)
    finally:
        setattr(step_loops, name, compiled)


def test_the_source_is_not_what_was_compiled() -> None:
    assert SOURCE.__file__ is not None
    assert SOURCE.__file__.endswith(".py")
    assert not step_loops.__file__.endswith(".py"), "install a C compiler (gcc), then `make clean setup`"


@pytest.mark.parametrize(
    ("name", "spec"), SPECS[:1] + SPECS[4:7] + SPECS[9:10] + SPECS[12:13] + SPECS[-1:], ids=lambda told: str(told)[:12]
)
def test_what_is_read_only_is_read(name: str, spec: Spec) -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0] * 10)
    values.flags.writeable = False
    assert 40 == len(spec.build().update_many(values).statistic)
