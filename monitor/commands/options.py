"""What several commands have in common: the configuration, times on the command line, errors with their exit codes."""

from __future__ import annotations

import os
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
        return round(at.timestamp() * 1000)


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


def settings(config: Path | None) -> Settings:
    """The settings of a file and the environment; Refused names file or variable, key and what is allowed."""
    environ = {name: value for name, value in os.environ.items() if name != CONFIG_VARIABLE}
    try:
        return load_settings(config, environ)
    except InvalidSettings as error:
        raise Refused(str(error)) from error
