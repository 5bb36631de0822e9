"""The command line as a whole: help, version, exit codes, and what it costs to start."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import click
import pytest

from monitor.cli import COMMANDS
from tests.commands.calls import call

ROOT = Path(__file__).parents[2]


def test_help_lists_every_command() -> None:
    told = call("--help").output
    for name, summary in COMMANDS.items():
        assert f"  {name}" in told
        assert summary in told


@pytest.mark.parametrize("name", [*COMMANDS, "topics create"])
def test_every_command_has_help_for_each_of_its_options(name: str) -> None:
    result = call(*name.split(), "--help")
    assert 0 == result.exit_code
    command: click.Command = importlib.import_module(f"monitor.commands.{name.split()[0]}").command
    for part in name.split()[1:]:
        assert isinstance(command, click.Group)
        command = command.commands[part]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert max(parameter.opts, key=len) in result.output
            assert parameter.help, f"{name}: {parameter.name} has no help"


def test_every_module_of_the_folder_is_listed_or_shared() -> None:
    shared = {"__init__", "options", "progress", "kafka"}
    assert {path.stem for path in (ROOT / "monitor" / "commands").glob("*.py")} == {*COMMANDS, *shared}


def test_the_version_is_the_packages() -> None:
    assert importlib.metadata.version("moderation-monitor") in call("--version").output


def test_an_unknown_command_is_refused() -> None:
    result = call("watch")
    assert 2 == result.exit_code
    assert "watch" in result.stderr


def test_help_imports_nothing_heavy() -> None:
    """What would make `--help` slow is not imported: the same on any machine, unlike a time."""
    code = "import sys, monitor.cli as c; c.main(args=['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"numpy", "pydantic", "faust", "monitor.settings", "rich", "scipy"})


def test_check_imports_nothing_of_kafka_and_http(tmp_path: Path) -> None:
    (tmp_path / "monitor.yaml").write_text("{}")
    arguments = ["check", str(tmp_path / "monitor.yaml")]
    code = f"import sys, monitor.cli as c; c.main(args={arguments!r}, standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint({"faust", "aiokafka", "confluent_kafka", "fastapi", "uvicorn", "rich"})


def test_bad_settings_end_a_real_process_with_two_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "monitor.yaml").write_text("http: {port: 80801}\n")
    for command in (["worker", "--config"], ["check"], ["topics", "create", "--config"]):
        done = subprocess.run(
            [sys.executable, "-m", "monitor.cli", *command, str(tmp_path / "monitor.yaml")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 2 == done.returncode
        assert "" == done.stdout
        assert "monitor.yaml: http.port: " in done.stderr
        assert "less than or equal to 65535" in done.stderr
        assert "Traceback" not in done.stderr
