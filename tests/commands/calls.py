"""Running commands inside the test's process."""

from __future__ import annotations

from collections.abc import Mapping

from click.testing import CliRunner, Result

from monitor.cli import cli


def call(*arguments: object, environ: Mapping[str, str | None] | None = None, stdin: bytes | None = None) -> Result:
    """Run a command; what it did not catch itself fails the test."""
    result = CliRunner().invoke(cli, [str(one) for one in arguments], env=environ, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
