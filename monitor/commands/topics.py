"""`moderation-monitor topics create`."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.commands import options


@click.group
def command() -> None:
    """Make or check the Kafka topics."""


@command.command
@options.config_option
@click.pass_context
def create(ctx: click.Context, config: Path | None) -> None:
    """Make the topics that are missing and check the others; those are never changed.

    Partitions, replicas and retention come from the section `topics` of the settings. Exit code 1 when a topic is not
    as it has to be.
    """
    settings = options.settings(config)
    from monitor.commands.kafka import client_options
    from monitor.kafka_topics import Outcome, TopicError, create_topics

    try:
        results = create_topics(settings.kafka.bootstrap_servers, settings.topics, options=client_options(settings))
    except TopicError as error:
        raise options.Failed(str(error)) from error
    for result in results:
        told = f"{result.outcome.value:<8} {result.name} ({result.partitions} partitions)"
        click.echo(f"{told}: {result.problem}" if result.problem else told)
    if any(result.outcome is Outcome.WRONG for result in results):
        click.echo("existing topics are never changed: mend or remove what is wrong, then run this again", err=True)
        ctx.exit(1)
