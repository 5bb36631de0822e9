"""`moderation-monitor worker`."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.commands import options


@click.command
@options.config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None) -> None:
    """Read the topics, keep the numbers, serve them, until SIGTERM or SIGINT.

    More workers with the same kafka.group_id share the work.
    """
    settings = options.settings(config)
    from monitor.worker import run  # settings are refused within a moment: the rest takes longer to import

    ctx.exit(run(settings))
