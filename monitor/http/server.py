"""uvicorn in a thread and an event loop of its own: neither does a scrape wait for ingestion nor the other way round.

Signals are left alone: who starts the server stops it.
"""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from monitor.http.protocol import ConnectionLimits, guarded_by

MAX_HEADER_BYTES: Final = 16_384
_BACKLOG: Final = 1024


class HttpServer:
    """Serves an ASGI application on one address. Can be started once."""

    def __init__(self, app: ASGIApp, host: str, port: int, *, limits: ConnectionLimits | None = None) -> None:
        self._address = (host, port)
        config = uvicorn.Config(
            app,
            http=guarded_by(ConnectionLimits() if limits is None else limits),
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="error",  # a client that sends garbage must not fill the log with warnings
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._failure: BaseException | None = None
        self._socket: socket.socket | None = None

    def start(self, *, timeout: float = 10.0) -> int:
        """Bind and serve; returns the port once requests are accepted.

        Raises OSError when the address cannot be bound, RuntimeError when the server does not come up in time.
        """
        host, port = self._address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise OSError(error.errno, f"while binding HTTP to {host}:{port}: {error.strerror or error}") from error
        bound: int = self._socket.getsockname()[1]
        self._thread.start()
        if not self._server.up.wait(timeout) or self._failure is not None:
            self.stop(timeout=1.0)
            raise RuntimeError(f"while starting HTTP on {host}:{bound}: not up after {timeout} s") from self._failure
        return bound

    def stop(self, *, timeout: float = 5.0) -> bool:
        """Finish running requests and end the thread; whatever still runs after `timeout` seconds is cut off.

        Returns whether the thread has ended; it is a daemon and holds up no exit.
        """
        if self._thread.ident is None:
            return True
        deadline = time.monotonic() + timeout
        self._server.config.timeout_graceful_shutdown = max(1, math.floor(timeout / 2))
        self._server.should_exit = True
        self._thread.join(timeout * 0.8)
        self._server.force_exit = True
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket] if self._socket is not None else None))
        except BaseException as failure:  # `start` raises it in the caller's thread
            self._failure = failure
        finally:
            self._server.up.set()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()
