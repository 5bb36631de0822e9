"""The demo: embedded broker, simulated traffic whose time runs faster, a worker process, a live table.

Event time starts now and runs ahead of the clock; the simulator gives Kafka timestamps in event time, so the worker
needs no special mode.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from monitor.broker import EmbeddedBroker
from monitor.demo.companions import Companions, free_port, start_companions
from monitor.demo.table import model_lines, render
from monitor.simulate import EventClock, create_producer, generate, publish, write_files
from monitor.simulate.scenario import Scenario
from monitor.simulate.scenarios import demo, quiet
from monitor.topics import BLOCKS, DECISIONS, SOURCES, STATE

COMMAND: Final = (sys.executable, "-m", "monitor.cli")
PARTITIONS: Final = 8
"""The embedded broker keeps 5 MB a partition: with so many a worker may lag for a minute without losing a record."""
INTERNAL_PARTITIONS: Final = 2
DECISIONS_PER_MINUTE: Final = 2000.0
AUDIT_PROBABILITY: Final = 0.6
PLAIN_WIDTH: Final = 120
INCIDENT_MINUTE: Final = 15
REFERENCE_MINUTES: Final = 30
MINUTE_MS: Final = 60_000
REFRESH_SECONDS: Final = 2.0
PRINT_SECONDS: Final = 10.0
"""How often the table is printed where the output is not a terminal."""
START_WITHIN_SECONDS: Final = 90.0


class DemoFailed(RuntimeError):  # noqa: N818 - says what happened
    """A part of the demo ended or did not start."""


@dataclass(frozen=True, slots=True)
class Options:
    """`duration` in seconds, None to run until interrupted; `speed` is event time per wall time."""

    duration: float | None = None
    seed: int = 1
    speed: float = 60.0


def run(options: Options, console: Console) -> int:
    """Run the demo; 0 when it ends as asked, 1 when a part of it fails."""
    if not console.is_terminal:
        console = Console(file=console.file, width=PLAIN_WIDTH)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    started = time.monotonic()
    deadline = None if options.duration is None else started + options.duration
    topics = {source.topic: INTERNAL_PARTITIONS for source in SOURCES} | {DECISIONS.topic: PARTITIONS}
    topics |= {source.dead_letters: 1 for source in SOURCES} | {BLOCKS: INTERNAL_PARTITIONS, STATE: INTERNAL_PARTITIONS}
    with tempfile.TemporaryDirectory(prefix="moderation-monitor-") as name, EmbeddedBroker(topics) as broker:
        try:
            _run_parts(Path(name), broker.bootstrap, options, console, stop, deadline)
        except DemoFailed as error:
            console.print(f"demo: {error}", style="bold red", highlight=False)
            return 1
    console.print(f"demo ended after {time.monotonic() - started:.0f} s", highlight=False)
    return 0


def _run_parts(
    folder: Path, bootstrap: str, options: Options, console: Console, stop: threading.Event, deadline: float | None
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    start_ms = int(time.time() // 60) * MINUTE_MS
    console.print("pinning a reference from quiet traffic ...")
    reference = _pin_reference(folder, options, start_ms)
    console.print("starting a worker ...")
    with _worker(folder, bootstrap, port, reference) as worker:
        _wait_until_ready(worker, address, stop, folder)
        companions = start_companions(folder, port, speed=options.speed)
        try:
            _show_addresses(console, address, companions)
            with _traffic(bootstrap, options, start_ms, stop) as failures:

                def show() -> Table:
                    try:
                        clock, lines = model_lines(address)
                    except OSError as error:
                        _require_running(worker, folder)
                        raise DemoFailed(f"the worker does not answer: {error}") from error
                    return render(clock, lines, firing=companions.firing())

                def check() -> None:
                    _require_running(worker, folder)
                    if failures:
                        raise DemoFailed(f"the simulator failed: {failures[0]}")

                _watch(console, show, check, stop, deadline)
        finally:
            companions.stop()


def scenario() -> Scenario:
    """Traffic with a precision drop in Spanish at minute 15, later a launch that shifts scores, and others."""
    return demo(
        decisions_per_minute=DECISIONS_PER_MINUTE,
        audit_probability=AUDIT_PROBABILITY,
        incident_minute=INCIDENT_MINUTE,
    )


@contextlib.contextmanager
def _traffic(bootstrap: str, options: Options, start_ms: int, stop: threading.Event) -> Iterator[list[BaseException]]:
    """Publishes in a thread of its own until `stop`; the list takes what makes it fail."""
    failures: list[BaseException] = []

    def send() -> None:
        try:
            clock = EventClock(time.monotonic(), start_ms, options.speed)
            batches = generate(scenario(), seed=options.seed, start_ms=start_ms, minutes=7 * 24 * 60)
            publish(batches, create_producer(bootstrap), clock=clock, wait=stop.wait)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=send, name="traffic", daemon=True)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join(10.0)


def _pin_reference(folder: Path, options: Options, start_ms: int) -> Path:
    """A reference from half an hour of traffic in which nothing happens, made by the command that operators use."""
    files = folder / "reference"
    calm = quiet(decisions_per_minute=DECISIONS_PER_MINUTE, audit_probability=AUDIT_PROBABILITY)
    begin = start_ms - REFERENCE_MINUTES * MINUTE_MS
    write_files(generate(calm, seed=options.seed + 1, start_ms=begin, minutes=REFERENCE_MINUTES), files)
    reference = folder / "reference.json"
    _command("reference", "--decisions", str(files / "decisions.jsonl"), "--output", str(reference))
    return reference


def _command(*arguments: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode != 0:
        raise DemoFailed(f"{arguments[0]} failed:\n{done.stderr[-2000:]}")


@contextlib.contextmanager
def _worker(folder: Path, bootstrap: str, port: int, reference: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process as it would run anywhere, with a configuration file of its own."""
    config = folder / "monitor.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "kafka": {"bootstrap_servers": bootstrap, "session_timeout_seconds": 6.0},
                "http": {"host": "127.0.0.1", "port": port},
                "state": {"directory": str(folder / "state")},
                "blocks": {"size": 2048},
                "join": {"enabled": False},  # simulated feedback carries its context
                "drift": {"reference": str(reference)},
                "log": {"format": "console"},
            }
        )
    )
    with (folder / "worker.log").open("wb") as log:
        # A session of its own: Ctrl-C reaches the demo, which then ends the worker in order.
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, "worker", "--config", str(config)], stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(worker: subprocess.Popen[bytes], address: str, stop: threading.Event, folder: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_SECONDS
    while not stop.wait(0.2):
        _require_running(worker, folder)
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/readyz", timeout=2):  # noqa: S310 - ours
            return
        if time.monotonic() > deadline:
            raise DemoFailed(f"the worker is not ready after {START_WITHIN_SECONDS:g} s:\n{_end_of_log(folder)}")


def _watch(
    console: Console,
    show: Callable[[], Table],
    check: Callable[[], None],
    stop: threading.Event,
    deadline: float | None,
) -> None:
    """Show the table until the deadline or an interrupt; `check` raises DemoFailed when a part has ended."""
    if not console.is_terminal:
        printed = 0.0
        while not stop.wait(0.2) and not _over(deadline):
            check()
            if time.monotonic() - printed >= PRINT_SECONDS:
                console.print(show())
                printed = time.monotonic()
        console.print(show())
        return
    with Live(show(), console=console, auto_refresh=False) as live:
        while not stop.wait(REFRESH_SECONDS) and not _over(deadline):
            check()
            live.update(show(), refresh=True)


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _require_running(worker: subprocess.Popen[bytes], folder: Path) -> None:
    if worker.poll() is not None:
        raise DemoFailed(f"the worker ended with exit code {worker.returncode}:\n{_end_of_log(folder)}")


def _end_of_log(folder: Path) -> str:
    return (folder / "worker.log").read_text(errors="replace")[-2000:]


def _show_addresses(console: Console, address: str, companions: Companions) -> None:
    console.print(f"  status page  {address}/", highlight=False)
    console.print(f"  metrics      {address}/metrics", highlight=False)
    for name, where in companions.addresses.items():
        console.print(f"  {name.lower():12s} {where}/", highlight=False)
    missing = sorted({"Prometheus", "Alertmanager", "Grafana"} - companions.addresses.keys())
    if missing:
        console.print(f"  not installed, so not started: {', '.join(missing)}", highlight=False)
    console.print(
        f"  at minute {INCIDENT_MINUTE} of event time text-guard loses half of its precision in Spanish",
        highlight=False,
    )
