"""A TCP proxy that stands between workers and one broker and makes the network bad.

The kernel of a test machine may have no netem, so loss is played as TCP shows it to a program: bytes are never missing,
they come late. A lost packet costs a retransmission timeout, doubled each time it is lost again, and holds back all
that follows on its connection; now and then a connection is reset. Packets themselves are not dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

CHUNK_BYTES: Final = 16 * 1024
RETRANSMIT_SECONDS: Final = 0.2
"""Linux's smallest retransmission timeout."""
LONGEST_STALL_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is. `loss` is the share of chunks that are lost at first, `reset` that of chunks that end
    their connection; both ways alike."""

    delay_seconds: float = 0.0
    loss: float = 0.0
    reset: float = 0.0
    cut: bool = False
    """Nothing comes through, and nobody is told: connections stay open and silent."""


FAIR: Final = Weather()


class Proxy(threading.Thread):
    """Listens on a free port of the loopback and relays to `target`, which may be set after the start.

    `weather` may be set at any time, from any thread. Chance comes from `seed`.
    """

    def __init__(self, *, seed: int) -> None:
        super().__init__(name="proxy", daemon=True)
        self.weather = FAIR
        self.resets = 0
        self.stalls = 0
        self._rng = np.random.default_rng(seed)
        self._target = ("127.0.0.1", 0)
        self._port = 0
        self._listening = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        return f"127.0.0.1:{self._port}"

    def begin(self) -> None:
        """Start listening; returns when it does."""
        self.start()
        assert self._listening.wait(10), "the proxy does not listen"

    def relay_to(self, address: str) -> None:
        """Set where connections lead to, as `host:port`."""
        host, _, port = address.partition(":")
        self._target = (host, int(port))

    def end(self) -> None:
        """Close all connections and stop listening."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self.join()

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._ending.wait()
        server.close()
        for task in self._relays:
            task.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open()
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()  # nobody listens behind the proxy: refused
            return
        both = (self._spawn(self._relay(reader, back)), self._spawn(self._relay(there, writer)))
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, back):
            one.transport.abort()
        for task in both:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        return task

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, as late as the weather wants; ends with the connection or with a reset."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = self._spawn(self._send(queue, writer))
        with contextlib.suppress(OSError):
            while not sender.done() and (data := await reader.read(CHUNK_BYTES)):
                if self._rng.random() < self.weather.reset:
                    self.resets += 1
                    break
                queue.put_nowait((self._loop.time() + self.weather.delay_seconds + self._stall(), data))
        while not (sender.done() or queue.empty()):
            await asyncio.sleep(RETRANSMIT_SECONDS)
        sender.cancel()

    async def _send(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._open()
                writer.write(data)
                await writer.drain()

    async def _open(self) -> None:
        while self.weather.cut:
            await asyncio.sleep(RETRANSMIT_SECONDS)

    def _stall(self) -> float:
        """What retransmissions of one chunk cost in all."""
        lost = 0
        while self._rng.random() < self.weather.loss:
            lost += 1
        self.stalls += lost > 0
        return min(LONGEST_STALL_SECONDS, RETRANSMIT_SECONDS * (2**lost - 1))
