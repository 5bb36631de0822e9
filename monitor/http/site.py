"""Routes of the status pages."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from monitor.http.pages import missing_page, model_page, status_page
from monitor.http.shared import Shared
from monitor.http.style import CONTENT_SECURITY_POLICY
from monitor.snapshot import Snapshot

_HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}


def site_router(source: Callable[[], Snapshot], *, version: str, now: Callable[[], float]) -> APIRouter:
    """`/` and `/models/{model}`. They are for people and not part of the API's description."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    pages: Shared[str | None, str | None] = Shared(source, now=now)
    """by model; None is the overview, as no model has that name"""

    @router.get("/")
    def status() -> HTMLResponse:
        page = pages.get(None, lambda snapshot, at: status_page(snapshot, now=at, version=version))
        return HTMLResponse(page, headers=_HEADERS)

    @router.get("/models/{model:path}")
    def model(model: str) -> HTMLResponse:
        page = pages.get(model, lambda snapshot, at: model_page(snapshot, model, now=at, version=version))
        if page is None:
            return HTMLResponse(missing_page(model, version=version), status_code=404, headers=_HEADERS)
        return HTMLResponse(page, headers=_HEADERS)

    return router
