"""What must not be reachable on a real worker.

Slow and greedy clients are tested with the server itself, in tests/http.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from monitor.broker import EmbeddedBroker
from tests.e2e import topics
from tests.e2e.worker_process import WorkerProcess


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    with EmbeddedBroker() as broker:
        topics.create(broker)
        with WorkerProcess(broker.bootstrap, tmp_path_factory.mktemp("worker")) as process:
            yield process.until_ready()


@pytest.mark.parametrize(
    "path", ["/table", "/router", "/router/table/key", "/stats", "/docs", "/redoc", "/debug", "/.env", "/state/"]
)
def test_neither_the_framework_nor_debugging_is_reachable(worker: WorkerProcess, path: str) -> None:
    assert 404 == worker.get(path).status_code


@pytest.mark.parametrize(
    "target", ["/../../../etc/passwd", "/static/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"]
)
def test_a_path_that_climbs_finds_nothing(worker: WorkerProcess, target: str) -> None:
    # A client library would tidy the path up first.
    address = httpx.URL(worker.url)
    with socket.create_connection((address.host, address.port or 0), timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert connection.makefile("rb").readline().split()[1] in {b"404", b"400"}


def test_a_huge_query_is_refused_and_the_worker_stays_well(worker: WorkerProcess) -> None:
    assert 414 == worker.get("/api/v1/readings", params={"model": "x" * 10_000}).status_code
    assert 200 == worker.get("/healthz").status_code


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed_over_http(worker: WorkerProcess, method: str) -> None:
    for path in ("/metrics", "/api/v1/models", "/healthz"):
        assert 405 == httpx.request(method, f"{worker.url}{path}", timeout=10).status_code
