"""An application over a snapshot that tests can replace, and its client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from monitor.exposition import Renderer
from monitor.http.app import create_app
from monitor.snapshot import Snapshot
from tests.snapshots import CLOCK, build_snapshot

CONFIG = "3f9a1c"


class Client:
    """Asks an application without a server between. Accepts no compression unless a test says so."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, url: str, **options: Any) -> httpx.Response:
        """The answer to GET; options are those of `httpx.Client.request`."""
        return self.request("GET", url, **options)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """The answer to one request."""
        return asyncio.run(self._request(method, url, options))

    async def _request(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor", headers=headers) as client:
            return await client.request(method, url, **options)


@dataclass
class World:
    """What the application sees."""

    snapshot: Snapshot = field(default_factory=build_snapshot)
    now: float = CLOCK + 2.0
    dead: str | None = None
    renderer: Renderer = field(default_factory=Renderer)

    def app(self, *, docs: bool = True) -> FastAPI:
        """An application that sees this world."""
        return create_app(
            lambda: self.snapshot,
            renderer=self.renderer,
            version="1.2.3",
            config_fingerprint=CONFIG,
            live=lambda: self.dead,
            docs=docs,
            now=lambda: self.now,
        )

    def client(self, *, docs: bool = True) -> Client:
        """A client of `app`."""
        return Client(self.app(docs=docs))
