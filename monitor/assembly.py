"""From the configuration to what the pure steps take: the one place that knows both."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

import msgspec

from monitor.evaluate import ObjectiveSettings
from monitor.join.block import JoinSettings
from monitor.layout import Layout
from monitor.ledger import LedgerSettings
from monitor.model import ModelSettings
from monitor.reference import Reference, baselines, load_reference
from monitor.settings import ModelOverride, Settings
from monitor.streams import StreamSettings
from monitor.summarise_settings import SummariseSettings

COUNTED: Final = {"blocks", "segments", "limits", "time", "join", "precision", "models"}
"""Sections of the configuration that change numbers."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Settings of the two pure stages and of the objectives."""

    summarise: SummariseSettings
    evaluate: ModelSettings
    objectives: ObjectiveSettings
    join: JoinSettings | None
    """None where feedback without context is not joined"""
    fingerprint: str
    """12 hexadecimal digits that change with anything that changes a number, the reference included"""


class Layouts:
    """The layout of each model, built once."""

    def __init__(self, settings: Settings, reference: Reference | None) -> None:
        self._models = settings.models
        self._reference = {} if reference is None else {model.model: model for model in reference.models}
        self._built: dict[str, Layout] = {}

    def __call__(self, model: str) -> Layout:
        """The layout of a model; models that nothing is said of share the default one."""
        if model not in self._models and model not in self._reference:
            model = ""
        layout = self._built.get(model)
        if layout is None:
            override = self._models.get(model, ModelOverride())
            reference = self._reference.get(model)
            layout = self._built[model] = Layout(
                thresholds=(*override.thresholds, *(reference.score_edges if reference else ())),
                positive_actions=override.positive_actions,
                features=reference.features if reference else (),
            )
        return layout


def assemble(settings: Settings, reference: Reference | None = None) -> Pipeline:
    """What the stages need. Reads the configured reference file unless one is given; InvalidReference if it is bad."""
    if reference is None and settings.drift.reference is not None:
        reference = load_reference(settings.drift.reference)
    layouts = Layouts(settings, reference)
    limits = settings.as_limits()
    time = settings.time
    summarise = SummariseSettings(
        layout=layouts,
        limits=limits,
        kinds=settings.segments.kinds,
        features=reference is not None and any(model.features for model in reference.models),
        block_size=settings.blocks.size,
        horizon=settings.blocks.horizon,
        lateness_ms=round(time.decision_lateness_hours * 3_600_000),
        retention_ms=round(time.feedback_retention_days * 86_400_000),
        future_ms=round(time.future_seconds * 1000),
        join=settings.join.enabled,
    )
    return Pipeline(
        summarise=summarise,
        evaluate=ModelSettings(
            ledger=LedgerSettings(layout=layouts, kinds=settings.segments.kinds, limits=limits),
            streams=StreamSettings(
                detectors=settings.drift.detectors,
                minimum_decisions=settings.drift.minimum_decisions,
                minimum_labels=settings.drift.minimum_labels,
            ),
            baselines=baselines(reference),
            drift_thresholds=settings.drift.all_thresholds(),
            score_thresholds={name: override.thresholds for name, override in settings.models.items()},
            grace_minutes=settings.drift.grace_minutes,
        ),
        objectives=_objectives(settings),
        join=_join(settings, summarise),
        fingerprint=_fingerprint(settings, reference),
    )


def _join(settings: Settings, summarise: SummariseSettings) -> JoinSettings | None:
    if not settings.join.enabled:
        return None
    return JoinSettings(
        summarise,
        wait_ms=round(settings.join.wait_hours * 3_600_000),
        horizon_ms=round(settings.join.horizon_days * 86_400_000),
        block_size=settings.join.block_size,
        maximum_decisions=settings.join.maximum_decisions,
    )


def _fingerprint(settings: Settings, reference: Reference | None) -> str:
    counted = settings.model_dump(mode="json", include=COUNTED)
    detectors = [detector.fingerprint() for detector in settings.drift.detectors]
    drift = settings.drift.model_dump(mode="json", exclude={"detectors", "reference", "thresholds"})
    told = json.dumps([counted, detectors, drift, settings.drift.all_thresholds()], sort_keys=True).encode()
    found = _digits(told)
    return found if reference is None else _digits(found.encode() + msgspec.json.encode(reference))


def _digits(told: bytes) -> str:
    return hashlib.sha256(told).hexdigest()[:12]


def _objectives(settings: Settings) -> ObjectiveSettings:
    default = settings.precision
    models: dict[str, tuple[float, float]] = {}
    policies: dict[tuple[str, str], tuple[float, float]] = {}
    for model, override in settings.models.items():
        own = (override.objective or default.objective, override.minimum_labels or default.minimum_labels)
        models[model] = own
        for policy, finer in override.policies.items():
            policies[model, policy] = (finer.objective or own[0], finer.minimum_labels or own[1])
    return ObjectiveSettings(
        precision=default.objective, minimum_labels=default.minimum_labels, models=models, policies=policies
    )
