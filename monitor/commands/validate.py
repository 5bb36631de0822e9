"""`moderation-monitor validate`."""

from __future__ import annotations

import io
import itertools
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

import click

from monitor.commands import options
from monitor.event_log import event_lines
from monitor.topics import SOURCES
from monitor.validate import Level, validate

NAMES = [source.name for source in SOURCES]


@click.command
@click.argument("file", type=click.File("rb"))
@click.option("--type", "name", type=click.Choice(NAMES), help="What all events are; each event tells without.")
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="How many problems are printed; all are counted.",
)
@click.pass_context
def command(ctx: click.Context, file: IO[bytes], name: str | None, show: int) -> None:
    """Check a FILE of events, one JSON object a line (`-`: standard input; gzip is read as it is).

    Says line, field and what is allowed. Notes are about what would be accepted but is likely a slip. Exit code 1 when
    an event would be refused.
    """
    path = str(getattr(file, "name", "-"))  # standard input may have none
    source = next((source for source in SOURCES if source.name == name), None)
    found = dict.fromkeys(Level, 0)
    events = itertools.count()
    try:
        with io.BufferedReader(cast("io.RawIOBase", file)) as raw, event_lines(raw, Path(path)) as lines:
            for problem in validate(_counted(lines, events), source=source):
                found[problem.level] += 1
                if sum(found.values()) <= show:
                    click.echo(str(problem))
    except (OSError, EOFError, zlib.error) as error:
        raise options.Refused(f"{path}: cannot be read: {error}") from error
    click.echo(f"{next(events)} events, {found[Level.ERROR]} errors, {found[Level.NOTE]} notes", err=True)
    ctx.exit(1 if found[Level.ERROR] else 0)


def _counted(lines: Iterable[bytes], events: Iterator[int]) -> Iterator[bytes]:
    for line in lines:
        if line.strip():
            next(events)
        yield line
