"""What the server refuses, and the headers that every answer carries."""

from __future__ import annotations

import pytest

from monitor.http.limits import ALWAYS, MAX_TARGET_LENGTH
from tests.http.serving import World

PATHS = ("/", "/metrics", "/healthz", "/readyz", "/api/v1/models", "/openapi.json", "/models/text-toxicity", "/nothing")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_security_headers(path: str) -> None:
    headers = World().client().get(path).headers
    assert dict(ALWAYS) == {name: headers[name] for name in ALWAYS}
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert "server" not in headers


def test_a_target_as_long_as_allowed_is_answered_and_a_longer_one_is_not() -> None:
    client = World().client()
    room = MAX_TARGET_LENGTH - len("/healthz") - len("q=")
    assert 200 == client.get("/healthz?q=" + "x" * room).status_code
    answer = client.get("/healthz?q=" + "x" * (room + 1))
    assert 414 == answer.status_code
    assert f"at most {MAX_TARGET_LENGTH}" in answer.json()["detail"]
    assert 414 == client.get("/" + "x" * MAX_TARGET_LENGTH).status_code


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", PATHS[:-1])
def test_nothing_can_be_changed(method: str, path: str) -> None:
    assert 405 == World().client().request(method, path).status_code


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_a_body(path: str) -> None:
    client = World().client()
    get, head = client.get(path), client.request("HEAD", path)
    assert (get.status_code, get.headers["content-type"]) == (head.status_code, head.headers["content-type"])
    assert b"" == head.content


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/models/../../etc/passwd",
        "/models/%2e%2e%2fetc%2fpasswd",
        "/api/v1/models/..%2F..%2Fetc",
        "/table",
        "/router",
        "/docs",
        "/redoc",
        "/debug/pprof",
        "/%00",
        "/%ff%fe",
    ],
)
def test_nothing_else_is_served(path: str) -> None:
    assert 404 == World().client().get(path).status_code


def test_the_description_of_the_api_can_be_left_out() -> None:
    client = World().client(docs=False)
    assert {404} == {client.get(path).status_code for path in ("/openapi.json", "/docs", "/redoc")}
    assert 200 == client.get("/api/v1/models").status_code


def test_the_description_names_every_route_of_the_api_and_no_page() -> None:
    described = World().client().get("/openapi.json").json()
    api = {
        "/api/v1/models",
        "/api/v1/models/{model}",
        "/api/v1/models/{model}/segments",
        "/api/v1/readings",
        "/api/v1/windows",
        "/api/v1/service",
    }
    assert {*api, "/metrics", "/healthz", "/readyz"} == set(described["paths"])
    assert "1.2.3" == described["info"]["version"]
