"""From events to a firing alert: simulated precision drop, worker, a real Prometheus with our rules.

Event time runs 120 times faster than the clock, so the rules' waiting times are divided by as much; their
expressions, which look at windows of event time, are the committed ones.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from deploy.prometheus.build import write_rules
from monitor import catalogue
from monitor.broker import EmbeddedBroker
from monitor.simulate import EventClock, create_producer, demo, generate, publish
from tests.e2e import topics
from tests.e2e.worker_process import WorkerProcess
from tests.prometheus_server import PrometheusConfig, PrometheusServer

START_MS = 1_736_164_800_000  # 2025-01-06T12:00Z
SPEED = 120.0
INCIDENT_MINUTE = 40
MINUTES = 75
ALERT = "ModerationPrecisionBelowObjective"
OBJECTIVE = 0.8


@pytest.mark.prometheus
def test_a_precision_drop_in_one_language_fires_its_alert_and_the_quiet_models_stay_quiet(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    topics.create(embedded_broker, source=4, internal=2)
    rules = write_rules(tmp_path / "rules", pace=SPEED)
    with WorkerProcess(
        embedded_broker.bootstrap, tmp_path / "worker", settings={"precision.objective": OBJECTIVE}
    ) as worker:
        worker.until_ready()
        target = worker.url.removeprefix("http://")
        config = PrometheusConfig(targets={"moderation-monitor": [target]}, rules=rules, interval="500ms")
        with PrometheusServer(tmp_path / "prometheus", config) as prometheus:
            begin = time.time()
            traffic = threading.Thread(target=simulate, args=(embedded_broker.bootstrap,))
            traffic.start()
            query = f'ALERTS{{alertname="{ALERT}",alertstate="firing",severity="critical"}}'
            prometheus.wait_for(f'{query[:-1]},model="text-guard",segment="language=es"}}', seconds=60)
            scrape = worker.scrape()
            traffic.join()
            fired = prometheus.query_range(query, start=begin, end=time.time(), step=1)
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


def simulate(bootstrap: str) -> None:
    """Publish the demo at `SPEED`; its later incidents lie behind the end."""
    scenario = demo(decisions_per_minute=1500, audit_probability=0.5, incident_minute=INCIDENT_MINUTE)
    clock = EventClock(time.monotonic(), START_MS, SPEED)
    publish(generate(scenario, seed=4, start_ms=START_MS, minutes=MINUTES), create_producer(bootstrap), clock=clock)
