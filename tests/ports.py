"""Ports for servers that tests start a moment later."""

from __future__ import annotations

import secrets
import socket
from typing import Final

PORTS: Final = range(20_000, 32_000)
"""Below those that Linux and others give to outgoing connections: one of these may take a port of theirs at any time,
and a server that was killed could not come back to it."""

_given: set[int] = set()


def free_port() -> int:
    """A port of the loopback that nobody listens on now; each one once in a process."""
    while True:
        port = secrets.choice(PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
