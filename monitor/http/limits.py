"""ASGI middleware: a limit on the target, HEAD as GET without a body, and headers that keep browsers out of trouble."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_TARGET_LENGTH = 2048
"""Bytes of path and query together. The longest sensible query of the API is a tenth of it."""

ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NOTHING_ALLOWED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of answers that bring none of their own."""


class Limits:
    """Wraps an ASGI application. Answers 414 where the target is too long."""

    def __init__(self, app: ASGIApp, *, max_target_length: int = MAX_TARGET_LENGTH) -> None:
        self._app = app
        self._max_target_length = max_target_length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", NOTHING_ALLOWED)
            elif head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        length = len(scope.get("raw_path") or scope["path"].encode("utf-8", "replace")) + len(scope["query_string"])
        if length > self._max_target_length:
            detail = f"Path and query have {length} bytes; at most {self._max_target_length} are allowed."
            await JSONResponse({"detail": detail}, status_code=414)(scope, receive, guarded)
            return
        await self._app({**scope, "method": "GET"} if head else scope, receive, guarded)
