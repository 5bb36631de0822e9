"""`check`: what is wrong is named with its place, and what is right is summed up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from monitor.assembly import assemble
from monitor.reference import ModelReference, Reference
from monitor.settings import load_settings
from monitor.streaming.security import Security, security_of
from tests.commands.calls import call


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "monitor.yaml"
    path.write_text(text)
    return path


def test_a_good_file_is_summed_up(tmp_path: Path) -> None:
    text = "segments: {kinds: [[language], [language, region]]}\nmodels: {text-guard: {objective: 0.8}}\n"
    result = call("check", written(tmp_path, text))
    assert 0 == result.exit_code
    assert "monitor.yaml: ok" in result.output
    assert "language, language x region" in result.output
    assert "text-guard" in result.output
    assert "adwin, page_hinkley" in result.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kafak: {}", "kafak: no such key; allowed here: kafka, topics, http"),
        ("http: {prot: 1}", "http.prot: no such key; allowed here: host, port"),
        ("models: {m: {objective: 2}}", "models.m.objective"),
        ("drift: {thresholds: {psy: 1}}", "expected statistics out of psi, ks"),
        ("drift: {reference: absent.json}", "drift.reference: reference absent.json: cannot be read"),
        ("kafka: {security_protocol: SASL_SSL}", "kafka security: sasl_mechanism is None; allowed: SCRAM-SHA-256"),
        ("kafka: {username: me}", "kafka security: username is set"),
        ("http: {host: '[::1]'}", "http.host: expected a host name or an address, one of IPv6 without brackets"),
        ("kafka: {group_id: 2026-99-99}", "expected YAML: cannot be read as the timestamp that it looks like"),
        ('drift: {reference: "\\0x"}', "drift.reference: expected a path without NUL"),
        ("kafka: {bootstrap_servers: ','}", "kafka.bootstrap_servers: expected host:port, several separated by commas"),
        ("kafka: {bootstrap_servers: 'localhost:abc'}", "several separated by commas, got 'localhost:abc'"),
        ("- a", "expected sections"),
        ("a: [", "expected YAML"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    result = call("check", path)
    assert (2, "") == (result.exit_code, result.stdout)
    assert str(path) in result.stderr
    assert told in result.stderr


def test_a_reference_of_another_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reference.json").write_text('{"format": 1, "models": []}')
    result = call("check", written(tmp_path, f"drift: {{reference: {tmp_path / 'reference.json'}}}"))
    assert 2 == result.exit_code
    assert "missing required field `source`" in result.stderr


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_file_of_kafka_that_is_not_pem_is_refused_as_the_worker_does(tmp_path: Path, key: str) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    path = written(tmp_path, f"kafka: {{security_protocol: SSL, {key}: {bad}}}")
    for command in (["check"], ["topics", "create", "--config"], ["simulate", "--config"]):
        result = call(*command, path)
        assert (2, "") == (result.exit_code, result.stdout)
        assert f"kafka security: {key}: cannot use {bad}: " in result.stderr
        assert "PEM" in result.stderr
        assert 1 == len(result.stderr.splitlines())


def test_an_empty_name_and_password_are_none_to_check_and_worker(tmp_path: Path) -> None:
    path = written(tmp_path, 'kafka: {username: "", password: ""}')
    assert 0 == call("check", path).exit_code
    assert Security() == security_of(load_settings(path, {}).kafka)


@pytest.mark.parametrize("key", ["username", "password", "ca_file"])
def test_check_and_worker_agree_that_a_setting_of_security_is_not_used(tmp_path: Path, key: str) -> None:
    path = written(tmp_path, f"kafka: {{{key}: x}}")
    with pytest.raises(ValueError, match=f"kafka security: {key} is set"):
        security_of(load_settings(path, {}).kafka)
    assert 2 == call("check", path).exit_code


def test_the_fingerprint_is_the_workers(tmp_path: Path) -> None:
    reference = Reference(1, "file", "", "", (ModelReference("m", (0.5,), (), ()),))
    (tmp_path / "reference.json").write_bytes(msgspec.json.encode(reference))
    for text in ("{}", f"drift: {{reference: {tmp_path / 'reference.json'}}}"):
        path = written(tmp_path, text)
        told = call("check", path).stdout.splitlines()[-1].split()
        assert ["config", assemble(load_settings(path, {})).fingerprint] == told


def test_the_environment_is_examined_too(tmp_path: Path) -> None:
    path = written(tmp_path, "{}")
    result = call("check", path, environ={"MONITOR_HTTP__PORT": "x"})
    assert 2 == result.exit_code
    assert "environment MONITOR_HTTP__PORT" in result.stderr
    assert 0 == call("check", path, environ={"MONITOR_CONFIG": "elsewhere.yaml"}).exit_code


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = call("check", tmp_path / "absent.yaml")
    assert 2 == result.exit_code
    assert "absent.yaml: cannot be read" in result.stderr
