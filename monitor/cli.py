"""The command `moderation-monitor`.

A command's module is imported when the command is used: the table below is all that `--help` needs.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

COMMANDS: Final = {
    "worker": "Read the topics, keep the numbers, serve them.",
    "demo": "Show the whole service on this machine, with simulated traffic.",
    "check": "Examine a configuration file offline.",
    "topics": "Make or check the Kafka topics.",
    "validate": "Check a file of events against the contract.",
    "contract": "Print the event contract: JSON Schema and AsyncAPI.",
    "reference": "Pin what is normal: the reference that drift is measured against.",
    "replay": "Compute readings and metrics from files or a topic range.",
    "simulate": "Make traffic with known truth, into Kafka or files.",
}
"""Command -> what it does. Each is the `command` of the module in `monitor.commands` that has its name."""


class Commands(click.Group):
    """The commands of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order in which help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"monitor.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help text, without importing what it lists."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="moderation-monitor", prog_name="moderation-monitor")
def cli() -> None:
    """Watch content-moderation models live: precision, drift and launches, from Kafka to Prometheus.

    Settings come from a YAML file (--config or MONITOR_CONFIG), then from the environment, such as
    MONITOR_KAFKA__BOOTSTRAP_SERVERS.
    """


def main(**options: Any) -> None:
    """Run the command line; exits with 0, 1 after a failure, 2 for input or settings that cannot be used."""
    cli(prog_name="moderation-monitor", **options)


if __name__ == "__main__":
    main()
