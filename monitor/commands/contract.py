"""`moderation-monitor contract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from monitor.commands import options
from monitor.contract import asyncapi, contract, json_schema
from monitor.topics import SOURCES


@click.command
@click.option(
    "--format",
    "form",
    type=click.Choice(["json-schema", "asyncapi", "all"]),
    default="all",
    show_default=True,
    help="Which documents.",
)
@click.option(
    "--output",
    type=options.Output(folder=True),
    help="Folder for one file a document; standard output without.",
)
def command(form: str, output: Path | None) -> None:
    """Print the event contract, generated from the types that decode: JSON Schema 2020-12 and AsyncAPI 3."""
    schemas = {source.name: json_schema(source) for source in SOURCES}
    if output is None:
        document = {"json-schema": lambda: schemas, "asyncapi": asyncapi, "all": contract}[form]()
        click.echo(_text(document), nl=False)
        return
    documents: dict[str, Any] = {}
    if form != "asyncapi":
        documents |= {f"{name}.schema.json": schema for name, schema in schemas.items()}
    if form != "json-schema":
        documents["asyncapi.json"] = asyncapi()
    with options.writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for name, one in documents.items():
            (output / name).write_text(_text(one), encoding="utf-8")
            click.echo(str(output / name))


def _text(document: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
