"""From events to a firing alert: simulated precision drop, worker, a real Prometheus with our rules.

Event time runs 60 times faster than the clock, so the waiting times of the models' rules are divided by as much; their
expressions, which look at windows of event time, are the committed ones, and so are the service's own rules.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import pytest

from deploy.prometheus.build import FILES, RULES, rule_file
from monitor import catalogue
from monitor.broker import EmbeddedBroker
from monitor.simulate import EventClock, create_producer, demo, generate, publish
from monitor.simulate.incidents import PrecisionDrop
from tests.e2e import topics
from tests.e2e.worker_process import WorkerProcess
from tests.prometheus_server import PrometheusConfig, PrometheusServer

START_MS = 1_736_164_800_000  # 2025-01-06T12:00Z
SPEED = 60.0
INCIDENT_MINUTE = 15
MINUTES = 45
ALERT = "ModerationPrecisionBelowObjective"
OBJECTIVE = 0.8


@pytest.mark.prometheus
def test_a_precision_drop_in_one_language_fires_its_alert_and_the_quiet_models_stay_quiet(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    topics.create(embedded_broker, source=4, internal=2)  # it keeps 5 MB of each partition
    rules = [write_paced_rules(tmp_path / "moderation.yml"), RULES / "monitor.yml"]
    with WorkerProcess(
        embedded_broker.bootstrap,
        tmp_path / "worker",
        settings={"precision.objective": OBJECTIVE, "blocks.size": 2048, "blocks.publish_interval_seconds": 1},
    ) as worker:
        worker.until_ready()
        target = worker.url.removeprefix("http://")
        config = PrometheusConfig(targets={"moderation-monitor": [target]}, rules=rules, interval="3s")
        with PrometheusServer(tmp_path / "prometheus", config) as prometheus:
            begin = time.time()
            traffic = threading.Thread(target=simulate, args=(embedded_broker.bootstrap,))
            traffic.start()
            query = f'ALERTS{{alertname="{ALERT}",alertstate="firing",severity="critical"}}'
            prometheus.wait_for(f'{query[:-1]},model="text-guard",segment="language=es"}}', seconds=180)
            scrape = worker.scrape()
            traffic.join()
            # A step beyond now: the alert may fire so late that no whole second since `begin` has seen it.
            fired = prometheus.query_range(query, start=begin, end=time.time() + 1, step=1)
        assert {"text-guard"} == {series["metric"]["model"] for series in fired}
        assert {"language=es"} == {series["metric"]["segment"] for series in fired}
        # It began after the incident, not before.
        first = min(float(series["values"][0][0]) for series in fired)
        assert first - begin > INCIDENT_MINUTE * 60 / SPEED
        spanish, whole = (
            max(
                value
                for _, value in scrape.matching(
                    catalogue.PRECISION.name, model="text-guard", window="1h", segment=segment
                )
            )
            for segment in ("language=es", "language=en")
        )
        assert spanish < OBJECTIVE < whole


def write_paced_rules(path: Path) -> Path:
    """The rules about models, for event time at `SPEED`."""
    path.write_text(rule_file(FILES["moderation.yml"], pace=SPEED))
    return path


def simulate(bootstrap: str) -> None:
    """Publish at `SPEED` the demo's first incident, and of its models those that have no other."""
    whole = demo(decisions_per_minute=1500, audit_probability=0.9, incident_minute=INCIDENT_MINUTE)
    drop = [incident for incident in whole.incidents if isinstance(incident, PrecisionDrop)]
    touched = {incident.model for incident in whole.incidents if incident not in drop}
    models = [model for model in whole.models if model.name not in touched]
    scenario = msgspec.structs.replace(whole, models=tuple(models), incidents=tuple(drop))
    clock = EventClock(time.monotonic(), START_MS, SPEED)
    publish(generate(scenario, seed=4, start_ms=START_MS, minutes=MINUTES), create_producer(bootstrap), clock=clock)
