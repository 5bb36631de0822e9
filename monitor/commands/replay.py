"""`moderation-monitor replay`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import click

from monitor.commands import options
from monitor.commands.progress import minute_of, progress
from monitor.event_log import EventLog, FileLog, UnreadableLog
from monitor.reference import InvalidReference
from monitor.replay import Replayed, replay
from monitor.settings import Settings
from monitor.topics import SOURCES

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command
@options.config_option
@click.option("--decisions", type=_FILE, help="File of decisions, one JSON object a line; gzip is accepted.")
@click.option("--reviews", type=_FILE, help="File of reviews.")
@click.option("--appeals", type=_FILE, help="File of appeals.")
@click.option("--reports", type=_FILE, help="File of reports.")
@click.option("--launches", type=_FILE, help="File of launches.")
@options.since_option
@options.until_option
@options.whole_option
@click.option("--output", type=options.Output(folder=True), required=True, help="Folder to write to.")
@click.option("--force", is_flag=True, help="Overwrite files in the folder.")
@click.option(
    "--every",
    "every_minutes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Minutes of event time between the readings that are written.",
)
def command(
    config: Path | None,
    since_ms: int | None,
    until_ms: int | None,
    from_topics: bool,
    output: Path,
    force: bool,
    every_minutes: int,
    **files: Path | None,
) -> None:
    """Run the worker's own steps over files of events, or over a range of the topics, without a worker.

    Writes metrics.prom (the exposition at the end of the data), readings.jsonl (every reading of every minute of event
    time that has records) and dead_letters.jsonl. The same input and settings give the same bytes.

    In files the order of lines is the order of the log, and the event's own time its Kafka timestamp.
    """
    chosen = {name: path for name, path in files.items() if path is not None}
    ranged = from_topics or since_ms is not None or until_ms is not None
    if bool(chosen) is ranged:
        raise click.UsageError("expected either files (--decisions ...), or a topic range: --topics, --since, --until")
    settings = options.settings(config)
    try:
        with _logs(settings, chosen, since_ms, until_ms) as logs, options.writing(output):
            done = _replay(logs, settings, output, every_minutes=every_minutes, force=force)
    except (InvalidReference, UnreadableLog, FileExistsError) as error:
        raise options.Refused(str(error)) from error
    records = ", ".join(f"{count} of {topic}" for topic, count in done.records.items()) or "no records"
    click.echo(f"{output}: {records}", err=True)
    click.echo(f"  {done.ticks} ticks, {done.readings} readings, {done.dead_letters} dead letters", err=True)
    for log in logs:
        if isinstance(log, FileLog) and log.blank_lines:
            click.echo(f"  {log.source.name}s: {log.blank_lines} blank lines skipped", err=True)


@contextmanager
def _logs(
    settings: Settings, files: dict[str, Path], since_ms: int | None, until_ms: int | None
) -> Iterator[Sequence[EventLog]]:
    if files:
        yield [FileLog(source, files[name]) for source in SOURCES if (name := option_name(source.topic)) in files]
        return
    from monitor.commands.kafka import topic_range

    with topic_range(settings, SOURCES, since_ms=since_ms, until_ms=until_ms) as found:
        yield found.logs


def option_name(topic: str) -> str:
    """The option that takes the file of a topic."""
    return topic.removeprefix("moderation.")


def _replay(logs: Sequence[EventLog], settings: Settings, output: Path, *, every_minutes: int, force: bool) -> Replayed:
    with progress("replaying", total=sum(log.size for log in logs)) as show:

        def tell(done: Replayed) -> None:
            at = "" if done.at_ms is None else minute_of(done.at_ms)
            show(sum(log.position for log in logs), at)

        return replay(
            logs,
            settings,
            output,
            version=version("moderation-monitor"),
            every_minutes=every_minutes,
            force=force,
            on_tick=tell,
        )
