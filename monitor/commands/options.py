"""What several commands have in common: the configuration, times on the command line, errors with their exit codes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from monitor.settings import InvalidSettings, Settings, load_settings

CONFIG_VARIABLE: Final = "MONITOR_CONFIG"


class Refused(click.ClickException):
    """Input or settings that cannot be used: exit code 2, no traceback."""

    exit_code = 2


class Failed(click.ClickException):
    """Something that should have worked did not: exit code 1, no traceback."""

    exit_code = 1


class Number(click.FloatRange):
    """A finite number within a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse and check it."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"expected a finite number, got {value}", param, ctx)
        return number


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; not where that cannot be found out, for which Path.exists raises."""
    return os.path.exists(path)  # noqa: PTH110


class Output(click.Path):
    """A file or folder that is written: one that is there, or one that can be made."""

    def __init__(self, *, folder: bool) -> None:
        super().__init__(file_okay=not folder, dir_okay=folder, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what lies below a file, or in a folder that may not be written to."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not is_there(path):
            place = next(above for above in path.parents if is_there(above))
            if not place.is_dir():
                self.fail(f"{path}: {place} is no directory", param, ctx)
            if not os.access(place, os.W_OK | os.X_OK):
                self.fail(f"{path}: no permission to write to {place}", param, ctx)
        return path


class Instant(click.ParamType):
    """A time with an offset, as milliseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse RFC 3339."""
        if isinstance(value, int):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self.fail(f"expected a time with an offset, such as 2026-01-31T23:59:00Z, got {value!r}", param, ctx)
        milliseconds = round(at.timestamp() * 1000)
        if milliseconds < 0:
            self.fail(f"expected a time from 1970 on, got {value!r}", param, ctx)
        return milliseconds


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar=CONFIG_VARIABLE,
    show_envvar=True,
    help="YAML file with settings; defaults without it.",
)
since_option = click.option("--since", "since_ms", type=Instant(), help="First Kafka timestamp of a topic range.")
until_option = click.option("--until", "until_ms", type=Instant(), help="End of a topic range, not included.")
whole_option = click.option("--topics", "from_topics", is_flag=True, help="Read the topics from begin to end.")


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Failed, with the path, when the system refuses to write on the way: a disk that is full, a name that is taken."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise Failed(f"{error.filename or output}: cannot be written: {error.strerror}") from error


def settings(config: Path | None) -> Settings:
    """The settings of a file and the environment; Refused names file or variable, key and what is allowed."""
    environ = {name: value for name, value in os.environ.items() if name != CONFIG_VARIABLE}
    try:
        return load_settings(config, environ)
    except InvalidSettings as error:
        raise Refused(str(error)) from error
