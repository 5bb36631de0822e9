"""Compiled loops against the same text as Python runs it: every bit of what they say and of what they carry on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import Ddm, Domain, ECusum, Eddm, ESr, HddmA, HddmW, PageHinkley, Spec, step_loops
from tests.sources import source_of

SPECS: list[tuple[str, Spec]] = [
    *(("page_hinkley", PageHinkley(warm_up=3, forgetting=f, direction="both")) for f in (1.0, 0.9999, 0.7)),
    ("page_hinkley", PageHinkley(warm_up=1, slack=0.3, direction="fall")),
    ("ddm", Ddm(warm_up=2, deviations=1.5)),
    ("eddm", Eddm(warm_up=2)),
    *(("hddm_a", HddmA(direction=direction)) for direction in ("rise", "fall", "both")),
    *(("hddm_w", HddmW(direction=direction, weight=0.1)) for direction in ("rise", "fall", "both")),
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
    parts = data.draw(st.lists(st.lists(one, max_size=60), min_size=1, max_size=3))
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
    ("name", "spec"), SPECS[:1] + SPECS[4:7] + SPECS[9:10] + SPECS[-1:], ids=lambda told: str(told)[:12]
)
def test_what_is_read_only_is_read(name: str, spec: Spec) -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0] * 10)
    values.flags.writeable = False
    assert 40 == len(spec.build().update_many(values).statistic)
