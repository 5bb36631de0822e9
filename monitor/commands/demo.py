"""`moderation-monitor demo`."""

from __future__ import annotations

import click
from rich.console import Console

from monitor.commands import options
from monitor.demo.run import Options, run


@click.command
@click.option("--duration", type=options.Number(min=1), help="Seconds after which it ends; until Ctrl-C without.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the simulated traffic.")
@click.option(
    "--speed",
    type=options.Number(min=1, max=600),
    default=60.0,
    show_default=True,
    help="Event time that passes in a unit of time.",
)
@click.pass_context
def command(ctx: click.Context, duration: float | None, seed: int, speed: float) -> None:
    """Show the whole service on this machine: a broker, simulated traffic with an incident, a worker, a live table.

    Prometheus, Alertmanager and Grafana join in where they are installed. Nothing is left behind.
    """
    ctx.exit(run(Options(duration=duration, seed=seed, speed=speed), Console()))
