"""Real Prometheus, Alertmanager and a webhook for tests: own directories, free ports on loopback, deadlines.

A missing program skips the test on a developer's machine and fails it where `CI` is set: there nothing is left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import pytest
import yaml

from tests.ports import free_port

HOST = "127.0.0.1"
START_SECONDS = 90.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.1

Found = TypeVar("Found")


def require_program(*names: str) -> str:
    """Path of the first program of `names` that is installed; otherwise skips the test, or fails it where CI is set."""
    for name in names:
        if path := shutil.which(name):
            return path
    message = f"{' or '.join(names)} is not on the PATH (Debian packages prometheus and prometheus-alertmanager)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def until(look: Callable[[], Found | None], *, seconds: float, what: str) -> Found:
    """The first truthy result of `look`. Raises TimeoutError when there is none within the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waiting {seconds:g} s for {what}")
        time.sleep(POLL_SECONDS)
    return found


@dataclass(frozen=True, slots=True)
class PrometheusConfig:
    """What a Prometheus scrapes, evaluates and notifies. Targets and Alertmanagers are `host:port`."""

    targets: Mapping[str, Sequence[str]]
    """job -> targets"""
    rules: Sequence[Path] = ()
    alertmanagers: Sequence[str] = ()
    interval: str = "1s"
    """of scraping and of evaluating rules; a scrape that takes longer is lost"""
    metrics_path: str = "/metrics"

    def document(self) -> dict[str, Any]:
        """The configuration as Prometheus reads it."""
        return {
            "global": {
                "scrape_interval": self.interval,
                "scrape_timeout": self.interval,
                "evaluation_interval": self.interval,
            },
            "rule_files": [str(path.resolve()) for path in self.rules],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(self.alertmanagers)}]}]},
            "scrape_configs": [
                {
                    "job_name": job,
                    "metrics_path": self.metrics_path,
                    "static_configs": [{"targets": list(addresses)}],
                }
                for job, addresses in self.targets.items()
            ],
        }


