"""The reference configuration names every setting, with its default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from monitor.assembly import assemble
from monitor.settings import Settings, load_settings

FILE = Path(__file__).parents[1] / "deploy" / "config" / "monitor.yaml"


def test_the_reference_configuration_says_the_defaults() -> None:
    told = load_settings(FILE, {})
    default = Settings()

    assert assemble(default).fingerprint == assemble(told).fingerprint
    assert default.model_dump(exclude={"drift": {"thresholds"}}) == told.model_dump(exclude={"drift": {"thresholds"}})
    assert default.drift.all_thresholds() == told.drift.thresholds


def test_the_reference_configuration_names_every_setting() -> None:
    tree: dict[str, Any] = yaml.safe_load(FILE.read_text())

    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert name in tree, name
        if isinstance(section, type) and issubclass(section, BaseModel):
            assert set(section.model_fields) == set(tree[name]), name
