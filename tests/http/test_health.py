"""`/healthz` and `/readyz`."""

from __future__ import annotations

from monitor.snapshot import Snapshot
from tests.http.serving import World


def test_a_live_worker_is_healthy() -> None:
    answer = World().client().get("/healthz")
    assert (200, {"status": "ok", "reason": ""}) == (answer.status_code, answer.json())


def test_a_worker_without_progress_is_not_healthy_and_says_why() -> None:
    answer = World(dead="no progress for 90 s\ud800").client().get("/healthz")
    assert (503, {"status": "unavailable", "reason": "no progress for 90 s\ufffd"}) == (
        answer.status_code,
        answer.json(),
    )


def test_a_worker_that_is_not_ready_says_why_and_is_still_alive() -> None:
    client = World(snapshot=Snapshot.empty(reason="reading state")).client()
    answer = client.get("/readyz")
    assert (503, {"status": "unavailable", "reason": "reading state"}) == (answer.status_code, answer.json())
    assert 200 == client.get("/healthz").status_code


def test_a_ready_worker_is_ready() -> None:
    assert 200 == World().client().get("/readyz").status_code
