"""The configuration: every mistake is told with its place, its key and what is allowed; the environment wins."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from detectors import Adwin
from monitor.settings import InvalidSettings, ModelOverride, ObjectiveOverride, Section, Settings, load_settings

SECTIONS = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def load(folder: Path, content: Any = None, **environ: str) -> Settings:
    path = None
    if content is not None:
        path = folder / "monitor.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return load_settings(path, environ)


def refusal(folder: Path, content: Any = None, **environ: str) -> str:
    with pytest.raises(InvalidSettings) as error:
        load(folder, content, **environ)
    return str(error.value)


def test_without_file_and_environment_the_defaults_are_taken(tmp_path: Path) -> None:
    assert Settings() == load(tmp_path) == load(tmp_path, "") == load(tmp_path, {})


def test_the_defaults_are_valid_when_written_out_and_read_again(tmp_path: Path) -> None:
    dumped = Settings().model_dump(mode="json", exclude={"drift": {"detectors"}})
    assert Settings() == load(tmp_path, dumped)


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_key_is_refused_in_every_section_with_what_is_allowed(tmp_path: Path, section: str) -> None:
    told = refusal(tmp_path, {section: {"no_such_key": 1}})
    allowed = ", ".join(SECTIONS[section].model_fields)
    assert f"{tmp_path}/monitor.yaml: {section}.no_such_key: no such key; allowed here: {allowed}" == told


def test_an_unknown_section_is_refused_with_all_there_are(tmp_path: Path) -> None:
    told = refusal(tmp_path, {"kafak": {}})
    assert f"kafak: no such key; allowed here: {', '.join(Settings.model_fields)}" in told


def test_unknown_keys_of_models_and_policies_are_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, {"models": {"m": {"objektive": 1}}})
    assert "models.m.objektive: no such key; allowed here: objective, minimum_labels, thresholds" in told
    told = refusal(tmp_path, {"models": {"m": {"policies": {"p": {"x": 1}}}}})
    assert "models.m.policies.p.x: no such key; allowed here: objective, minimum_labels" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"kafka": {"bootstrap_servers": ""}}, "kafka.bootstrap_servers: String should have at least 1 character"),
        ({"kafka": {"session_timeout_seconds": 1}}, "kafka.session_timeout_seconds: Input should be greater than or"),
        ({"kafka": {"security_protocol": "TLS"}}, "Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ({"http": {"port": 70_000}}, "http.port: Input should be less than or equal to 65535, got 70000"),
        ({"http": {"port": "web"}}, "http.port: Input should be a valid integer"),
        ({"blocks": {"size": 8}}, "blocks.size: Input should be greater than or equal to 16, got 8"),
        ({"blocks": {"horizon": 0}}, "blocks.horizon: "),
        ({"limits": {"series": 0}}, "limits.series: "),
        ({"time": {"feedback_retention_days": 181}}, "time.feedback_retention_days: "),
        ({"poison": {"maximum_ratio": 1.5}}, "poison.maximum_ratio: "),
        ({"precision": {"objective": 1.0}}, "precision.objective: Input should be less than 1, got 1.0"),
        ({"models": {"m": {"objective": 0}}}, "models.m.objective: Input should be greater than 0, got 0"),
        ({"models": {"m": {"thresholds": [0.5, 2]}}}, "models.m.thresholds.1: Input should be less than 1, got 2"),
        ({"models": {"m": {"positive_actions": [1]}}}, "models.m.positive_actions.0: "),
        (
            {"models": {"m": {"positive_actions": ["remove", "remvoe"]}}},
            ".m.positive_actions.1: expected one of allow, remove, restrict, label, age_gate, escalate, got 'remvoe'",
        ),
        ({"models": {"m": {"positive_actions": ["other"]}}}, "expected one of allow, remove, restrict, label"),
        ({"models": {"m": {"positive_actions": []}}}, "models.m.positive_actions: expected one or more of allow"),
        ({"models": {"a b": {}}}, "models: `a b` may not become a label"),
        ({"models": {"m": {"policies": {"\n": {}}}}}, "may not become a label"),
        ({"segments": {"kinds": [["colour"]]}}, "segments.kinds.0.0: Input should be 'language', 'region'"),
        (
            {"segments": {"kinds": [[]]}},
            "segments.kinds: expected distinct dimensions out of language, region, surface",
        ),
        ({"segments": {"kinds": [["language", "language"]]}}, "segments.kinds: expected distinct dimensions"),
        ({"segments": {"kinds": [["language"], ["language"]]}}, "segments.kinds: expected each kind of segment once"),
        (
            {"segments": {"kinds": [["region", "language"], ["language", "region"]]}},
            "expected each kind of segment once",
        ),
        ({"segments": {"values": {"language": ["a b"]}}}, "segments.values: `a b` may not become a label"),
        ({"segments": {"values": {"modality": ["text"]}}}, "segments.values.modality"),
        (
            {"drift": {"thresholds": {"chi2": 1}}},
            "drift.thresholds: expected statistics out of psi, ks, jensen_shannon",
        ),
        ({"drift": {"thresholds": {"psi": -1}}}, "drift.thresholds.psi: Input should be greater than 0, got -1"),
        ({"drift": {"detectors": [{"kind": "tarot"}]}}, "drift.detectors: Invalid value 'tarot'"),
        ({"drift": {"detectors": [{"kind": "adwin", "delta": 2}]}}, "drift.detectors: Expected `float` < 1.0"),
        ({"drift": {"detectors": [{"kind": "adwin", "dleta": 2}]}}, "unknown field `dleta`"),
        ({"drift": {"detectors": [{"kind": "adwin"}, {"kind": "adwin"}]}}, "expected each kind once, got adwin, adwin"),
        ({"drift": {"detectors": [{"kind": "ddm"}]}}, "expected detectors of shares, got ddm for verdicts or counts"),
        ({"drift": {"detectors": 5}}, "drift.detectors: expected a list of detectors, such as [{kind: adwin}], got 5"),
        ({"drift": {"detectors": {"kind": "adwin"}}}, "drift.detectors: expected a list of detectors"),
        ({"drift": {"detectors": ["adwin"]}}, "drift.detectors: "),
        (
            {"drift": {"detectors": [{"kind": "page_hinkley", "threshold": math.inf}]}},
            "drift.detectors: Expected `float` <= 1e+100",
        ),
        ({"drift": {"detectors": [{"kind": "adwin", "delta": math.nan}]}}, "drift.detectors: "),
        (
            {"drift": {"thresholds": {"psi": math.inf}}},
            "drift.thresholds.psi: Input should be a finite number, got inf",
        ),
        ({"topics": {"retention_hours": math.inf}}, "topics.retention_hours: Input should be a finite number, got inf"),
        ({"topics": {"retention_hours": 1e300}}, "topics.retention_hours: Input should be less than or equal to"),
        (
            {"topics": {"join_retention_hours": 1e300}},
            "topics.join_retention_hours: Input should be less than or equal",
        ),
        ({"precision": {"minimum_labels": math.inf}}, "precision.minimum_labels: Input should be a finite number"),
        ({"precision": {"minimum_labels": math.nan}}, "precision.minimum_labels: Input should be a finite number"),
        ({"models": {"m": {"minimum_labels": math.inf}}}, "models.m.minimum_labels: Input should be a finite number"),
        ({"models": {"m": {"thresholds": [math.nan]}}}, "models.m.thresholds.0: Input should be a finite number"),
        ({"time": {"future_seconds": math.nan}}, "time.future_seconds: Input should be a finite number"),
        ({"blocks": {"size": math.inf}}, "blocks.size: Input should be a finite number"),
        ({"log": {"level": "debug"}}, "log.level: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', got 'debug'"),
        ({"join": {"wait_hours": 1e-9}}, "join.wait_hours: Input should be greater than or equal to 0.000277"),
        ({"time": {"feedback_retention_days": 1e-7}}, "time.feedback_retention_days: Input should be greater"),
        ({"blocks": {"size": 1_048_576, "horizon": 4096}}, "blocks: size, horizon: expected a product of at most"),
        ({"kafka": 5}, "kafka: Input should be a valid dictionary"),
        ({"http": {"host": None}}, "http.host: Input should be a valid string, got None"),
        ({"kafka": {"ca_file": "a\0b"}}, "kafka.ca_file: expected a path without NUL and of whole characters, got 'a"),
        ({"state": {"directory": "\ud800"}}, "state.directory: expected a path without NUL and of whole characters"),
        ({"kafka": {"group_id": "\ud800"}}, "kafka.group_id: Input should be a valid string, unable to parse"),
        ({"kafka": {"instance_id": "\ud800"}}, "kafka.instance_id: Input should be a valid string, unable to parse"),
        ({"kafka": {"username": "\ud800"}}, "kafka.username: Input should be a valid string, unable to parse"),
        ({"drift": {"reference": "\0x"}}, "drift.reference: expected a path without NUL and of whole characters"),
        ({"models": {"m": {"thresholds": 0.5}}}, "models.m.thresholds: expected a list, such as [0.5], got 0.5"),
        ({"models": {"m": {"thresholds": None}}}, "models.m.thresholds: expected a list, got None"),
    ],
    ids=str,
)
def test_a_wrong_value_is_told_with_file_key_what_is_allowed_and_what_was_found(
    tmp_path: Path, content: Any, told: str
) -> None:
    found = refusal(tmp_path, content)
    assert found.startswith(f"{tmp_path}/monitor.yaml: ")
    assert told in found


NO_SERVERS = [
    ",",
    "[abcd]:9092",
    "[::1::2]:9092",
    "localhost:abc",
    "localhost:",
    "localhost:0",
    "a:70000",
    "a:1,",
    ":9092",
    "a b:1",
    "::1",
    "k://a:1",
]


@pytest.mark.parametrize("servers", [*NO_SERVERS, "a..b:1", ".:1", 70 * "a", f"{70 * 'a'}.svc:9092"])
def test_bootstrap_servers_that_no_client_can_use_are_refused(tmp_path: Path, servers: str) -> None:
    told = refusal(tmp_path, {"kafka": {"bootstrap_servers": servers}})
    assert 1 == len(told.splitlines())
    assert "monitor.yaml: kafka.bootstrap_servers: expected host:port, several separated by commas" in told
    assert told.endswith(f"got {servers!r}")


@pytest.mark.parametrize("servers", ["a", "kafka-1.example.org:9092", "127.0.0.1:1,b_c:2", "[::1]:9092", "[::1]"])
def test_bootstrap_servers_that_all_clients_understand_are_taken(tmp_path: Path, servers: str) -> None:
    assert servers == load(tmp_path, {"kafka": {"bootstrap_servers": servers}}).kafka.bootstrap_servers


@pytest.mark.parametrize(
    "host", ["not a host", "[::1]", "", "a..b", 70 * "a", "a:80", "::g", "http://a", "a/b", "a,b", "0.0.0.0:8080"]
)
def test_a_host_that_nothing_can_be_bound_to_is_refused(tmp_path: Path, host: str) -> None:
    told = refusal(tmp_path, {"http": {"host": host}})
    assert "monitor.yaml: http.host: expected a host name or an address, one of IPv6 without brackets" in told
    assert told.endswith(f"got {host!r}")


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost", "::", "::1", "fe80::1%eth0", "monitor-1.example.org"])
def test_a_host_is_a_name_or_an_address(tmp_path: Path, host: str) -> None:
    assert host == load(tmp_path, {"http": {"host": host}}).http.host


def test_empty_is_unset_in_the_file_as_in_the_environment(tmp_path: Path) -> None:
    names = ("instance_id", "sasl_mechanism", "username", "password", "ca_file", "cert_file", "key_file")
    assert Settings() == load(tmp_path, {"kafka": dict.fromkeys(names, "")})
    assert Settings() == load(tmp_path, **{f"MONITOR_KAFKA__{name.upper()}": "" for name in names})


def test_spaces_between_bootstrap_servers_do_not_count(tmp_path: Path) -> None:
    assert "a:1,b:2" == load(tmp_path, {"kafka": {"bootstrap_servers": " a:1, b:2 "}}).kafka.bootstrap_servers


@pytest.mark.parametrize("text", ["adwin", "{kind: adwin}", ""])
def test_detectors_from_the_environment_are_a_list(tmp_path: Path, text: str) -> None:
    told = refusal(tmp_path, MONITOR_DRIFT__DETECTORS=text)
    assert "environment MONITOR_DRIFT__DETECTORS: drift.detectors: expected a list of detectors" in told


@pytest.mark.parametrize("text", ["2026-99-99", "[" * 5000, "[!!int a]", "[{kind: adwin, kind: adwin}]", "[a"])
def test_a_list_from_the_environment_that_is_no_yaml_is_told_with_the_variable(tmp_path: Path, text: str) -> None:
    told = refusal(tmp_path, MONITOR_DRIFT__DETECTORS=text)
    assert told.startswith("environment MONITOR_DRIFT__DETECTORS: drift.detectors: expected YAML: ")
    assert 1 == len(told.splitlines())


@pytest.mark.parametrize(("key", "text"), [("POSITIVE_ACTIONS", "remove"), ("THRESHOLDS", "0.5")])
def test_one_value_in_the_environment_where_a_list_is_expected_is_told(tmp_path: Path, key: str, text: str) -> None:
    told = refusal(tmp_path, **{f"MONITOR_MODELS__m__{key}": text})
    assert f": models.m.{key.lower()}: expected a list, such as [{text}], got '{text}'" in told


def test_infinity_from_the_environment_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, MONITOR_PRECISION__MINIMUM_LABELS="inf")
    assert "MONITOR_PRECISION__MINIMUM_LABELS: precision.minimum_labels: Input should be a finite number" in told


def test_an_unknown_action_is_one_mistake(tmp_path: Path) -> None:
    told = refusal(tmp_path, {"models": {"m": {"positive_actions": ["remvoe"]}}})
    assert 1 == len(told.splitlines())


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = refusal(tmp_path, {"http": {"port": -1, "x": 1}, "log": {"level": "no"}}, MONITOR_BLOCKS__SIZE="1")
    assert 4 == len(told.splitlines())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: [", "expected YAML"),
        ("- a\n- b", "expected sections (kafka, topics, http"),
        ("5", "got int"),
        ("a: b: c", "expected YAML"),
        ("models: {a: {}}\nhttp: {port: 1}\nmodels: {b: {}}", "`models` is there twice, line 3, column 1"),
        ("models:\n  a: {objective: 0.5}\n  a: {objective: 0.6}", "`a` is there twice"),
        ("!!python/object/apply:os.system ['true']", "expected YAML"),
        (
            "kafka:\n  group_id: 2026-99-99",
            "cannot be read as the timestamp that it looks like (text goes in quotes), l",
        ),
        ("kafka:\n  group_id: 2026-99-99", "quotes), line 2, column 13"),
        ("models: !!int abc", "cannot be read as the int that it looks like"),
        ("models: !!int ''", "cannot be read as the int that it looks like"),
        ("models: !!bool maybe", "cannot be read as the bool that it looks like"),
        ("models: !!timestamp soon", "cannot be read as the timestamp that it looks like"),
        (f"http: {{port: {'1' * 5000}}}", "cannot be read as the int that it looks like"),
        (f"http: {{port: 0x{'f' * 5000}}}", "an integer of more than 64 bits"),
        ("http: " + "[" * 5000, "expected YAML: nested too deeply"),
        ("models: !!set [a]", "expected YAML: expected a mapping node"),
        ("a: \1", "expected YAML: unacceptable character"),
    ],
)
def test_a_file_that_is_no_mapping_of_sections_is_refused(tmp_path: Path, content: str, told: str) -> None:
    found = refusal(tmp_path, content)
    assert found.startswith(f"{tmp_path}/monitor.yaml: expected ")
    assert told in found
    assert 1 == len(found.splitlines())


@pytest.mark.parametrize("content", ["password: 5318-00-08", "password: 5318 'x: '", "{password: a, password: 5318}"])
def test_yaml_that_cannot_be_read_never_shows_a_password(tmp_path: Path, content: str) -> None:
    told = refusal(tmp_path, f"kafka:\n  {content}")
    assert "expected YAML" in told
    assert "5318" not in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "segments: {values: {language: [en, no]}}",
            "segments.values.language.1: Input should be a valid string, got F",
        ),
        (
            "kafka: {group_id: 2026-01-31}",
            "kafka.group_id: Input should be a valid string, got datetime.date(2026, 1, ",
        ),
        ("kafka: {group_id: 5}", "kafka.group_id: Input should be a valid string, got 5"),
    ],
)
def test_what_yaml_takes_for_something_else_than_text_is_to_be_quoted(tmp_path: Path, content: str, told: str) -> None:
    found = refusal(tmp_path, content)
    assert told in found
    assert found.endswith("; text such as no, on, 1.0 or 2026-01-31 goes in quotes")


@pytest.mark.parametrize(
    "content",
    [
        "".join(f"{section}:\n" for section in Settings.model_fields),
        "segments: {values: }\ndrift: {thresholds: }",
    ],
)
def test_a_section_without_keys_says_nothing(tmp_path: Path, content: str) -> None:
    assert Settings() == load(tmp_path, content)


def test_a_model_or_policy_without_keys_is_named_and_no_more(tmp_path: Path) -> None:
    found = load(tmp_path, "models: {m: {policies: {p: }}, n: , o: {policies: }}").models
    assert {"m", "n", "o"} == set(found)
    assert found["n"] == found["o"] == ModelOverride()
    assert {"p": ObjectiveOverride()} == found["m"].policies


def test_the_environment_fills_a_section_without_keys(tmp_path: Path) -> None:
    found = load(tmp_path, "http:\nmodels: {m: }", MONITOR_HTTP__PORT="1", MONITOR_MODELS__m__OBJECTIVE="0.5")
    assert (1, 0.5) == (found.http.port, found.models["m"].objective)


def test_the_environment_changes_no_other_key_that_holds_the_same_mapping(tmp_path: Path) -> None:
    content = "models: {a: &a {objective: 0.5}, b: *a}"
    found = load(tmp_path, content, MONITOR_MODELS__a__OBJECTIVE="0.6").models
    assert (0.6, 0.5) == (found["a"].objective, found["b"].objective)


def test_a_mapping_may_take_over_the_keys_of_another(tmp_path: Path) -> None:
    found = load(tmp_path, "models:\n  a: &a {objective: 0.5}\n  b:\n    <<: *a\n    objective: 0.6\n  c: *a")
    assert [0.5, 0.6, 0.5] == [found.models[name].objective for name in "abc"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"nothing\.yaml: cannot be read: No such file"):
        load_settings(tmp_path / "nothing.yaml", {})
    with pytest.raises(InvalidSettings, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {})
    (tmp_path / "latin.yaml").write_bytes(b"http: {host: \xe9}")
    with pytest.raises(InvalidSettings, match=r"latin\.yaml: expected YAML"):
        load_settings(tmp_path / "latin.yaml", {})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        {"http": {"port": 1, "host": "h"}, "kafka": {"bootstrap_servers": "a:1"}},
        MONITOR_HTTP__PORT="2",
        MONITOR_KAFKA__BOOTSTRAP_SERVERS="b:2,c:3",
        MONITOR_STATE__DIRECTORY="/data",
        MONITOR_PRECISION__OBJECTIVE="0.75",
        MONITOR_MODELS__m__OBJECTIVE="0.5",
        MONITOR_MODELS__m__THRESHOLDS="[0.5, 0.8]",
        MONITOR_SEGMENTS__KINDS="[[language], [language, region]]",
        MONITOR_DRIFT__DETECTORS="[{kind: adwin, delta: 0.1}]",
        OTHER_HTTP__PORT="7",
    )
    assert (2, "h", "b:2,c:3") == (found.http.port, found.http.host, found.kafka.bootstrap_servers)
    assert Path("/data") == found.state.directory
    assert (0.75, 0.5) == (found.precision.objective, found.models["m"].objective)
    assert (0.5, 0.8) == found.models["m"].thresholds
    assert (("language",), ("language", "region")) == found.segments.kinds
    assert (Adwin(delta=0.1),) == found.drift.detectors


@pytest.mark.parametrize(
    "text", ["0123", "123456", "1e3", "yes", "null", "a: b", "on", "~", "2024-01-01", "[a", "{", "[a]", "[1, 2]"]
)
def test_text_from_the_environment_stays_the_text_that_it_is(tmp_path: Path, text: str) -> None:
    found = load(tmp_path, MONITOR_KAFKA__PASSWORD=text, MONITOR_KAFKA__USERNAME=text)
    assert text == found.kafka.username
    assert found.kafka.password is not None
    assert text == found.kafka.password.get_secret_value()


def test_names_of_models_and_policies_in_the_environment_keep_their_case(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        MONITOR_MODELS__TextGuard__OBJECTIVE="0.5",
        MONITOR_MODELS__TextGuard__POLICIES__Hate__OBJECTIVE="0.6",
        MONITOR_MODELS__models__MINIMUM_LABELS="7",
    )
    assert {"TextGuard", "models"} == set(found.models)
    assert (0.5, 0.6) == (found.models["TextGuard"].objective, found.models["TextGuard"].policies["Hate"].objective)
    assert 7 == found.models["models"].minimum_labels


def test_an_empty_variable_unsets_what_may_be_unset(tmp_path: Path) -> None:
    assert load(tmp_path, {"kafka": {"instance_id": "a"}}, MONITOR_KAFKA__INSTANCE_ID="").kafka.instance_id is None


def test_a_wrong_value_in_the_environment_is_told_with_the_variable(tmp_path: Path) -> None:
    told = refusal(tmp_path, {"http": {"host": "h"}}, MONITOR_HTTP__PORT="many")
    assert "environment MONITOR_HTTP__PORT: http.port: Input should be a valid integer" in told
    assert "monitor.yaml" not in told


@pytest.mark.parametrize("name", ["MONITOR_HTPP__PORT", "MONITOR_PORTS", "MONITOR_HTTP", "MONITOR_", "MONITOR_DEBUG"])
def test_an_unknown_variable_is_refused_with_what_is_allowed(tmp_path: Path, name: str) -> None:
    told = refusal(tmp_path, **{name: "1"})
    assert f"environment {name}: no such setting; allowed are MONITOR_KAFKA__..., " in told


def test_an_unknown_key_in_the_environment_is_refused_with_the_variable(tmp_path: Path) -> None:
    told = refusal(tmp_path, MONITOR_HTTP__PROT="1")
    assert "environment MONITOR_HTTP__PROT: http.prot: no such key; allowed here: host, port" == told


@pytest.mark.parametrize(
    "name",
    [
        "MONITOR_SERVICE_HOST",
        "MONITOR_SERVICE_PORT",
        "MONITOR_SERVICE_PORT_HTTP",
        "MONITOR_PORT",
        "MONITOR_PORT_8080_TCP",
        "MONITOR_PORT_8080_TCP_PROTO",
        "MONITOR_PORT_8080_TCP_ADDR",
        "MONITOR_KAFKA_SERVICE_HOST",
        "MONITOR_KAFKA_PORT_9092_TCP_PORT",
    ],
)
def test_what_kubernetes_puts_into_every_container_is_left_alone(tmp_path: Path, name: str) -> None:
    assert Settings() == load(tmp_path, **{name: "tcp://10.0.0.1:8080"})


def test_a_section_of_the_environment_that_is_a_value_in_the_file_is_told(tmp_path: Path) -> None:
    told = refusal(tmp_path, {"http": 5}, MONITOR_HTTP__PORT="1")
    assert "environment MONITOR_HTTP__PORT: `http` is a value in the file, not a section" == told


@pytest.mark.parametrize("secret", [5_318_008, ["hunter2"]])
def test_a_password_is_never_repeated(tmp_path: Path, secret: Any) -> None:
    told = refusal(tmp_path, {"kafka": {"password": secret}})
    assert "kafka.password" in told
    assert "5318008" not in told
    assert "hunter2" not in told
    found = load(tmp_path, {"kafka": {"password": "hunter2"}})
    assert "hunter2" not in repr(found)
    assert "hunter2" not in found.kafka.model_dump_json()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().http.port = 1
    assert all(issubclass(section, Section) for section in SECTIONS.values())
