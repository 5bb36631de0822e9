"""A worker that cannot start says why in one place, with the right exit code, and soon."""

from __future__ import annotations

import resource
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from monitor.broker import EmbeddedBroker
from tests.e2e import topics
from tests.e2e.worker_process import COMMAND, QUICK, WorkerProcess, environment
from tests.kafka_server import KafkaServer
from tests.ports import free_port

REFUSED = 2
UNAVAILABLE = 69
ATTEMPTS = 3


def run(
    directory: Path, *, settings: Mapping[str, object] | None = None, yaml: str | None = None, within: float = 20.0
) -> tuple[int, str, float]:
    """Exit code, standard error and seconds of a worker that is expected to end by itself."""
    command: Sequence[str] = COMMAND
    if yaml is not None:
        (directory / "monitor.yaml").write_text(yaml)
        command = [*command, "--config", str(directory / "monitor.yaml")]
    begin = time.monotonic()
    done = subprocess.run(
        command,
        env=environment(settings or {}),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    return done.returncode, done.stderr, time.monotonic() - begin


def computing() -> float:
    """Seconds of processor time of all processes that were started here and have ended: others do not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("kafka:\n  bootstrap_server: a:9092\n", ["monitor.yaml", "kafka.bootstrap_server", "bootstrap_servers"]),
        ("kafak: {}\n", ["monitor.yaml", "kafak", "kafka"]),
        ("kafka:\n  bootstrap_servers: a:b\n", ["monitor.yaml", "kafka.bootstrap_servers", "host:port", "a:b"]),
        ("models:\n  text-guard:\n    thresholds: [1.5]\n", ["monitor.yaml", "models.text-guard.thresholds", "1.5"]),
        ("precision:\n  objective: 90\n", ["monitor.yaml", "precision.objective", "90"]),
        ("drift:\n  thresholds: {pssi: 0.2}\n", ["monitor.yaml", "drift.thresholds", "psi", "pssi"]),
        ("drift:\n  detectors: [{kind: adwinn}]\n", ["monitor.yaml", "drift.detectors", "adwinn"]),
        ("log:\n  level: LOUD\n", ["monitor.yaml", "log.level", "WARNING", "LOUD"]),
        ("kafka: [\n", ["monitor.yaml", "YAML"]),
    ],
    ids=["typo", "section", "servers", "threshold", "objective", "statistic", "detector", "level", "no yaml"],
)
def test_a_bad_file_is_refused_within_two_seconds_naming_file_key_and_what_is_allowed(
    tmp_path: Path, yaml: str, said: list[str]
) -> None:
    seconds = []
    for _ in range(ATTEMPTS):  # other processes may have the machine for a moment
        begin = computing()
        code, text, _ = run(tmp_path, yaml=yaml)
        assert REFUSED == code, text
        assert [] == [word for word in said if word not in text], text
        assert "Traceback" not in text
        seconds.append(computing() - begin)
        if seconds[-1] < 2.0:
            break
    assert min(seconds) < 2.0


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    done = subprocess.run(
        [*COMMAND, "--config", str(missing)], env=environment({}), capture_output=True, text=True, check=False
    )
    assert REFUSED == done.returncode
    assert str(missing) in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_variable_is_refused_and_one_that_kubernetes_injects_is_not(tmp_path: Path) -> None:
    code, text, _ = run(tmp_path, settings={"kafka.bootstrap": "a:9092"})
    assert (REFUSED, True) == (code, "MONITOR_KAFKA__BOOTSTRAP" in text), text
    injected = environment({}) | {"MONITOR_PORT_8080_TCP_ADDR": "10.0.0.1", "MONITOR_KAFKA__BOOTSTRAP_SERVERS": "[]"}
    done = subprocess.run(list(COMMAND), env=injected, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (REFUSED, False) == (done.returncode, "MONITOR_PORT" in done.stderr), done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kafka.security_protocol": "SSL", "kafka.ca_file": "/nowhere/ca.pem"}, ["/nowhere/ca.pem"]),
        ({"kafka.security_protocol": "SSL", "kafka.ca_file": __file__}, ["ca_file: cannot use", __file__, "PEM"]),
        ({"kafka.security_protocol": "SASL_SSL", "kafka.sasl_mechanism": "SCRAM-SHA-512"}, ["username"]),
        ({"drift.reference": "/nowhere/reference.json"}, ["/nowhere/reference.json"]),
    ],
    ids=["certificate", "no certificate", "password", "reference"],
)
def test_a_secret_or_a_reference_that_cannot_be_read_is_refused(
    tmp_path: Path, settings: dict[str, object], said: list[str]
) -> None:
    code, text, _ = run(tmp_path, settings=settings)
    assert REFUSED == code, text
    assert [] == [word for word in said if word not in text], text
    assert "Traceback" not in text


def test_a_broker_that_is_down_ends_the_start_within_ten_seconds_with_one_clear_line(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    code, text, seconds = run(tmp_path, settings={**QUICK, "kafka.bootstrap_servers": address})
    assert UNAVAILABLE == code, text
    assert seconds < 10.0
    assert 1 == len([line for line in text.splitlines() if '"level": "error"' in line and "monitor.worker" in line])
    assert address in text
    assert "Traceback" not in text
    assert '"serving"' not in text


@pytest.mark.kafka
def test_missing_topics_are_named_with_the_command_that_makes_them(own_kafka: KafkaServer, tmp_path: Path) -> None:
    own_kafka.create_topic("moderation.decisions")
    code, text, _ = run(tmp_path, settings={**QUICK, "kafka.bootstrap_servers": own_kafka.bootstrap})
    assert UNAVAILABLE == code, text
    for said in (
        "moderation.reviews",
        "moderation.decisions.dlq",
        "moderation.blocks",
        "moderation.state",
        "moderation-monitor topics create",
    ):
        assert said in text
    assert "Traceback" not in text


def test_a_taken_port_is_named(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    topics.create(embedded_broker)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {**QUICK, "kafka.bootstrap_servers": embedded_broker.bootstrap, "http.port": port}
        code, text, _ = run(tmp_path, settings=settings)
    assert 1 == code, text
    assert f"127.0.0.1:{port}" in text
    assert "Traceback" not in text


def test_a_worker_that_was_just_started_stops_within_ten_seconds(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    topics.create(embedded_broker)
    with WorkerProcess(embedded_broker.bootstrap, tmp_path) as worker:
        worker.until_ready()
        assert 0 == worker.terminate(within=10)
        assert "Traceback" not in worker.log()
