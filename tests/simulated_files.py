"""A small simulated log as files, for the tests of what reads files."""

from __future__ import annotations

from pathlib import Path

from monitor.event_log import FileLog
from monitor.simulate import Scenario, generate, write_files
from monitor.simulate.designs import BySegment, Uniform
from monitor.simulate.files import FILES
from monitor.simulate.incidents import AnyIncident
from monitor.simulate.scenario import CategoryFeature, NumberFeature
from monitor.topics import SOURCES, SourceTopic
from tests.simulate.helpers import START, model, scenario

FEATURES = (
    NumberFeature(name="length", mean=100.0, sd=20.0),
    CategoryFeature(name="source", shares={"app": 0.7, "web": 0.3}, missing=0.05),
)


def two_models(*incidents: AnyIncident, rate: float = 90.0, retry_share: float = 0.02) -> Scenario:
    """One model audited uniformly, one by language; some decisions are published twice."""
    strata = BySegment(design_id="strata", segments={"language=en": 0.25}, default=0.75)
    return scenario(
        model("uniform", rate=rate, audit=Uniform(design_id="all", probability=0.5), features=FEATURES),
        model("stratified", rate=rate, audit=strata),
        incidents=incidents,
        retry_share=retry_share,
    )


def write(what: Scenario, directory: Path, *, minutes: int, seed: int = 7, start_ms: int = START) -> list[FileLog]:
    """Simulate into a directory; returns the logs of all source topics."""
    write_files(generate(what, seed=seed, start_ms=start_ms, minutes=minutes), directory)
    return [FileLog(source, file_of(source, directory)) for source in SOURCES]


def file_of(source: SourceTopic, directory: Path) -> Path:
    """The file of a topic."""
    return directory / FILES[source.topic]
