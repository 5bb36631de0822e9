"""From settings to the two stages: units, layouts a model, objectives with inheritance, the pinned reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.assembly import assemble
from monitor.events import Action
from monitor.layout import CategoricalFeature
from monitor.reference import InvalidReference, ModelReference, Reference
from monitor.settings import Settings
from monitor.snapshot import Objective

KIND = CategoricalFeature("kind", categories=("a",))
REFERENCE = Reference(1, "file", "", "", (ModelReference("m", (0.111,), (KIND,), ()),))


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_times_reach_the_first_stage_in_milliseconds() -> None:
    told = {"decision_lateness_hours": 1.5, "feedback_retention_days": 2, "future_seconds": 0.25}
    found = assemble(settings(time=told, blocks={"size": 64, "horizon": 3})).summarise
    assert (5_400_000, 172_800_000, 250) == (found.lateness_ms, found.retention_ms, found.future_ms)
    assert (64, 3) == (found.block_size, found.horizon)


def test_both_stages_have_the_same_caps_and_layouts() -> None:
    found = assemble(settings(limits={"models": 7}, segments={"values": {"language": ["es"]}}))
    assert found.summarise.limits == found.evaluate.ledger.limits
    assert 7 == found.summarise.limits.models
    assert {"language": frozenset({"es"})} == found.summarise.limits.values
    assert found.summarise.layout("x").signature == found.evaluate.ledger.layout("x").signature


def test_a_models_thresholds_actions_and_reference_make_its_layout_and_no_other() -> None:
    models = {"m": {"thresholds": [0.333], "positive_actions": ["remove"]}}
    found = assemble(settings(models=models), REFERENCE)
    layout = found.summarise.layout("m")
    assert {0.333, 0.111} <= set(layout.score_edges.tolist())
    assert {Action.REMOVE} == layout.positive_actions
    assert (KIND,) == layout.features
    assert found.summarise.layout("x") is found.summarise.layout("y")
    assert () == found.summarise.layout("x").features
    assert {"m": (0.333,)} == found.evaluate.score_thresholds
    assert {"m"} == set(found.evaluate.baselines)


def test_the_reference_file_of_the_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_bytes(msgspec.json.encode(REFERENCE))
    assert {"m"} == set(assemble(settings(drift={"reference": path})).evaluate.baselines)
    with pytest.raises(InvalidReference, match=r"no\.json: cannot be read"):
        assemble(settings(drift={"reference": tmp_path / "no.json"}))


def test_objectives_are_inherited_from_the_model_and_from_the_default() -> None:
    models = {
        "a": {"objective": 0.8, "policies": {"p": {"minimum_labels": 7}, "q": {"objective": 0.6}}},
        "b": {"minimum_labels": 9},
    }
    found = assemble(settings(models=models, precision={"objective": 0.95, "minimum_labels": 40})).objectives
    expected = {
        ("a", "p"): (0.8, 7),
        ("a", "q"): (0.6, 40),
        ("a", "r"): (0.8, 40),
        ("b", "p"): (0.95, 9),
        ("c", "p"): (0.95, 40),
    }
    for (model, policy), (precision, labels) in expected.items():
        assert Objective(model, policy, precision, labels) == found.of(model, policy)


def test_the_second_stage_has_kinds_detectors_and_thresholds_of_drift() -> None:
    drift = {"minimum_decisions": 3, "minimum_labels": 4, "grace_minutes": 5, "thresholds": {"psi": 0.3}}
    found = assemble(settings(drift=drift, segments={"kinds": [["language", "region"]]})).evaluate
    assert (("language", "region"),) == found.ledger.kinds
    assert (3, 4, 5) == (found.streams.minimum_decisions, found.streams.minimum_labels, found.grace_minutes)
    assert (0.3, 0.15) == (found.drift_thresholds["psi"], found.drift_thresholds["ks"])
    assert Settings().drift.detectors == found.streams.detectors


@pytest.mark.parametrize(
    "changed",
    [
        {"blocks": {"size": 64}},
        {"limits": {"series": 6}},
        {"time": {"future_seconds": 1}},
        {"precision": {"objective": 0.5}},
        {"models": {"m": {"thresholds": [0.5]}}},
        {"drift": {"thresholds": {"psi": 0.1}}},
        {"drift": {"detectors": [{"kind": "adwin"}]}},
        {"drift": {"detectors": [{"kind": "adwin"}, {"kind": "page_hinkley", "threshold": 3}]}},
        {"segments": {"values": {"language": ["es"]}}},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_what_changes_a_number_and_with_nothing_else(changed: Any) -> None:
    same = settings(http={"port": 1}, kafka={"group_id": "g"}, log={"level": "DEBUG"})
    default = assemble(Settings()).fingerprint
    assert default == assemble(same).fingerprint
    assert default != assemble(settings(**changed)).fingerprint


def test_the_fingerprint_changes_with_the_reference_and_not_with_its_place(tmp_path: Path) -> None:
    found = []
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(msgspec.json.encode(REFERENCE))
        found.append(assemble(settings(drift={"reference": tmp_path / name})).fingerprint)
    other = msgspec.structs.replace(REFERENCE, models=())
    assert {assemble(Settings(), REFERENCE).fingerprint} == set(found)
    assert 3 == len({*found, assemble(Settings()).fingerprint, assemble(Settings(), other).fingerprint})
