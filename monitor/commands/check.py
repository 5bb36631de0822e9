"""`moderation-monitor check`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from monitor.assembly import assemble
from monitor.commands import options
from monitor.reference import InvalidReference, Reference, load_reference
from monitor.settings import Settings
from monitor.streams import kind_of


@click.command
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Examine a configuration FILE, and what the environment adds to it, without Kafka.

    Exit code 0, or 2 with file, key and what is allowed.
    """
    settings = options.settings(file)
    try:
        reference = None if settings.drift.reference is None else load_reference(settings.drift.reference)
        pipeline = assemble(settings, reference)
    except InvalidReference as error:
        raise options.Refused(f"{file}: drift.reference: {error}") from error
    _check_security(file, settings)
    click.echo(f"{file}: ok")
    for name, told in _summary(settings, reference):
        click.echo(f"  {name:<10} {told}")
    click.echo(f"  {'config':<10} {pipeline.fingerprint}")


def _check_security(file: Path, settings: Settings) -> None:
    kafka = settings.kafka
    told = (kafka.sasl_mechanism, kafka.username, kafka.password, kafka.ca_file, kafka.cert_file, kafka.key_file)
    if kafka.security_protocol == "PLAINTEXT" and all(one is None for one in told):
        return
    from monitor.commands.kafka import security  # takes seconds to import; most files do not need it

    try:
        security(settings)
    except options.Refused as error:
        raise options.Refused(f"{file}: {error.message}") from error


def _summary(settings: Settings, reference: Reference | None) -> Iterator[tuple[str, str]]:
    kafka = settings.kafka
    yield "kafka", f"{kafka.bootstrap_servers}, group {kafka.group_id}, {kafka.security_protocol}"
    yield "http", f"{settings.http.host}:{settings.http.port}"
    yield "segments", ", ".join(" x ".join(kind) for kind in settings.segments.kinds) or "none"
    yield "models", ", ".join(sorted(settings.models)) or "any that is met"
    yield "detectors", ", ".join(kind_of(detector) for detector in settings.drift.detectors) or "none"
    if reference is None:
        yield "reference", "none: no drift against a baseline"
    else:
        models = ", ".join(model.model for model in reference.models)
        yield (
            "reference",
            f"{settings.drift.reference}: {models}, {reference.first_decision}..{reference.last_decision}",
        )
