"""The alert rules are what their code says, pass promtool, and are documented and tested one by one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus.build import FILES, main, rule_file, write_rules
from deploy.prometheus.rule import Alert, Group, Recording, Severity, alerts, duration
from monitor.catalogue import CATALOGUE
from tests.prometheus_server import require_program

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = PROMETHEUS / "rules"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
RUNBOOK = PROMETHEUS.parent / "runbook.md"
GROUPS = [group for groups in FILES.values() for group in groups]
ALERTS = alerts(GROUPS)
RECORDINGS = [rule for group in GROUPS for rule in group.rules if isinstance(rule, Recording)]


def each_alert() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")


def cases(alertname: str) -> Iterator[list[dict[str, Any]]]:
    """For each promtool test that looks at this alert: its looks, by time."""
    for path in TESTS:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            looks = [look for look in test.get("alert_rule_test", ()) if look["alertname"] == alertname]
            if looks:
                yield [{**look, "test": test["name"]} for look in looks]


def test_the_committed_rules_are_the_generated_ones(tmp_path: Path) -> None:
    written = write_rules(tmp_path)
    assert sorted(path.name for path in RULES.iterdir()) == sorted(path.name for path in written)
    for path in written:
        committed = (RULES / path.name).read_text(encoding="utf-8")
        assert path.read_text(encoding="utf-8") == committed, f"{path.name}: run python -m deploy.prometheus.build"


@pytest.mark.prometheus
def test_promtool_accepts_the_rules() -> None:
    promtool = require_program("promtool")
    paths = [str(path) for path in sorted(RULES.glob("*.yml"))]
    result = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", *paths], capture_output=True, text=True
    )
    assert 0 == result.returncode, result.stdout + result.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_passes_the_rule_tests(path: Path) -> None:
    promtool = require_program("promtool")
    result = subprocess.run([promtool, "test", "rules", path.name], capture_output=True, text=True, cwd=path.parent)
    assert 0 == result.returncode, result.stdout + result.stderr


@pytest.mark.prometheus
def test_promtool_accepts_the_configuration_of_prometheus() -> None:
    promtool = require_program("promtool")
    result = subprocess.run(
        [promtool, "check", "config", str(PROMETHEUS / "prometheus.yml")], capture_output=True, text=True
    )
    assert 0 == result.returncode, result.stdout + result.stderr


@each_alert()
def test_an_alert_has_a_heading_in_the_runbook_that_its_url_names(alert: Alert) -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert 1 == headings.count(alert.name)
    (rule,) = [rule for rule in _documents() if _same(rule, alert)]
    assert f"deploy/runbook.md#{alert.name.lower()}" == rule["annotations"]["runbook_url"]


def test_the_runbook_speaks_of_existing_alerts_and_metrics_only() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    assert {alert.name for alert in ALERTS} == set(re.findall(r"^## (\w+)$", text, flags=re.MULTILINE))
    known = {metric.name for metric in CATALOGUE} | {rule.record.split(":")[1] for rule in RECORDINGS}
    assert set(re.findall(r"\b(?:moderation|monitor)_[a-z_]+", text)) <= known
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        for part in ("**Meaning.**", "**Impact.**", "**First checks", "**Do.**", "**Silence**"):
            assert part in section, f"{section.splitlines()[0]}: {part}"


@each_alert()
def test_an_alert_is_tested_firing_silent_before_and_without_data(alert: Alert) -> None:
    found = list(cases(alert.name))
    firing = [
        look
        for looks in found
        for look in looks
        if any(fired["exp_labels"]["severity"] == alert.severity for fired in look["exp_alerts"])
    ]
    assert firing, "no test in which it fires"
    if alert.name == "Watchdog":
        return
    silent = [look for looks in found for look in looks if not look["exp_alerts"]]
    assert {look["test"] for look in silent} & {look["test"] for look in firing}, "no test on both sides of `for`"
    assert any(all(not look["exp_alerts"] for look in looks) for looks in found) or alert.name == "MonitorDown"
    assert any(look["test"].startswith("no data") for looks in found for look in looks), "no test without data"


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda rule: rule.record)
def test_a_recording_rule_is_named_by_level_metric_and_operation_and_tested(recording: Recording) -> None:
    assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", recording.record)
    assert any(f"expr: {recording.record}\n" in path.read_text(encoding="utf-8") for path in TESTS)


@each_alert()
def test_an_alert_says_what_to_know_and_where_to_look(alert: Alert) -> None:
    (rule,) = [rule for rule in _documents() if _same(rule, alert)]
    assert "{{" not in rule["annotations"]["summary"], "summaries group notifications: no values"
    assert rule["annotations"]["dashboard_url"].startswith("http")
    if alert.severity in {Severity.CRITICAL, Severity.WARNING}:
        assert alert.for_seconds > 0
    if alert.name not in {"Watchdog", "MonitorDown"}:
        assert "$labels." in alert.description
    # Alerts on models hold back while the monitor is behind, by their prefix.
    assert alert.name.startswith(("Moderation", "Monitor")) or alert.name == "Watchdog"


@each_alert()
def test_the_link_opens_the_board_at_what_the_alert_speaks_of(alert: Alert) -> None:
    fired = [one for looks in cases(alert.name) for look in looks for one in look["exp_alerts"]]
    for one in (one for one in fired if one["exp_labels"]["severity"] == alert.severity):
        narrowed = tuple(name for name in ("model", "policy", "segment", "window") if name in one["exp_labels"])
        assert narrowed == alert.variables
        assert one["exp_annotations"]["dashboard_url"].count("var-") == len(narrowed)


def test_the_expressions_name_metrics_of_the_catalogue_only() -> None:
    known = {metric.name for metric in CATALOGUE} | {rule.record for rule in RECORDINGS}
    for rule in (rule for group in GROUPS for rule in group.rules):
        used = set(re.findall(r"\b(?:\w+:)?(?:moderation|monitor)_[a-z_]+(?::\w+)?", rule.expr))
        assert used <= known, rule


def test_own_addresses_reach_every_link(tmp_path: Path) -> None:
    main(["--output", str(tmp_path), "--runbook", "https://wiki.example/run", "--grafana", "https://grafana.example/"])
    for path in tmp_path.iterdir():
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in (rule for rule in group["rules"] if "alert" in rule):
                assert rule["annotations"]["runbook_url"].startswith("https://wiki.example/run#")
                assert rule["annotations"]["dashboard_url"].startswith("https://grafana.example/d/")


@pytest.mark.prometheus
def test_paced_rules_wait_shorter_and_stay_valid(tmp_path: Path) -> None:
    assert "for: 10m" in rule_file(FILES["moderation.yml"])
    assert "for: 10s" in rule_file(FILES["moderation.yml"], pace=60.0)
    promtool = require_program("promtool")
    for pace in (60.0, 7.0, 1e9):
        for path in write_rules(tmp_path, pace=pace):
            assert 0 == subprocess.run([promtool, "check", "rules", str(path)], capture_output=True).returncode
    with pytest.raises(ValueError, match="above 0"):
        rule_file(FILES["moderation.yml"], pace=0.0)


def test_durations_are_written_in_their_largest_whole_unit() -> None:
    seconds = {3600.0: "1h", 5400.0: "90m", 45.0: "45s", 172_800.0: "2d", 0.25: "250ms", 1e-9: "1ms"}
    assert seconds == {value: duration(value) for value in seconds}


def _documents() -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES.glob("*.yml")
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]


def _same(rule: dict[str, Any], alert: Alert) -> bool:
    return (rule["alert"], rule["labels"]["severity"]) == (alert.name, alert.severity.value)


def test_groups_are_immutable_values() -> None:
    group = GROUPS[0]
    assert isinstance(group, Group)
    assert group == group.paced(1.0)