class _Program:
    """A server process with a ready endpoint and a log file in `directory`."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = directory / f"{name}.log"
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://{self.address}"

    def command(self) -> list[str]:
        """What is run; called once, at the start."""
        raise NotImplementedError

    def start(self) -> None:
        """Runs the program and waits until it is ready. Raises RuntimeError with the log when it ends before that."""
        command = self.command()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=self.directory)
        try:
            until(self._ready, seconds=START_SECONDS, what=f"{self._name} on {self.url}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the program; kills it when it does not end by itself in time. Does nothing when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._name} ended with {self._process.returncode}:\n{self.log.read_text()}")
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2.0).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


class PrometheusServer(_Program):
    """A Prometheus of its own in `directory`."""

    def __init__(self, directory: Path, config: PrometheusConfig) -> None:
        super().__init__(directory, "prometheus")
        self.config = config

    def command(self) -> list[str]:
        """What is run."""
        program = require_program("prometheus")
        path = self.directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(self.config.document(), sort_keys=False), encoding="utf-8")
        return [
            program,
            f"--config.file={path}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--storage.tsdb.retention.time=1d",
            # An alert that fires before the Alertmanagers are discovered is lost until it is sent again.
            "--rules.alert.resend-delay=1s",
            "--log.level=warn",
        ]

    def get(self, path: str, **parameters: Any) -> Any:
        """`data` of the answer of `/api/v1/<path>`. Raises ValueError with Prometheus' own words when it refuses."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30.0).json()
        if answer["status"] != "success":
            raise ValueError(f"{path} {parameters}: {answer['errorType']}: {answer['error']}")
        return answer["data"]

    def query(self, expr: str, *, at: float | None = None) -> list[dict[str, Any]]:
        """Result of an instant query: `{"metric": labels, "value": [time, text]}` a series. A scalar is one of them."""
        data = self.get("query", query=expr, **({} if at is None else {"time": at}))
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        result: list[dict[str, Any]] = data["result"]
        return result

    def query_range(self, expr: str, *, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Result of a range query: `{"metric": labels, "values": [[time, text], ...]}` a series. Times in seconds."""
        result: list[dict[str, Any]] = self.get("query_range", query=expr, start=start, end=end, step=step)["result"]
        return result

    def label_values(self, label: str, *, match: str | None = None) -> list[str]:
        """Values of a label, of the series that `match` selects."""
        values: list[str] = self.get(f"label/{label}/values", **({} if match is None else {"match[]": match}))
        return values

    def rules(self) -> list[dict[str, Any]]:
        """Rules of all groups, with `name`, `health`, `lastError` and, of alerts, `state`."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def alerts(self, *, state: str = "firing") -> list[dict[str, Any]]:
        """Alerts in this state (`firing` or `pending`), with `labels` and `annotations`."""
        return [alert for alert in self.get("alerts")["alerts"] if alert["state"] == state]

    def wait_for(self, expr: str, *, seconds: float = START_SECONDS) -> list[dict[str, Any]]:
        """The first non-empty result of a query. Raises TimeoutError when there is none within the deadline."""
        return until(lambda: self.query(expr), seconds=seconds, what=expr)


class AlertmanagerServer(_Program):
    """An Alertmanager of its own in `directory`; `config` is a document as in `deploy/alertmanager`."""

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        super().__init__(directory, "alertmanager")
        self.config = config

    def command(self) -> list[str]:
        """What is run."""
        program = require_program("alertmanager", "prometheus-alertmanager")
        path = self.directory / "alertmanager.yml"
        path.write_text(yaml.safe_dump(dict(self.config), sort_keys=False), encoding="utf-8")
        return [
            program,
            f"--config.file={path}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that Alertmanager holds, with `labels` and `status` (state, silencedBy, inhibitedBy)."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts", timeout=10.0).json()
        return found


@dataclass
class LocalHttp:
    """A small HTTP server on a free port: `GET` answers with `page()`; `POST` keeps the path and the body, as JSON."""

    page: Callable[[], bytes] = field(default=lambda: b"")
    content_type: str = "text/plain; version=0.0.4; charset=utf-8"
    received: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{HOST}:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(outer.page())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append((self.path, json.loads(body)))
                self._answer(b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
                del format, args

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", outer.content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


class AlertPath:
    """Prometheus, Alertmanager and a webhook wired together: what a firing rule looks like at its receiver.

    The routes are those of `alertmanager`; each receiver posts to the webhook under its own name, and waiting times are
    cut to `wait` so that a test sees the notification soon.
    """

    def __init__(
        self, directory: Path, config: PrometheusConfig, alertmanager: Mapping[str, Any], *, wait: str = "200ms"
    ) -> None:
        self.webhook = LocalHttp()
        self.alertmanager = AlertmanagerServer(
            directory / "alertmanager", to_webhook(alertmanager, self.webhook.url, wait=wait)
        )
        wired = PrometheusConfig(
            targets=config.targets,
            rules=config.rules,
            alertmanagers=[self.alertmanager.address],
            interval=config.interval,
            metrics_path=config.metrics_path,
        )
        self.prometheus = PrometheusServer(directory / "prometheus", wired)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            for server in (self.webhook, self.alertmanager, self.prometheus):
                starting.enter_context(server)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def notifications(self, receiver: str) -> list[dict[str, Any]]:
        """What arrived at a receiver, oldest first: Alertmanager's webhook payloads."""
        return [body for path, body in self.webhook.received if path == f"/{receiver}"]

    def wait_for(
        self, receiver: str, alertname: str, *, status: str = "firing", seconds: float = START_SECONDS
    ) -> dict[str, Any]:
        """The first alert of this name and status that arrives at a receiver. Raises TimeoutError when none does."""

        def arrived() -> dict[str, Any] | None:
            for notification in self.notifications(receiver):
                for alert in notification["alerts"]:
                    if alert["labels"]["alertname"] == alertname and alert["status"] == status:
                        found: dict[str, Any] = alert
                        return found
            return None

        return until(arrived, seconds=seconds, what=f"{alertname} ({status}) at {receiver}")


def to_webhook(config: Mapping[str, Any], url: str, *, wait: str) -> dict[str, Any]:
    """The same routes and inhibitions, each receiver posting to `url/<receiver>`, with `wait` for all waiting times."""
    document: dict[str, Any] = json.loads(json.dumps(config))
    for receiver in document["receivers"]:
        receiver["webhook_configs"] = [{"url": f"{url}/{receiver['name']}", "send_resolved": True}]
    waiting = [document["route"]]
    while waiting:
        route = waiting.pop()
        route["group_wait"] = route["group_interval"] = wait
        waiting += route.get("routes", [])
    return document
