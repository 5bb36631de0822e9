"""`/healthz` and `/readyz`. Alive: the worker makes progress or is idle. Ready: its numbers are complete.

Both answer on the server's own loop without a worker thread, so that they answer when all threads are busy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from monitor.http.text import printable
from monitor.snapshot import Snapshot


class Health(BaseModel):
    """The answer of a health check."""

    status: Literal["ok", "unavailable"]
    reason: str = ""


def health_router(source: Callable[[], Snapshot], live: Callable[[], str | None]) -> APIRouter:
    """The routes of `/healthz` and `/readyz`: 200, or 503 with the reason."""
    router = APIRouter(tags=["health"])
    refused: dict[int | str, dict[str, Any]] = {
        503: {"model": Health, "description": "Not alive, or not ready; `reason` says why."}
    }

    @router.get("/healthz", responses=refused)
    async def healthz(response: Response) -> Health:
        return _health(live(), response)

    @router.get("/readyz", responses=refused)
    async def readyz(response: Response) -> Health:
        snapshot = source()
        return _health(None if snapshot.ready else snapshot.reason or "not ready", response)

    return router


def _health(reason: str | None, response: Response) -> Health:
    if reason is None:
        return Health(status="ok")
    response.status_code = 503
    return Health(status="unavailable", reason=printable(reason))
