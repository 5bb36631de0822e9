"""The dashboards are what their code says, and follow the rules that operators' linters check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deploy.prometheus.build import FILES
from deploy.prometheus.rule import Board, alerts
from grafana.board import FLEET_UID, MODEL_UID
from grafana.build import write_dashboards
from monitor.bounds import DRIFT_DECISIONS, SIGNIFICANT_P_VALUE
from monitor.catalogue import CATALOGUE, Kind
from tests.grafana.boards import DASHBOARDS, NAMES, Json, expressions, load, marks, panels, variables

PROVISIONING = DASHBOARDS.parent / "provisioning"
COUNTERS = {metric.name for metric in CATALOGUE if metric.kind is Kind.COUNTER}
SUFFIXED = {f"{metric.name}{suffix}" for metric in CATALOGUE for suffix in ("", "_bucket", "_sum", "_count")}
METRIC = re.compile(r"\b(?:moderation|monitor)_[a-z_]+")
SELECTOR = re.compile(r"((?:moderation|monitor|process)_[a-z_]+)\{([^}]*)\}")


@pytest.fixture(params=NAMES)
def board(request: pytest.FixtureRequest) -> Json:
    name: str = request.param
    return load(name)


def test_the_committed_dashboards_are_the_generated_ones(tmp_path: Path) -> None:
    written = write_dashboards(tmp_path)
    assert sorted(NAMES) == sorted(path.name for path in written)
    for path in written:
        committed = (DASHBOARDS / path.name).read_text(encoding="utf-8")
        assert path.read_text(encoding="utf-8") == committed, f"{path.name}: run python -m grafana.build"


def test_uids_are_stable_and_the_alerts_link_to_them() -> None:
    assert ["moderation-fleet", "moderation-model"] == [load(name)["uid"] for name in NAMES]
    assert {FLEET_UID, MODEL_UID} == {board.value for board in Board}
    names = {variable["name"] for variable in variables(load("model.json"))}
    for alert in alerts(group for groups in FILES.values() for group in groups):
        assert set(alert.variables) <= names, alert.name


def test_the_boards_call_drift_what_the_alert_calls_drift() -> None:
    shown = {panel["title"]: panel for name in NAMES for panel in panels(load(name))}
    for title, target in (("Models", 1), ("Drift", 0), ("Largest drift", 0)):
        expr = shown[title]["targets"][target]["expr"]
        assert f">= {DRIFT_DECISIONS}" in expr, title
        assert f"< {SIGNIFICANT_P_VALUE:g}" in expr, title
        told = f"at least {DRIFT_DECISIONS} decisions in the window and a p-value below {SIGNIFICANT_P_VALUE:g}"
        assert told in shown[title]["description"]


def test_every_panel_has_what_a_reader_needs(board: Json) -> None:
    assert len(panels(board)) <= 25
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"]
        assert len(panel["description"]) > 20, panel["title"]
        assert defaults["unit"], panel["title"]
        assert defaults["noValue"], panel["title"]
        assert f"Empty: {defaults['noValue']}." in panel["description"]
        assert panel["targets"], panel["title"]
        for part in (panel, *panel["targets"]):
            assert {"type": "prometheus", "uid": "${datasource}"} == part["datasource"], panel["title"]


def test_ids_and_places_of_panels_are_unique_and_inside_the_grid(board: Json) -> None:
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not taken & cells, panel["title"]
        taken |= cells


def test_the_variables_choose_where_the_numbers_come_from(board: Json) -> None:
    found = {variable["name"]: variable for variable in variables(board)}
    assert ["datasource"] == [name for name, variable in found.items() if variable["type"] == "datasource"]
    assert "prometheus" == found["datasource"]["query"]
    for name, label in (("job", "Job"), ("instance", "Instance")):
        assert (label, True, True, ".+") == tuple(
            found[name][key] for key in ("label", "multi", "includeAll", "allValue")
        )
    for name, variable in found.items():
        if variable["type"] == "query":
            assert 2 == variable["refresh"], f"{name}: reload when the time range changes"
            assert "${datasource}" == variable["datasource"]["uid"]


def test_the_model_board_has_all_the_variables_that_narrow_it_down() -> None:
    names = [variable["name"] for variable in variables(load("model.json"))]
    assert ["datasource", "job", "instance", "model", "policy", "segment", "window"] == names


def test_queries_select_the_scrape_and_only_metrics_of_the_catalogue(board: Json) -> None:
    for title, expr in expressions(board):
        if expr.startswith("max by (severity") or "up{" in expr:
            continue  # ALERTS carries no instance; `up` is checked by its text below.
        selectors = SELECTOR.findall(expr)
        assert selectors, title
        for metric, matchers in selectors:
            assert metric in SUFFIXED or metric.startswith("process_"), f"{title}: {metric}"
            assert matchers.startswith('job=~"$job",instance=~"$instance"'), f"{title}: {metric}"
        assert set(METRIC.findall(expr)) <= SUFFIXED, title


def test_every_metric_for_people_is_on_a_dashboard() -> None:
    text = "\n".join(expr for name in NAMES for _, expr in expressions(load(name)))
    text += "\n".join(annotation["expr"] for name in NAMES for annotation in marks(load(name)))
    shown = {metric.name for metric in CATALOGUE if re.search(rf"\b{metric.name}(_bucket)?\{{", text)}
    # Raw counters behind windowed ratios, and the clock that only replays need.
    assert {
        "moderation_appeals_total",
        "moderation_reports_total",
        "monitor_clock_timestamp_seconds",
    } == {metric.name for metric in CATALOGUE} - shown


def test_counters_are_read_as_rates_over_the_rate_interval(board: Json) -> None:
    for title, expr in expressions(board):
        for counter in COUNTERS & set(METRIC.findall(expr)):
            uses = re.findall(rf"(\w+)\({counter}\{{[^}}]*\}}\[([^\]]+)\]", expr)
            assert len(re.findall(rf"\b{counter}\b", expr)) == len(uses), f"{title}: {counter} outside rate()"
            assert {"$__rate_interval"} == {interval for _, interval in uses}, title
            assert {function for function, _ in uses} <= {"rate", "increase"}, title


def test_tables_and_links_keep_the_time_range_and_the_variables(board: Json) -> None:
    links = [
        link["url"]
        for panel in panels(board)
        for override in panel["fieldConfig"].get("overrides", ())
        for property_ in override["properties"]
        if property_["id"] == "links"
        for link in property_["value"]
    ]
    assert links
    for url in links:
        assert url.startswith(f"/d/{MODEL_UID}?")
        for kept in ("${__url_time_range}", "${datasource:queryparam}", "${job:queryparam}", "${window:queryparam}"):
            assert kept in url
    (link,) = board["links"]
    assert (True, True) == (link["includeVars"], link["keepTime"])


def test_boards_are_read_only_in_utc_with_a_shared_crosshair(board: Json) -> None:
    assert (False, "utc", 1) == (board["editable"], board["timezone"], board["graphTooltip"])


def test_launches_and_alerts_are_marked(board: Json) -> None:
    found = {annotation["name"]: annotation for annotation in marks(board)}
    assert {"Launches", "Firing alerts", "Monitor releases"} == set(found)
    assert found["Launches"]["useValueForTime"]
    assert 'ALERTS{alertstate="firing"' in found["Firing alerts"]["expr"]


def test_provisioning_leaves_nothing_to_change_by_hand() -> None:
    (datasource,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert ("prometheus", "prometheus", False) == tuple(datasource[key] for key in ("uid", "type", "editable"))
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "moderation.yaml").read_text())["providers"]
    assert (False, True, "file") == tuple(provider[key] for key in ("allowUiUpdates", "disableDeletion", "type"))
    assert provider["folder"]
