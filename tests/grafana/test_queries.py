"""Every query of every panel, variable and annotation runs on a real Prometheus and finds data."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.prometheus.build import write_rules
from monitor.catalogue import CATALOGUE, Kind
from tests.grafana.boards import NAMES, expressions, load, marks, panels, variables
from tests.grafana.synthetic import BAD, LABEL_VALUES, exposition
from tests.prometheus_server import START_SECONDS, LocalHttp, PrometheusConfig, PrometheusServer, until

pytestmark = pytest.mark.prometheus

JOB = "moderation-monitor"
MODEL, POLICY, SEGMENT = BAD
CHOICES = {
    "__rate_interval": "15s",
    "job": JOB,
    "instance": ".+",
    "model": MODEL,
    "policy": ".+",
    "segment": SEGMENT,
    "window": "1h",
}
PACE = 7200.0
"""Rules wait this many times shorter, so that alerts fire within the test."""
LABEL_QUERY = re.compile(r"label_values\((?P<match>.+), (?P<label>\w+)\)")


def chosen(text: str) -> str:
    """The text with the variables replaced as Grafana does."""
    for name, value in CHOICES.items():
        text = re.sub(rf"\$\{{{name}\}}|\${name}\b", value, text)
    assert "$" not in text, f"a variable is left: {text}"
    return text


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    directory = tmp_path_factory.mktemp("prometheus")
    began = time.time() - 60.0

    def page() -> bytes:
        now = time.time()
        return exposition(now, elapsed=now - began)

    with LocalHttp(page) as worker:
        config = PrometheusConfig({JOB: [worker.address]}, rules=write_rules(directory / "rules", pace=PACE))
        with PrometheusServer(directory, config) as server:
            server.wait_for('ALERTS{alertstate="firing",alertname="ModerationPrecisionBelowObjective"}')
            server.wait_for("rate(monitor_records_total[15s]) > 0")
            yield server


def test_the_synthetic_page_has_every_metric_of_the_catalogue(prometheus: PrometheusServer) -> None:
    names = set(prometheus.label_values("__name__", match=f'{{job="{JOB}"}}'))
    for metric in CATALOGUE:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        assert {f"{metric.name}{suffix}" for suffix in suffixes} <= names


@pytest.mark.parametrize(
    ("board", "title", "expr"), [(name, *query) for name in NAMES for query in expressions(load(name))]
)
def test_a_panel_query_finds_data(prometheus: PrometheusServer, board: str, title: str, expr: str) -> None:
    def found() -> list[dict[str, Any]]:
        now = time.time()
        return prometheus.query_range(chosen(expr), start=now - 1.0, end=now, step=1.0)

    # A busy machine misses a scrape now and then, and all series end with it until the next one.
    series = until(found, seconds=START_SECONDS, what=f"data for {board}, {title}")
    assert all(text != "NaN" for one in series for _, text in one["values"]), f"{board}, {title}"


@pytest.mark.parametrize("board", NAMES)
def test_every_variable_has_values(prometheus: PrometheusServer, board: str) -> None:
    for variable in variables(load(board)):
        if variable["type"] != "query":
            continue
        found = LABEL_QUERY.fullmatch(variable["query"]["query"])
        assert found, variable["name"]
        values = prometheus.label_values(found["label"], match=chosen(found["match"]))
        name = variable["name"]
        if name in LABEL_VALUES:
            assert sorted(LABEL_VALUES[name]) == sorted(values)
        else:
            assert values, name


@pytest.mark.parametrize("board", NAMES)
def test_every_annotation_runs_and_finds_something(prometheus: PrometheusServer, board: str) -> None:
    for annotation in marks(load(board)):
        prometheus.wait_for(chosen(annotation["expr"]))


def test_one_row_of_a_table_is_one_combination_of_its_keys(prometheus: PrometheusServer) -> None:
    for name in NAMES:
        for panel in panels(load(name)):
            if panel["type"] != "table":
                continue
            if panel["title"] == "Alerts firing":
                continue  # Alerts of the service carry no model.
            labels = [
                {frozenset(one["metric"]) for one in prometheus.wait_for(chosen(target["expr"]))}
                for target in panel["targets"]
            ]
            assert all(len(found) == 1 for found in labels), panel["title"]
            assert 1 == len(set.union(*labels)), panel["title"]


def test_the_fleet_shows_the_bad_model_first(prometheus: PrometheusServer) -> None:
    (models,) = [panel for panel in panels(load("fleet.json")) if panel["title"] == "Models"]
    margin, drift = (
        {
            one["metric"]["model"]: float(one["value"][1])
            for one in prometheus.wait_for(chosen(target["expr"]).replace(f'model=~"{MODEL}"', 'model=~".+"'))
        }
        for target in models["targets"][:2]
    )
    assert pytest.approx({"text-toxicity": 0.83 - 0.9, "image-nudity": 0.97 - 0.9}) == margin
    # The distance of the other model is there, but chance explains it.
    assert pytest.approx({"text-toxicity": 0.4 / 0.2, "image-nudity": 0.0}) == drift
