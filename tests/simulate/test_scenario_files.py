"""Scenarios in files: what is read, and what a person is told about a mistake."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from monitor.simulate import BUILT_IN, Scenario, ScenarioError, load_scenario
from monitor.simulate.delays import Exponential
from monitor.simulate.designs import ByScore
from monitor.simulate.incidents import PrecisionDrop

TEXT = """
name: spanish-drop
context_share: 0.5
reviewers:
  sensitivity: 0.95
  delay: {kind: exponential, mean_minutes: 3}
models:
  - name: text-guard
    modality: text
    decisions_per_minute: 100
    languages: {en: 0.7, es: 0.3}
    policies:
      - {name: hate, prevalence: 0.1, threshold: 0.7}
    features:
      - {kind: number, name: length, mean: 80, sd: 20}
    audit: {kind: by_score, design_id: strata, edges: [0.5], bins: [0.01, 0.2]}
incidents:
  - {kind: precision_drop, start_minute: 10, minutes: 30, model: text-guard, where: {language: es}, benign_share: 0.5}
"""


def load(path: Path, text: str) -> Scenario:
    file = path / "scenario.yaml"
    file.write_text(text)
    return load_scenario(file)


def test_a_scenario_is_read_from_yaml(tmp_path: Path) -> None:
    scenario = load(tmp_path, TEXT)
    assert scenario.models[0].audit == ByScore(design_id="strata", edges=(0.5,), bins=(0.01, 0.2))
    assert scenario.reviewers.delay == Exponential(mean_minutes=3)
    [incident] = scenario.incidents
    assert isinstance(incident, PrecisionDrop)
    assert incident.where == {"language": "es"}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_scenarios_survive_the_way_through_yaml(tmp_path: Path, name: str) -> None:
    scenario = BUILT_IN[name]()
    assert scenario == load(tmp_path, msgspec.yaml.encode(scenario).decode())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("context_share", "context_shar", "unknown field `context_shar`"),
        ("prevalence: 0.1", "prevalence: 1.5", r"prevalence|< 1.0 - at `\$.models\[0\].policies\[0\]"),
        ("kind: number", "kind: nmber", "nmber"),
        ("bins: [0.01, 0.2]", "bins: [0.01]", "1 edges need 2 bins, got 1"),
        ("where: {language: es}", "where: {langage: es}", "unknown dimension 'langage', allowed: policy, language"),
        ("where: {language: es}", "where: {language: fr}", "unknown language 'fr', allowed: en, es"),
        ("model: text-guard", "model: txt", "unknown model 'txt', allowed: text-guard"),
        ("name: text-guard", 'name: "a b"', "matching regex"),
        ("modality: text", "modality: smell", "Invalid enum value 'smell'"),
        ("name: spanish-drop", "name: [", "expected YAML"),
        ("    modality: text\n", "    modality: text\n    calibration: {intercept: .nan}\n", ">= -1000.0 - at"),
        ("context_share", "rhythm: {weekend: 1.0e+30}\ncontext_share", "<= 100.0 - at"),
    ],
)
def test_a_mistake_is_refused_with_the_file_and_what_is_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as error:
        load(tmp_path, TEXT.replace(old, new, 1))
    assert "scenario.yaml" in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot read the scenario"):
        load_scenario(tmp_path / "none.yaml")
