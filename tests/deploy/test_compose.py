"""The compose file hangs together: what it mounts, builds, waits for and scrapes exists. No Docker engine is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from monitor.settings import PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCRAPE = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))


def each_service() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", SERVICES)


def container_ports(name: str) -> set[int]:
    return {int(str(port).rsplit(":", 1)[-1]) for port in SERVICES[name].get("ports", ())}


def test_the_system_is_complete() -> None:
    assert {"kafka", "topics", "worker", "simulator", "prometheus", "alertmanager", "grafana"} == set(SERVICES)
    assert ["simulate"] == SERVICES["simulator"]["profiles"]
    assert ["worker"] == SERVICES["worker"]["command"]
    assert ["topics", "create"] == SERVICES["topics"]["command"]
    assert [] == [name for name in SERVICES if name != "simulator" and "profiles" in SERVICES[name]]


@each_service()
def test_images_are_pinned_to_a_version(name: str) -> None:
    image = SERVICES[name]["image"]
    if "build" in SERVICES[name]:
        context = (DEPLOY / SERVICES[name]["build"]["context"]).resolve()
        assert DEPLOY.parent == context
        assert (context / SERVICES[name]["build"]["dockerfile"]).is_file()
        assert image.endswith(":local")
    else:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", image), image


@each_service()
def test_mounted_files_exist_and_volumes_are_declared(name: str) -> None:
    for mount in SERVICES[name].get("volumes", ()):
        source, _, rest = mount.partition(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), mount
            assert rest.endswith(":ro"), f"{mount}: configuration is read-only"
        elif rest:
            assert source in COMPOSE["volumes"], mount


@each_service()
def test_what_a_service_waits_for_exists_and_can_become_true(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        if condition["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert "service_completed_successfully" == condition["condition"]
            assert "no" == SERVICES[other]["restart"]


@each_service()
def test_ports_are_published_on_the_loopback_interface_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@each_service()
def test_the_monitor_is_configured_by_its_own_variables(name: str) -> None:
    if "build" not in SERVICES[name]:
        return
    environment = SERVICES[name]["environment"]
    for variable in environment:
        section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        part = Settings.model_fields[section].annotation
        assert variable.startswith(PREFIX)
        assert isinstance(part, type)
        assert issubclass(part, BaseModel)
        assert key in part.model_fields, variable
    internal = re.search(r"INTERNAL://(kafka:\d+)", SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"])
    assert internal
    assert internal[1] == environment["MONITOR_KAFKA__BOOTSTRAP_SERVERS"]


def test_prometheus_scrapes_and_notifies_services_that_listen_there() -> None:
    jobs = {job["job_name"]: job for job in SCRAPE["scrape_configs"]}
    (found,) = jobs["moderation-monitor"]["dns_sd_configs"]
    assert ["worker"] == found["names"]
    assert found["port"] in container_ports("worker")
    assert str(found["port"]) == SERVICES["worker"]["environment"]["MONITOR_HTTP__PORT"]
    (manager,) = SCRAPE["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    name, port = manager.split(":")
    assert int(port) in container_ports(name)


def test_the_scrape_job_is_the_one_that_the_rules_name() -> None:
    rules = (DEPLOY / "prometheus" / "rules" / "monitor.yml").read_text(encoding="utf-8")
    assert {job["job_name"] for job in SCRAPE["scrape_configs"]} >= set(re.findall(r'up\{job="([^"]+)"\}', rules))


def test_files_are_where_the_programs_look_for_them() -> None:
    def mounted(name: str, path: str) -> Path:
        for mount in SERVICES[name]["volumes"]:
            source, target, *_ = mount.split(":")
            if path == target or path.startswith(f"{target}/"):
                return DEPLOY / str(source) / path.removeprefix(target).lstrip("/")
        raise AssertionError(f"{name}: nothing is mounted at {path}")

    for name in ("prometheus", "alertmanager"):
        (flag,) = [part for part in SERVICES[name]["command"] if part.startswith("--config.file=")]
        assert mounted(name, flag.partition("=")[2]).is_file()
    assert mounted("prometheus", "/etc/prometheus/rules").is_dir()
    provisioning = mounted("grafana", "/etc/grafana/provisioning")
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "moderation.yaml").read_text())["providers"]
    assert list(mounted("grafana", provider["options"]["path"]).glob("*.json"))
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert mounted("grafana", home).is_file()
    (datasource,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    host, port = datasource["url"].removeprefix("http://").split(":")
    assert int(port) in container_ports(host)
