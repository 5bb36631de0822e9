"""The HTTP application: every route reads the snapshot that `source` returns at that moment, and nothing else.

There is nothing to change over HTTP and nothing secret in it, so there is no login: who may read is a
matter of the network.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from fastapi import FastAPI

from monitor.exposition import Renderer
from monitor.http.api import api_router
from monitor.http.health import health_router
from monitor.http.limits import Limits
from monitor.http.metrics import metrics_router
from monitor.http.site import site_router
from monitor.snapshot import Snapshot


def create_app(
    source: Callable[[], Snapshot],
    *,
    renderer: Renderer,
    version: str,
    config_fingerprint: str,
    live: Callable[[], str | None],
    docs: bool = True,
    now: Callable[[], float] = time.time,
) -> FastAPI:
    """Build the application.

    `source` and `live` are called from the server's threads and must be quick; `live` returns None while the worker is
    alive, else the reason. `docs` serves `/openapi.json`. `now` is the time in
    seconds since the epoch, for ages on pages.
    """
    app = FastAPI(
        title="moderation-monitor",
        summary="Live precision and drift of content-moderation models.",
        version=version,
        openapi_url="/openapi.json" if docs else None,
        # The interactive pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(
        metrics_router(source, renderer=renderer, version=version, config_fingerprint=config_fingerprint, now=now)
    )
    app.include_router(health_router(source, live))
    app.include_router(api_router(source, version=version, config_fingerprint=config_fingerprint))
    app.include_router(site_router(source, version=version, now=now))
    app.add_middleware(Limits)
    return app
