"""Routes and inhibitions: by amtool, and end to end from a firing rule to a webhook."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.prometheus.build import FILES, write_rules
from deploy.prometheus.rule import Alert, alerts
from tests.prometheus_server import (
    AlertmanagerServer,
    AlertPath,
    LocalHttp,
    PrometheusConfig,
    require_program,
    until,
)

CONFIG = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"
ALERTS = alerts(group for groups in FILES.values() for group in groups)
RECEIVERS = {"critical": "on-call", "warning": "team", "info": "nobody"}
JOB = "moderation-monitor"
PACE = 3600.0

pytestmark = pytest.mark.prometheus


def config() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    return document


def test_amtool_accepts_the_configuration() -> None:
    amtool = require_program("amtool")
    result = subprocess.run([amtool, "check-config", str(CONFIG)], capture_output=True, text=True)
    assert 0 == result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_each_alert_reaches_its_receiver(alert: Alert) -> None:
    amtool = require_program("amtool")
    labels = [f"alertname={alert.name}", f"severity={alert.severity}"]
    routed = subprocess.run(
        [amtool, "config", "routes", "test", f"--config.file={CONFIG}", *labels],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = "watchdog" if alert.name == "Watchdog" else RECEIVERS[alert.severity]
    assert expected == routed.stdout.strip()


EVERYTHING = {"ModerationPrecisionBelowObjective", "ModerationDrift", "ModerationDecisionsStopped"}
STOPPED = {"ModerationDecisionsStopped"}
SOURCES: tuple[tuple[dict[str, str], set[str]], ...] = (
    ({"alertname": "MonitorDown"}, {*EVERYTHING, "MonitorWorkerDown"}),
    ({"alertname": "MonitorBlind"}, {*EVERYTHING, "MonitorWorkerDown"}),
    ({"alertname": "MonitorIngestStalled", "topic": "moderation.decisions"}, EVERYTHING),
    ({"alertname": "MonitorIngestStalled", "topic": "moderation.blocks"}, EVERYTHING),
    ({"alertname": "MonitorIngestStalled", "topic": "moderation.join"}, set()),
    ({"alertname": "MonitorIngestStalled", "topic": "moderation.appeals"}, set()),
    ({"alertname": "MonitorPartitionStalled", "topic": "moderation.decisions", "partition": "3"}, STOPPED),
    ({"alertname": "MonitorPartitionStalled", "topic": "moderation.blocks", "partition": "3"}, STOPPED),
    ({"alertname": "MonitorPartitionStalled", "topic": "moderation.reviews", "partition": "3"}, set()),
    ({"alertname": "MonitorSnapshotStale", "instance": "a"}, STOPPED),
)
"""What fires, and what is held back meanwhile."""


def test_what_is_held_back_is_what_nothing_new_is_known_of(tmp_path: Path) -> None:
    targets = {*EVERYTHING, "MonitorWorkerDown", "MonitorJoinHeld"}
    fired: list[dict[str, str]] = []
    for number, (source, _) in enumerate(SOURCES):
        job = {
            "job": f"monitor-{number}"
        }  # Each case is a monitor of its own: that one does not mute another is seen too.
        fired.append({**source, **job, "severity": "critical"})
        fired.extend({"alertname": name, "severity": "warning", "model": "text", **job} for name in targets)
    with AlertmanagerServer(tmp_path, config()) as alertmanager:
        httpx.post(
            f"{alertmanager.url}/api/v2/alerts", json=[{"labels": labels} for labels in fired]
        ).raise_for_status()
        until(lambda: len(alertmanager.alerts()) == len(fired), seconds=30.0, what="the alerts")
        held: dict[str, set[str]] = {}
        for alert in alertmanager.alerts():
            if alert["status"]["inhibitedBy"]:
                held.setdefault(alert["labels"]["job"], set()).add(alert["labels"]["alertname"])
    assert {f"monitor-{number}": muted for number, (_, muted) in enumerate(SOURCES) if muted} == held


class Page:
    """An exposition that a test changes while it is scraped."""

    def __init__(self) -> None:
        # A worker that owns a partition: one that does not is blind.
        self.samples = {sample("monitor_lag_records", {"topic": "moderation.blocks", "partition": "0"}): 0.0}

    def __call__(self) -> bytes:
        return "".join(f"{name} {value!r}\n" for name, value in self.samples.items()).encode()


SERIES: Mapping[str, str] = {
    "model": "text",
    "model_version": "v2",
    "variant": "champion",
    "policy": "hate",
    "segment": "language=es",
    "window": "1h",
    "estimator": "hajek",
}


def sample(name: str, labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}"


def poor_precision() -> dict[str, float]:
    policy = {name: SERIES[name] for name in ("model", "policy")}
    return {
        sample("moderation_precision_ratio", SERIES): 0.78,
        sample("moderation_precision_upper_ratio", SERIES): 0.83,
        sample("moderation_precision_effective_labels", SERIES): 300.0,
        sample("moderation_precision_objective_ratio", policy): 0.9,
        sample("moderation_precision_minimum_labels", policy): 100.0,
    }


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def path(tmp_path: Path, page: Page) -> Iterator[AlertPath]:
    with LocalHttp(page) as worker:
        scrape = PrometheusConfig({JOB: [worker.address]}, rules=write_rules(tmp_path / "rules", pace=PACE))
        with AlertPath(tmp_path, scrape, config()) as running:
            yield running


def test_a_firing_rule_reaches_the_webhook_and_so_does_its_end(path: AlertPath, page: Page) -> None:
    page.samples.update(poor_precision())
    alert = path.wait_for("on-call", "ModerationPrecisionBelowObjective")
    assert {**{name: SERIES[name] for name in SERIES}, "job": JOB} == {
        name: value for name, value in alert["labels"].items() if name not in {"alertname", "severity"}
    }
    assert alert["annotations"]["description"].startswith("text v2 (champion), policy hate, segment language=es:")
    assert "83%" in alert["annotations"]["description"]
    assert "90% (300 effective labels)" in alert["annotations"]["description"]
    assert path.wait_for("watchdog", "Watchdog")

    page.samples[sample("moderation_precision_upper_ratio", SERIES)] = 0.97
    page.samples[sample("moderation_precision_ratio", SERIES)] = 0.95
    path.wait_for("on-call", "ModerationPrecisionBelowObjective", status="resolved")


def test_a_stalled_monitor_holds_back_what_it_says_of_the_models(path: AlertPath, page: Page) -> None:
    topic = {"topic": "moderation.decisions"}
    page.samples[sample("monitor_last_event_timestamp_seconds", topic)] = time.time() - 3600.0
    page.samples[sample("monitor_lag_records", {**topic, "partition": "0"})] = 5000.0
    path.wait_for("on-call", "MonitorIngestStalled")
    page.samples.update(poor_precision())

    def held_back() -> bool:
        return any(
            alert["labels"]["alertname"] == "ModerationPrecisionBelowObjective" and alert["status"]["inhibitedBy"]
            for alert in path.alertmanager.alerts()
        )

    until(held_back, seconds=30.0, what="the inhibition")
    names = {alert["labels"]["alertname"] for sent in path.notifications("on-call") for alert in sent["alerts"]}
    assert not {name for name in names if name.startswith("Moderation")}
