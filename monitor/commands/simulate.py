"""`moderation-monitor simulate`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from monitor.commands import options
from monitor.commands.progress import minute_of, progress
from monitor.simulate import (
    BUILT_IN,
    FILE_NAMES,
    DeliveryError,
    EventClock,
    MinuteBatch,
    Progress,
    Scenario,
    ScenarioError,
    create_producer,
    generate,
    load_scenario,
    publish,
    write_files,
)

MINUTE_MS: Final = 60_000
FILES_START: Final = "2026-01-05T00:00:00Z"
"""Where event time starts in files, unless told: fixed, so that the same command gives the same bytes. A Monday."""
FILES_MINUTES: Final = 60
ENDLESS_MINUTES: Final = 10 * 365 * 24 * 60
STARTS_BEFORE: Final = datetime(9980, 1, 1, tzinfo=UTC)
"""All of a simulation, and the feedback on it, lies in years of four digits."""
MAXIMUM_RATE: Final = 10_000_000
MAXIMUM_SPEED: Final = 1_000_000


@click.command
@options.config_option
@click.option(
    "--scenario",
    "name",
    default="demo",
    show_default=True,
    metavar="NAME|FILE",
    help=f"{', '.join(BUILT_IN)}, or a YAML file.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of what is drawn.")
@click.option(
    "--minutes",
    type=click.IntRange(min=1, max=ENDLESS_MINUTES),
    help="Minutes of event time; 60 into files, endless into Kafka.",
)
@click.option("--start", "start_ms", type=options.Instant(), help="Where event time starts; whole minutes.")
@click.option(
    "--rate", type=options.Number(min=1, max=MAXIMUM_RATE), help="Decisions a minute, of a built-in scenario."
)
@click.option(
    "--speed",
    type=options.Number(min=0, max=MAXIMUM_SPEED),
    default=1.0,
    show_default=True,
    help="Event time that passes in a unit of time; 0: as fast as possible.",
)
@click.option("--drain", is_flag=True, help="Into files: also the feedback that comes after the last minute.")
@click.option(
    "--output",
    type=options.Output(folder=True),
    help="Folder for files, with the truth beside them; into Kafka without.",
)
@click.option("--force", is_flag=True, help="Overwrite files in the folder.")
def command(
    config: Path | None,
    name: str,
    seed: int,
    minutes: int | None,
    start_ms: int | None,
    rate: float | None,
    speed: float,
    drain: bool,
    output: Path | None,
    force: bool,
) -> None:
    """Make traffic with known truth, into the source topics or into files.

    The same scenario, seed and start give the same bytes. Into files event time starts at 2026-01-05T00:00:00Z unless
    told; into Kafka it ends now if it runs faster than the clock, and starts now otherwise.
    """
    scenario = _scenario(name, rate)
    if output is not None:
        taken = [str(output / file) for file in FILE_NAMES if options.is_there(output / file)]
        if taken and not force:
            raise options.Refused(f"{', '.join(taken)}: there already; choose another folder or --force")
        minutes = minutes or FILES_MINUTES
        start_ms = options.Instant().convert(FILES_START, None, None) if start_ms is None else start_ms
        _write(scenario, output, seed=seed, start_ms=_whole(start_ms), minutes=minutes, drain=drain)
        return
    if drain or force:
        raise click.UsageError("--drain and --force go with --output only")
    if start_ms is None:
        start_ms = _start(time.time(), minutes, speed)
    _publish(scenario, config, seed=seed, start_ms=_whole(start_ms), minutes=minutes, speed=speed)


def _scenario(name: str, rate: float | None) -> Scenario:
    if name in BUILT_IN:
        return BUILT_IN[name]() if rate is None else BUILT_IN[name](decisions_per_minute=rate)
    if rate is not None:
        raise click.UsageError("--rate goes with a built-in scenario; a file says its own rates")
    path = Path(name)
    if not options.is_there(path):
        raise options.Refused(f"--scenario: expected one of {', '.join(BUILT_IN)}, or a YAML file, got {name!r}")
    try:
        return load_scenario(path)
    except ScenarioError as error:
        raise options.Refused(str(error)) from error


def _whole(start_ms: int) -> int:
    if start_ms % MINUTE_MS:
        raise options.Refused("--start: expected a whole minute, such as 2026-01-31T23:59:00Z")
    if start_ms >= STARTS_BEFORE.timestamp() * 1000:
        raise options.Refused(f"--start: expected a time before {STARTS_BEFORE:%Y}")
    return start_ms


def _start(now: float, minutes: int | None, speed: float) -> int:
    """Traffic faster than the clock must not run into the future, which Kafka and the service refuse."""
    minute = int(now // 60)
    if speed == 1:
        return minute * MINUTE_MS
    if minutes is None:
        raise click.UsageError("--speed other than 1 needs --minutes or --start")
    lasts = 0.0 if speed == 0 else minutes / speed
    return (minute - int(max(0.0, minutes - lasts))) * MINUTE_MS


def _write(scenario: Scenario, output: Path, *, seed: int, start_ms: int, minutes: int, drain: bool) -> None:
    batches = generate(scenario, seed=seed, start_ms=start_ms, minutes=minutes, drain=drain)
    with progress(f"simulating {scenario.name}", total=minutes) as show:

        def tell(batch: MinuteBatch) -> None:
            show((batch.start_ms - start_ms) / MINUTE_MS + 1, minute_of(batch.start_ms))

        with options.writing(output):
            lines = write_files(batches, output, on_progress=tell)
    for file, count in lines.items():
        click.echo(f"{output / file}: {count}", err=True)


def _publish(
    scenario: Scenario, config: Path | None, *, seed: int, start_ms: int, minutes: int | None, speed: float
) -> None:
    settings = options.settings(config)
    from monitor.commands.kafka import client_options

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    security = client_options(settings)
    clock = EventClock(time.monotonic(), start_ms, speed) if speed else None
    with progress(f"simulating {scenario.name}", total=minutes) as show:

        def tell(done: Progress) -> None:
            if done.event_ms is not None:
                show((done.event_ms - start_ms) / MINUTE_MS, f"{minute_of(done.event_ms)}, {done.records} records")

        try:
            done = publish(
                _until(stop, generate(scenario, seed=seed, start_ms=start_ms, minutes=minutes or ENDLESS_MINUTES)),
                create_producer(settings.kafka.bootstrap_servers, config=security),
                clock=clock,
                on_progress=tell,
                wait=stop.wait,
            )
        except DeliveryError as error:
            raise options.Failed(f"Kafka at {settings.kafka.bootstrap_servers}: {error}") from error
    for topic, count in done.by_topic.items():
        click.echo(f"{topic}: {count}", err=True)


def _until(stop: threading.Event, batches: Iterator[MinuteBatch]) -> Iterator[MinuteBatch]:
    for batch in batches:
        if stop.is_set():
            return
        yield batch
