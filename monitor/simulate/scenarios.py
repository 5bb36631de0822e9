"""Built-in scenarios, as plain functions.

All of them are stationary (no daily rhythm) unless asked otherwise, so that what moves in a short run is an incident.
"""

from __future__ import annotations

from typing import Final

from monitor.simulate.delays import Exponential, Lognormal
from monitor.simulate.designs import ByScore, BySegment, Uniform
from monitor.simulate.incidents import AnyIncident, MissingFeature, PrecisionDrop, RepostStorm, Rollout, VolumeDrop
from monitor.simulate.scenario import (
    Appeals,
    Calibration,
    CategoryFeature,
    Latency,
    Model,
    NumberFeature,
    Policy,
    Queue,
    Reports,
    Reviewers,
    Scenario,
)

LANGUAGES: Final = {"en": 0.42, "es": 0.2, "pt": 0.13, "de": 0.08, "ja": 0.09, "ar": 0.08}
REGIONS: Final = {"us-east": 0.25, "us-west": 0.15, "eu-west": 0.25, "latam": 0.2, "apac": 0.15}
SURFACES: Final = {"feed": 0.6, "comments": 0.3, "messages": 0.1}


def fleet(*, decisions_per_minute: float, audit_probability: float) -> tuple[Model, ...]:
    """Six models over five modalities; `decisions_per_minute` in all, split by their weights."""
    hate = Policy(name="hate", share=0.4, prevalence=0.10, threshold=0.7)
    spam = Policy(name="spam", share=0.6, prevalence=0.20, threshold=0.7, action="restrict")
    nudity = Policy(name="nudity", share=0.6, prevalence=0.12, threshold=0.7, action="age_gate")
    violence = Policy(name="violence", share=0.4, prevalence=0.08, threshold=0.7, escalate_from=0.4)
    text_length = NumberFeature(name="text_length", mean=120.0, sd=25.0)
    source = CategoryFeature(name="source", shares={"app": 0.7, "web": 0.25, "api": 0.05}, missing=0.01)
    brightness = NumberFeature(name="brightness", mean=0.5, sd=0.1)
    everything = Uniform(design_id="uniform-all", probability=audit_probability)
    by_score = ByScore(
        design_id="score-strata",
        edges=(0.3, 0.6, 0.9),
        bins=(max(1e-3, audit_probability / 20), audit_probability / 2, audit_probability, audit_probability / 2),
    )
    by_language = BySegment(
        design_id="language-strata",
        scope="acted",
        segments={"language=en": audit_probability / 2},
        default=min(1.0, audit_probability * 1.5),
    )

    def model(name: str, weight: float, **fields: object) -> Model:
        values = {"languages": LANGUAGES, "regions": REGIONS, "surfaces": SURFACES} | fields
        return Model(name=name, decisions_per_minute=decisions_per_minute * weight, **values)  # type: ignore[arg-type]

    return (
        model(
            "text-guard",
            0.35,
            modality="text",
            policies=(hate, spam),
            features=(text_length, source),
            audit=everything,
            latency=Latency(median_ms=12.0),
        ),
        model(
            "image-guard",
            0.25,
            modality="image",
            policies=(nudity, violence),
            features=(brightness, source),
            audit=by_score,
            separation=3.4,
        ),
        model(
            "meme-ocr",
            0.12,
            modality="text",
            policies=(hate, spam),
            features=(text_length, NumberFeature(name="ocr_confidence", mean=0.85, sd=0.03)),
            audit=by_language,
            separation=2.8,
        ),
        model(
            "video-guard",
            0.12,
            modality="video",
            policies=(violence, nudity),
            features=(brightness, source),
            audit=everything,
            latency=Latency(median_ms=400.0, sigma=0.6),
        ),
        model(
            "voice-guard",
            0.06,
            modality="audio",
            policies=(hate,),
            features=(NumberFeature(name="loudness", mean=-20.0, sd=4.0),),
            audit=everything,
            calibration=Calibration(intercept=0.3, slope=1.4),
            latency=Latency(median_ms=250.0, sigma=0.5),
        ),
        model(
            "post-fusion",
            0.10,
            modality="multimodal",
            policies=(spam, hate, violence),
            features=(text_length, brightness, source),
            audit=everything,
            separation=3.6,
        ),
    )


def quiet(*, decisions_per_minute: float = 6000.0, audit_probability: float = 0.2) -> Scenario:
    """Nothing happens: what every chart should stay silent on."""
    return _scenario("quiet", decisions_per_minute, audit_probability, ())


def demo(
    *, decisions_per_minute: float = 6000.0, audit_probability: float = 0.3, incident_minute: int = 60
) -> Scenario:
    """A precision drop of one model in Spanish at `incident_minute`; later a bad launch, a lost feature and others.

    text-guard loses half of its precision in `es` without a change in scores or volume; image-guard, voice-guard and
    post-fusion stay quiet throughout.
    """
    incidents: tuple[AnyIncident, ...] = (
        PrecisionDrop(start_minute=incident_minute, model="text-guard", where={"language": "es"}, benign_share=0.5),
        Rollout(
            start_minute=incident_minute * 2, model="video-guard", version="1.1.0", traffic_share=1.0, score_shift=0.8
        ),
        MissingFeature(start_minute=incident_minute * 2, model="meme-ocr", feature="ocr_confidence", share=0.4),
        RepostStorm(
            start_minute=incident_minute * 3,
            minutes=30,
            model="meme-ocr",
            where={"policy": "spam"},
            per_minute=300,
            score=0.95,
        ),
        VolumeDrop(
            start_minute=incident_minute * 4, minutes=60, model="video-guard", where={"region": "apac"}, factor=0.1
        ),
    )
    return _scenario("demo", decisions_per_minute, audit_probability, incidents)


def _scenario(name: str, rate: float, audit_probability: float, incidents: tuple[AnyIncident, ...]) -> Scenario:
    return Scenario(
        name=name,
        models=fleet(decisions_per_minute=rate, audit_probability=audit_probability),
        reviewers=Reviewers(delay=Lognormal(median_minutes=2.0, sigma=0.7)),
        queue=Queue(share=0.05, delay=Exponential(mean_minutes=6.0)),
        appeals=Appeals(),
        reports=Reports(),
        incidents=incidents,
    )


BUILT_IN: Final = {"quiet": quiet, "demo": demo}
"""Name on the command line -> scenario with its default size."""
