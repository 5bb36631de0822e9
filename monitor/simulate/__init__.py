"""Simulated moderation traffic with known truth.

`generate` is a pure function of scenario, seed and time; `publish` and `write_files` take its batches elsewhere.
"""

from monitor.simulate.clock import EventClock
from monitor.simulate.files import FILE_NAMES, write_files
from monitor.simulate.generate import generate
from monitor.simulate.prepared import Prepared
from monitor.simulate.publish import DeliveryError, Progress, create_producer, publish
from monitor.simulate.records import MinuteBatch, Records
from monitor.simulate.scenario import Scenario, ScenarioError, load_scenario
from monitor.simulate.scenarios import BUILT_IN, demo, quiet
from monitor.simulate.truth import TruthRow

__all__ = [
    "BUILT_IN",
    "FILE_NAMES",
    "DeliveryError",
    "EventClock",
    "MinuteBatch",
    "Prepared",
    "Progress",
    "Records",
    "Scenario",
    "ScenarioError",
    "TruthRow",
    "create_producer",
    "demo",
    "generate",
    "load_scenario",
    "publish",
    "quiet",
    "write_files",
]
