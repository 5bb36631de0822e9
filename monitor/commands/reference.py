"""`moderation-monitor reference`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from monitor.commands import options
from monitor.commands.progress import progress
from monitor.event_log import EventLog, FileLog, UnreadableLog
from monitor.events import Variant
from monitor.pin import MINIMUM_DECISIONS, Pinning, pin, write_reference
from monitor.reference import InvalidReference, Reference
from monitor.settings import Settings
from monitor.topics import DECISIONS


@click.command
@options.config_option
@click.option(
    "--decisions", type=click.Path(path_type=Path, dir_okay=False), help="File of decisions; gzip is accepted."
)
@options.since_option
@options.until_option
@options.whole_option
@click.option("--output", type=options.Output(folder=False), required=True, help="The reference file.")
@click.option("--force", is_flag=True, help="Overwrite the reference file.")
@click.option("--model", "models", multiple=True, help="Pin this model only; may be repeated.")
@click.option(
    "--features", help="Names of features, separated by commas; all that the decisions carry without, '' for none."
)
@click.option(
    "--feature-bins",
    type=click.IntRange(min=2, max=100),
    default=10,
    show_default=True,
    help="Bins of a numeric feature, of equal shares of the decisions.",
)
@click.option(
    "--variant",
    "variants",
    type=click.Choice([variant.value for variant in Variant]),
    multiple=True,
    default=[Variant.CHAMPION.value],
    show_default=True,
    help="Roles of the model versions that count; may be repeated.",
)
@click.option(
    "--minimum-decisions",
    type=click.IntRange(min=1),
    default=MINIMUM_DECISIONS,
    show_default=True,
    help="A model with fewer is refused.",
)
def command(
    config: Path | None,
    decisions: Path | None,
    since_ms: int | None,
    until_ms: int | None,
    from_topics: bool,
    output: Path,
    force: bool,
    models: tuple[str, ...],
    features: str | None,
    feature_bins: int,
    variants: tuple[str, ...],
    minimum_decisions: int,
) -> None:
    """Pin a reference from decisions that are accepted as normal: a file, or a range of the topic.

    The settings are the worker's: they say which segments the reference has. Score bins hold about a tenth of the
    decisions each (the upper tail less), bins of numeric features equal shares. Values outside the middle 99.8 % are
    out of range. Categories are the 50 most frequent, without those below 0.1 %.
    """
    ranged = from_topics or since_ms is not None or until_ms is not None
    if (decisions is None) is not ranged:
        raise click.UsageError("expected either --decisions FILE, or a topic range: --topics, --since, --until")
    if options.is_there(output) and not force:
        raise options.Refused(f"{output}: there already; choose another file or --force")
    settings = options.settings(config)
    what = Pinning(
        models=frozenset(models) or None,
        features=None if features is None else frozenset(filter(None, map(str.strip, features.split(",")))),
        feature_bins=feature_bins,
        variants=frozenset(Variant(name) for name in variants),
        minimum_decisions=minimum_decisions,
    )
    try:
        with _logs(settings, decisions, since_ms, until_ms) as (logs, source):
            reference = _pin(logs, settings, what, source)
    except (InvalidReference, UnreadableLog) as error:
        raise options.Refused(str(error)) from error
    with options.writing(output):
        write_reference(reference, output)
    click.echo(f"{output}: {reference.first_decision}..{reference.last_decision}", err=True)
    for model in reference.models:
        counted = sum(series.decisions for series in model.series if series.segment == "all")
        names = ", ".join(feature.name for feature in model.features) or "no features"
        click.echo(f"  {model.model}: {counted} decisions, {len(model.series)} series, {names}", err=True)


@contextmanager
def _logs(
    settings: Settings, decisions: Path | None, since_ms: int | None, until_ms: int | None
) -> Iterator[tuple[Sequence[EventLog], str]]:
    """The logs, and their name in the reference."""
    if decisions is not None:
        # A file name may be any bytes, the reference is UTF-8.
        yield [FileLog(DECISIONS, decisions)], os.fsencode(decisions.name).decode("utf-8", "backslashreplace")
        return
    from monitor.commands.kafka import topic_range

    with topic_range(settings, (DECISIONS,), since_ms=since_ms, until_ms=until_ms) as found:
        yield found.logs, str(found)


def _pin(logs: Sequence[EventLog], settings: Settings, what: Pinning, source: str) -> Reference:
    size = sum(log.size for log in logs)
    passes = -1
    before = size

    with progress("pinning", total=2 * size) as show:

        def tell() -> None:
            nonlocal passes, before
            position = sum(log.position for log in logs)
            passes += position < before
            before = position
            show(passes * size + position, f"pass {passes + 1} of 2")

        return pin(logs, settings, what, source=source, on_batch=tell)
