"""`/metrics`: the snapshot in the format that the client accepts.

Runs in a worker thread, so that a large exposition does not hold up health checks. Scrapes of one snapshot share their
rendering: ten scrapers cost the ingesting thread little more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cramjam
from fastapi import APIRouter, Request, Response

from monitor.export import families
from monitor.exposition import Renderer, TextFormat
from monitor.http.negotiation import accepts_gzip, text_format
from monitor.http.shared import Shared
from monitor.snapshot import Snapshot

GZIP_LEVEL: Final = 1
"""The exposition shrinks to a sixteenth; higher levels take three times as long and more for a twentieth less."""


def compressed(text: bytes) -> bytes:
    """gzip, in less than half the time that zlib takes, without holding up other threads."""
    return bytes(cramjam.gzip.compress(text, GZIP_LEVEL))


def metrics_router(
    source: Callable[[], Snapshot],
    *,
    renderer: Renderer,
    version: str,
    config_fingerprint: str,
    now: Callable[[], float],
) -> APIRouter:
    """The route of `/metrics`."""
    router = APIRouter(tags=["metrics"])
    shared: Shared[tuple[TextFormat, bool], bytes] = Shared(source, now=now, max_entries=2 * len(TextFormat))

    @router.get("/metrics", response_class=Response, summary="Prometheus exposition")
    def metrics(request: Request) -> Response:
        form = text_format(request.headers.get("accept", ""))
        gzip = accepts_gzip(request.headers.get("accept-encoding", ""))

        def body(snapshot: Snapshot, _: float) -> bytes:
            found = families(snapshot, version=version, config_fingerprint=config_fingerprint)
            text = renderer.render(found, form)
            return compressed(text) if gzip else text

        headers = {"Content-Type": form.value, "Vary": "Accept, Accept-Encoding"}
        if gzip:
            headers["Content-Encoding"] = "gzip"
        return Response(shared.get((form, gzip), body), headers=headers)

    return router
