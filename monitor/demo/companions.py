"""Prometheus, Alertmanager and Grafana beside the demo, where they are installed.

The demo's time runs faster than the clock, so the waiting times of the rules about models are shortened likewise.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PACED: Final = ("moderation.yml",)
"""Rules about models live in the demo's time, rules about the service in the clock's."""
SCRAPE_INTERVAL: Final = "2s"
RULES: Final = REPOSITORY / "deploy" / "prometheus" / "rules"
DASHBOARDS: Final = REPOSITORY / "grafana" / "dashboards"

_DURATION: Final = re.compile(r"(\d+)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(slots=True)
class Companions:
    """The processes that were started, and where they answer."""

    addresses: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def firing(self) -> list[Mapping[str, str]] | None:
        """Labels of the alerts that Prometheus says are firing, without the watchdog; None without Prometheus."""
        address = self.addresses.get("Prometheus")
        if address is None:
            return None
        try:
            with urllib.request.urlopen(f"{address}/api/v1/alerts", timeout=2) as answer:  # noqa: S310 - our own address
                alerts = json.load(answer)["data"]["alerts"]
        except (OSError, ValueError, KeyError):
            return []
        return [
            alert["labels"]
            for alert in alerts
            if alert["state"] == "firing" and alert["labels"].get("alertname") != "Watchdog"
        ]

    def stop(self) -> None:
        """End all of them."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def start_companions(folder: Path, worker_port: int, *, speed: float) -> Companions:
    """Start what is installed; files go below `folder`."""
    companions = Companions()
    alertmanager = _which("alertmanager", "prometheus-alertmanager")
    if alertmanager is not None:
        _start_alertmanager(companions, alertmanager, folder / "alertmanager")
    prometheus = _which("prometheus")
    if prometheus is not None:
        _start_prometheus(companions, prometheus, folder / "prometheus", worker_port, speed)
    grafana = _which("grafana-server", "grafana")
    if grafana is not None and "Prometheus" in companions.addresses and DASHBOARDS.is_dir():
        _start_grafana(companions, grafana, folder / "grafana")
    return companions


def faster(rules: Mapping[str, Any], *, speed: float) -> dict[str, Any]:
    """A rule file whose waiting times (`for`, `keep_firing_for`) are divided by `speed`."""
    groups = []
    for group in rules["groups"]:
        changed = [
            rule | {key: _shorter(rule[key], speed) for key in ("for", "keep_firing_for") if key in rule}
            for rule in group["rules"]
        ]
        groups.append(group | {"interval": SCRAPE_INTERVAL, "rules": changed})
    return {"groups": groups}


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _shorter(duration: str, speed: float) -> str:
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in _DURATION.findall(str(duration)))
    return f"{max(1, round(1000 * seconds / speed))}ms" if seconds else str(duration)


def _start_prometheus(companions: Companions, program: str, folder: Path, worker_port: int, speed: float) -> None:
    folder.mkdir(parents=True)
    rules = folder / "rules"
    rules.mkdir()
    for path in sorted(RULES.glob("*.yml")):
        pace = speed if path.name in PACED else 1.0
        (rules / path.name).write_text(yaml.safe_dump(faster(yaml.safe_load(path.read_text()), speed=pace)))
    managers = [
        address.removeprefix("http://") for name, address in companions.addresses.items() if name == "Alertmanager"
    ]
    config = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL},
        "rule_files": [str(rules / "*.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": managers}]}]},
        "scrape_configs": [
            {"job_name": "moderation-monitor", "static_configs": [{"targets": [f"127.0.0.1:{worker_port}"]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    _start(
        companions,
        "Prometheus",
        port,
        [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder,
    )


def _start_alertmanager(companions: Companions, program: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    config = {"route": {"receiver": "nobody", "group_by": ["alertname", "model"]}, "receivers": [{"name": "nobody"}]}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    _start(
        companions,
        "Alertmanager",
        port,
        [
            program,
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        folder,
    )


def _start_grafana(companions: Companions, program: str, folder: Path) -> None:
    provisioning = folder / "provisioning"
    (provisioning / "datasources").mkdir(parents=True)
    (provisioning / "dashboards").mkdir()
    source = {"name": "Prometheus", "type": "prometheus", "url": companions.addresses["Prometheus"], "isDefault": True}
    boards = {"name": "moderation", "type": "file", "options": {"path": str(DASHBOARDS)}}
    (provisioning / "datasources" / "prometheus.yml").write_text(
        yaml.safe_dump({"apiVersion": 1, "datasources": [source]})
    )
    (provisioning / "dashboards" / "moderation.yml").write_text(
        yaml.safe_dump({"apiVersion": 1, "providers": [boards]})
    )
    port = free_port()
    command = [program, *(["server"] if Path(program).name == "grafana" else [])]
    home = Path("/usr/share/grafana")
    if home.is_dir():
        command.append(f"--homepath={home}")
    environment = {
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PROVISIONING": str(provisioning),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    }
    _start(companions, "Grafana", port, command, folder, environment=environment)


def _start(
    companions: Companions,
    name: str,
    port: int,
    command: list[str],
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
) -> None:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - found on the PATH by name
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )
    companions.processes.append(process)
    companions.addresses[name] = f"http://127.0.0.1:{port}"


def _which(*names: str) -> str | None:
    return next((path for path in map(shutil.which, names) if path is not None), None)
