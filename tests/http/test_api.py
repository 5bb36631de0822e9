"""The JSON API against the snapshot it reads."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from monitor.catalogue import CATALOGUE
from monitor.snapshot import Quantity, ReadingColumn, Snapshot
from tests.http.serving import CONFIG, World
from tests.snapshots import ACTIONS, WINDOWS, build_snapshot, renamed
from tests.test_exposition import ABUSE

PATHS = (
    "/api/v1/models",
    "/api/v1/models/text-toxicity",
    "/api/v1/models/text-toxicity/segments",
    "/api/v1/readings",
    "/api/v1/windows",
    "/api/v1/service",
)


def test_models_are_listed_with_roles_policies_and_volume() -> None:
    world = World()
    answer = world.client().get("/api/v1/models").json()
    expected = world.snapshot.models[0]
    first = answer["models"][0]
    assert [model.model for model in world.snapshot.models] == [model["model"] for model in answer["models"]]
    assert [("2026.08.2", "champion"), ("2026.09.0-rc1", "shadow")] == [tuple(role.values()) for role in first["roles"]]
    assert ["hate_speech", "harassment"] == first["policies"]
    whole = [row for row, key in enumerate(expected.series) if key.segment == "all"]
    assert (len(expected.series), expected.decisions.values[whole].sum()) == (first["series"], first["decisions"])
    assert "2026-09-21T14:13:18.500000Z" == first["last_decision_at"]


def test_a_model_has_launches_objectives_detections_and_readings_of_its_policies() -> None:
    detail = World().client().get("/api/v1/models/image-nudity").json()
    assert {"all"} == {reading["segment"] for reading in detail["readings"]}
    assert {"adult_nudity": 0.9, "child_safety": 0.9} == {
        one["policy"]: one["precision"] for one in detail["objectives"]
    }
    assert [("v17", "full", 0.9), ("v18", "canary", None)] == [
        (one["model_version"], one["stage"], one["traffic_share"]) for one in detail["launches"]
    ]
    assert [0, 2] == [one["count"] for one in detail["detections"]]


def test_segments_are_paged_with_their_counts() -> None:
    world = World()
    model = world.snapshot.models[0]
    page = world.client().get("/api/v1/models/text-toxicity/segments", params={"limit": 4, "offset": 12}).json()
    assert (15, 4, 12, 3) == (page["total"], page["limit"], page["offset"], len(page["segments"]))
    row = page["segments"][0]
    assert tuple(model.series[12]) == tuple(row[name] for name in model.series[12]._fields)
    counts = dict(zip(ACTIONS, model.decisions.values[12].tolist(), strict=True))
    assert {action: count for action, count in counts.items() if count} == row["decisions"]
    assert model.reviews.values[12].sum() == row["reviews"]


def test_readings_can_be_paged_through_without_loss_or_repetition() -> None:
    world = World()
    client = world.client()
    found: list[dict[str, str]] = []
    total = 1
    while len(found) < total:
        page = client.get("/api/v1/readings", params={"limit": 997, "offset": len(found)}).json()
        total = page["total"]
        found += page["readings"]
    assert sum(len(model.series) * len(model.readings) for model in world.snapshot.models) == total == len(found)
    names = ("model", "model_version", "variant", "policy", "segment", "window", "quantity", "method", "input")
    assert total == len({tuple(one[name] for name in names) for one in found})
    assert [] == client.get("/api/v1/readings", params={"offset": total}).json()["readings"]


@pytest.mark.parametrize(
    ("parameter", "field", "value"),
    [
        ("model", "model", "video-violence"),
        ("model_version", "model_version", "v18"),
        ("variant", "variant", "shadow"),
        ("policy", "policy", "harassment"),
        ("segment", "segment", "language=es,region=us-west"),
        ("window", "window", "24h"),
        ("quantity", "quantity", "drift"),
    ],
)
def test_each_filter_takes_exactly_what_it_names(parameter: str, field: str, value: str) -> None:
    client = World().client()
    everything = client.get("/api/v1/readings", params={"limit": 1000}).json()
    every = everything["readings"]
    for offset in range(1000, everything["total"], 1000):
        every += client.get("/api/v1/readings", params={"limit": 1000, "offset": offset}).json()["readings"]
    expected = [one for one in every if one[field] == value]
    answer = client.get("/api/v1/readings", params={"limit": 1000, parameter: value}).json()
    assert len(expected) == answer["total"] > 0
    assert expected[:1000] == answer["readings"]


def test_a_reading_is_the_snapshots_number() -> None:
    world = World()
    model = world.snapshot.models[1]
    column = next(one for one in model.readings if one.quantity is Quantity.PRECISION and one.window == "7d")
    row = 0
    series = {"segment": "all", "policy": "adult_nudity", "model_version": "v17"}
    query = {"window": "7d", "quantity": "precision", **series}
    (found,) = world.client().get("/api/v1/readings", params=query).json()["readings"]
    assert column.lower is not None
    assert (column.value[row], column.lower[row], column.sample[row]) == (
        found["value"],
        found["lower"],
        found["sample"],
    )
    assert ("known", "hajek", None) == (found["state"], found["method"], found["p_value"])


def test_nan_is_null_and_the_state_says_why() -> None:
    snapshot = build_snapshot()
    model = snapshot.models[2]
    values = np.array([np.nan, np.nan, 0.5, 0.0, np.inf])
    sample = np.array([0.0, 9.0, 9.0, 0.0, 9.0])
    columns = (
        ReadingColumn(Quantity.APPEAL_RATE, "1h", values, sample, upper=values),
        ReadingColumn(Quantity.VOLUME, "1h", sample, sample),
    )
    client = World(snapshot=replace(snapshot, models=(replace(model, readings=columns),))).client()
    rates = client.get("/api/v1/readings", params={"quantity": "appeal_rate"}).json()["readings"]
    expected = [("no_data", None), ("undefined", None), ("known", 0.5), ("no_data", None), ("undefined", None)]
    assert expected == [(one["state"], one["value"]) for one in rates]
    assert None is rates[4]["upper"]
    volumes = client.get("/api/v1/readings", params={"quantity": "volume"}).json()["readings"]
    assert [("known", 0.0), ("known", 9.0)] == [(one["state"], one["value"]) for one in volumes[:2]]


def test_windows_say_what_is_read_over_them() -> None:
    answer = World().client().get("/api/v1/windows").json()["windows"]
    assert list(WINDOWS) == [one["window"] for one in answer]
    assert {quantity.value for quantity in Quantity} == set(answer[0]["quantities"])
    assert ["hajek", "psi", "ks", "jensen_shannon"] == answer[0]["methods"]


def test_the_service_says_all_that_it_counts() -> None:
    world = World()
    answer = world.client().get("/api/v1/service").json()
    assert (True, "", "1.2.3", CONFIG) == (answer["ready"], answer["reason"], answer["version"], answer["config"])
    labels = {metric.name: metric.labels for metric in CATALOGUE}
    expected = {
        (name, tuple(sorted(zip(labels[name], values, strict=True)))): count
        for name, counts in world.snapshot.service.counters.items()
        for values, count in counts.items()
    }
    assert expected == {
        (one["metric"], tuple(sorted(one["labels"].items()))): one["value"] for one in answer["counters"]
    }


@pytest.mark.parametrize("path", ["/api/v1/models/nobody", "/api/v1/models/nobody/segments", "/models/nobody"])
def test_a_model_that_is_not_here_is_not_found(path: str) -> None:
    assert 404 == World().client().get(path).status_code


def test_a_model_name_may_hold_slashes() -> None:
    snapshot = build_snapshot()
    client = World(snapshot=replace(snapshot, models=(renamed(snapshot.models[0], to="org/team/model"),))).client()
    assert "org/team/model" == client.get("/api/v1/models/org/team/model").json()["model"]
    assert 15 == client.get("/api/v1/models/org%2Fteam%2Fmodel/segments").json()["total"]
    assert 200 == client.get("/models/org%2Fteam%2Fmodel").status_code


def test_a_segment_of_crossed_dimensions_may_be_as_long_as_its_names() -> None:
    segment = ",".join(f"{dimension}={64 * 'x'}" for dimension in ("language", "region", "surface"))
    found = (
        World(build_snapshot(segments=("all", segment))).client().get("/api/v1/readings", params={"segment": segment})
    )
    assert {segment} == {reading["segment"] for reading in found.json()["readings"]}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "offset=-1",
        "offset=99999999999999999999",
        "quantity=nothing",
        f"model={'m' * 513}",
        "version=v17",
        "segments=all",
    ],
)
def test_a_query_that_makes_no_sense_is_refused_with_its_field(query: str) -> None:
    answer = World().client().get(f"/api/v1/readings?{query}")
    assert 422 == answer.status_code
    assert query.partition("=")[0] == answer.json()["detail"][0]["loc"][1]


@pytest.mark.parametrize("path", PATHS)
def test_a_parameter_that_a_route_has_not_is_refused_by_name_everywhere(path: str) -> None:
    answer = World().client().get(path, params={"\u202ename": "x"})
    assert 422 == answer.status_code
    (problem,) = answer.json()["detail"]
    assert "query" == problem["loc"][0]
    assert problem["msg"].startswith("expected names out of ")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_json_for_an_empty_worker_and_for_abused_names(path: str) -> None:
    snapshot = build_snapshot()
    abused = tuple(renamed(snapshot.models[0], to=name) for name in (*ABUSE, "text-toxicity"))
    for world in (World(snapshot=Snapshot.empty()), World(snapshot=replace(snapshot, models=abused))):
        answer = world.client().get(path)
        assert answer.status_code in ({200, 404} if not world.snapshot.models else {200})
        json.loads(answer.content.decode("utf-8"))
        assert "\ud800" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_answers_follow_the_published_schema(path: str) -> None:
    client = World().client()
    described = client.get("/openapi.json").json()
    template = path.replace("text-toxicity", "{model}")
    content = described["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]
    schema = {**content["schema"], "components": described["components"]}
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(client.get(path).json())
