"""uvicorn's HTTP/1.1 protocol with deadlines. uvicorn alone waits for ever for a request that comes a byte at a time.

When all places are taken, the connection that has waited longest for its request gives way: a health check gets through
to a server whose places are all held by slow clients.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(slots=True)
class ConnectionLimits:
    """Limits that the connections of one server share.

    `request_seconds` run from the connection, or the first byte of a further request, to the end of the request;
    `send_seconds` while the client leaves a full send buffer unread.
    """

    request_seconds: float = 10.0
    send_seconds: float = 30.0
    max_connections: int = 512
    waiting: dict[GuardedProtocol, None] = field(default_factory=dict)
    """Connections without a complete request, in the order in which they began to wait."""


class GuardedProtocol(H11Protocol):
    """One connection. Subclasses set `limits` (see `guarded_by`), because uvicorn wants a class."""

    limits: ClassVar[ConnectionLimits]

    _request_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, from a waiting connection if there is none left."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            slowest = next(iter(self.limits.waiting), self)
            slowest.give_way()
        if not transport.is_closing():
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._request_complete()
        self.resume_sending()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The clock runs until the whole request is here, body included."""
        super().data_received(data)
        if self.transport.is_closing() or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._request_complete()
        elif self._request_timer is None:
            self._expect_request()

    def on_response_complete(self) -> None:
        """An idle connection keeps its place only while there are others."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            self.limits.waiting[self] = None

    def pause_writing(self) -> None:
        """The client does not read; give it some time."""
        super().pause_writing()
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(self.limits.send_seconds, self.give_way)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self.resume_sending()

    def resume_sending(self) -> None:
        """Stop the clock of a client that did not read."""
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def give_way(self) -> None:
        """Close at once; what is not sent yet is lost."""
        self._request_complete()
        self.connections.discard(self)
        self.transport.abort()

    def _expect_request(self) -> None:
        self.limits.waiting[self] = None
        self._request_timer = self.loop.call_later(self.limits.request_seconds, self.give_way)

    def _request_complete(self) -> None:
        self.limits.waiting.pop(self, None)
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None


def guarded_by(limits: ConnectionLimits) -> type[GuardedProtocol]:
    """The protocol class of one server."""
    namespace: dict[str, Any] = {"limits": limits}
    return type("GuardedProtocol", (GuardedProtocol,), namespace)
