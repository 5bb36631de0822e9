"""The real server on a real socket: start, stop, slow clients, full house."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from monitor.exposition import Renderer
from monitor.http.protocol import ConnectionLimits
from monitor.http.server import MAX_HEADER_BYTES, HttpServer
from tests.http.serving import World
from tests.snapshots import snapshot_of_size

DEADLINE = 0.6


@contextmanager
def serving(limits: ConnectionLimits | None = None, world: World | None = None) -> Iterator[int]:
    """A server on a free port, stopped afterwards."""
    server = HttpServer((world or World()).app(), "127.0.0.1", 0, limits=limits)
    port = server.start()
    try:
        yield port
    finally:
        assert server.stop()


@contextmanager
def connected(port: int, text: bytes = b"") -> Iterator[socket.socket]:
    """A connection that has sent `text`."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text)
        yield connection


def closed_after(connection: socket.socket, drip: bytes = b"", *, patience: float = 8.0) -> float:
    """Seconds until the server closes, while a byte is sent every now and then; fails when it does not."""
    start = time.monotonic()
    connection.settimeout(0.05)
    while time.monotonic() - start < patience:
        try:
            if drip:
                connection.sendall(drip)
            if connection.recv(65_536) == b"":
                return time.monotonic() - start
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return time.monotonic() - start
    pytest.fail(f"still open after {patience} s")


def health(port: int) -> int:
    """The status of a health check."""
    return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5.0).status_code


def test_a_started_server_answers_at_once_and_a_stopped_one_refuses() -> None:
    server = HttpServer(World().app(), "127.0.0.1", 0)
    port = server.start()
    assert 200 == health(port)
    begun = time.monotonic()
    assert server.stop()
    assert time.monotonic() - begun < 3.0
    with pytest.raises(httpx.ConnectError):
        health(port)


def test_a_taken_port_is_an_error_that_names_it() -> None:
    with serving() as port, pytest.raises(OSError, match=f"while binding HTTP to 127.0.0.1:{port}"):
        HttpServer(World().app(), "127.0.0.1", port).start()


def test_stopping_what_was_never_started_is_nothing() -> None:
    assert HttpServer(World().app(), "127.0.0.1", 0).stop()


def test_stopping_does_not_wait_for_clients_that_hold_on() -> None:
    server = HttpServer(World().app(), "127.0.0.1", 0)
    port = server.start()
    with connected(port, b"GET /metrics HTTP/1.1\r\nHo"), httpx.Client(base_url=f"http://127.0.0.1:{port}") as idle:
        assert 200 == idle.get("/healthz").status_code
        begun = time.monotonic()
        assert server.stop(timeout=5.0)
        assert time.monotonic() - begun < 5.0


def test_the_server_runs_in_a_thread_of_its_own_and_takes_no_signals() -> None:
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with serving():
        assert "http" in {thread.name for thread in threading.enumerate()}
        assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert "http" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("begin", "drip"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nX-Slow: ", b"a"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"a"),
        (b"POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    ],
    ids=["silent", "slow headers", "slow body", "slow chunks"],
)
def test_a_request_that_does_not_end_is_cut_off_at_the_deadline(begin: bytes, drip: bytes) -> None:
    with serving(ConnectionLimits(request_seconds=DEADLINE)) as port, connected(port, begin) as slow:
        assert closed_after(slow, drip) > DEADLINE * 0.5


def test_the_deadline_holds_for_a_second_request_on_a_connection() -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    with serving(ConnectionLimits(request_seconds=DEADLINE)) as port, connected(port, request) as slow:
        assert slow.recv(65_536).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        closed_after(slow, b"a")


def test_requests_that_come_in_time_keep_their_connection_beyond_the_deadline() -> None:
    with (
        serving(ConnectionLimits(request_seconds=1.0)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        begun = time.monotonic()
        streams = set()
        while time.monotonic() - begun < 2.5:
            with client.stream("GET", "/healthz") as answer:
                assert 200 == answer.status_code
                streams.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                answer.read()
        assert 1 == len(streams)


def test_a_client_that_does_not_read_is_cut_off() -> None:
    world = World(snapshot=snapshot_of_size(200))
    limits = ConnectionLimits(send_seconds=DEADLINE)
    request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 8
    with serving(limits, world) as port, socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", port))
        lazy.sendall(request)
        lazy.settimeout(10.0)
        received = lazy.recv(100)
        assert received.startswith(b"HTTP/1.1 200")
        assert gone_within(8.0, lazy)


def gone_within(seconds: float, connection: socket.socket) -> bool:
    """Whether the peer has let go of the connection in that time, which is found by sending: nothing is read."""
    deadline = time.monotonic() + seconds
    with select.epoll() as watched:
        watched.register(connection, select.EPOLLERR)
        while time.monotonic() < deadline:
            try:
                connection.sendall(b" ")
            except ConnectionError:
                return True
            watched.poll(0.05)
    return False


def test_a_health_check_gets_through_when_slow_clients_hold_every_place() -> None:
    limits = ConnectionLimits(request_seconds=30.0, max_connections=20)
    with serving(limits) as port, ExitStack() as stack:
        slow = [stack.enter_context(connected(port, b"GET /healthz HTTP/1.1\r\nX: ")) for _ in range(60)]
        assert [200] * 10 == [health(port) for _ in range(10)]
        closed_after(slow[0])
        assert len(limits.waiting) <= 20


def test_headers_that_are_too_long_and_garbage_are_refused() -> None:
    for text in (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (2 * MAX_HEADER_BYTES),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
        b"\r\n\r\nhello\r\n\r\n",
    ):
        with serving() as port, connected(port, text) as connection:
            assert b"400" in connection.recv(65_536).split(b"\r\n", 1)[0]
            closed_after(connection)
            assert 200 == health(port)


class Waiting(Renderer):
    """Renders once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may = threading.Event(), threading.Event()

    def render(self, *arguments: Any, **options: Any) -> bytes:
        self.asked.set()
        assert self.may.wait(30.0)
        return super().render(*arguments, **options)


def test_health_checks_are_answered_while_an_exposition_is_rendered() -> None:
    renderer = Waiting()
    with serving(world=World(renderer=renderer)) as port, ThreadPoolExecutor() as pool:
        scrapes = [pool.submit(httpx.get, f"http://127.0.0.1:{port}/metrics", timeout=60.0) for _ in range(4)]
        assert renderer.asked.wait(30.0)
        assert [200] * 10 == [health(port) for _ in range(10)]
        assert [False] * 4 == [scrape.done() for scrape in scrapes]
        renderer.may.set()
        assert [200] * 4 == [scrape.result().status_code for scrape in scrapes]
