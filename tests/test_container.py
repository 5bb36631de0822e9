"""The Dockerfile, read as data, and its health check, run; no engine is needed.

What only an engine can show (the base image's content, layer sizes) is not shown here.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from monitor.settings import load_settings

ROOT = Path(__file__).parents[1]


class Instruction(NamedTuple):
    """One instruction with its continuation lines joined: `COPY`, `a b ./`, and the build stage that it stands in."""

    keyword: str
    value: str
    stage: int


@cache
def instructions() -> tuple[Instruction, ...]:
    text = (ROOT / "Dockerfile").read_text()
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text))
    found: list[Instruction] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        keyword, _, value = line.partition(" ")
        stage = (found[-1].stage if found else -1) + (keyword == "FROM")
        found.append(Instruction(keyword, " ".join(value.split()), stage))
    return tuple(found)


def final(keyword: str) -> list[str]:
    """The values of `keyword` in the last stage, the one that is shipped."""
    last = instructions()[-1].stage
    return [each.value for each in instructions() if each.keyword == keyword and each.stage == last]


def environment() -> dict[str, str]:
    pairs = (pair for value in final("ENV") for pair in shlex.split(value))
    return dict(pair.split("=", 1) for pair in pairs)


def test_both_stages_start_from_the_same_pinned_base() -> None:
    bases = {each.value.split()[0] for each in instructions() if each.keyword == "FROM"}
    assert {"python:3.11-slim-bookworm"} == bases


def test_the_image_runs_the_worker_as_a_numbered_user() -> None:
    assert ["10001:10001"] == final("USER")
    assert ["moderation-monitor"] == json.loads(final("ENTRYPOINT")[0])
    assert ["worker"] == json.loads(final("CMD")[0])
    assert ["SIGTERM"] == final("STOPSIGNAL")
    assert ["8080"] == final("EXPOSE")


def test_the_state_directory_is_in_the_volume_and_the_user_may_write_there() -> None:
    (directory,) = json.loads(final("VOLUME")[0])
    state = load_settings(None, environment()).state.directory
    assert [directory] == final("WORKDIR")
    assert (Path(directory) / state).is_relative_to(directory)
    assert f"--home-dir {directory} --create-home" in final("RUN")[0]


def test_the_defaults_suit_the_image() -> None:
    settings = load_settings(None, environment())
    assert final("EXPOSE") == [str(settings.http.port)]
    assert "0.0.0.0" == settings.http.host


def test_a_mounted_file_has_the_last_word_on_what_it_sets(tmp_path: Path) -> None:
    mounted = tmp_path / "monitor.yaml"
    mounted.write_text("http: {port: 9100}\nstate: {directory: /data/monitor}\n")
    settings = load_settings(mounted, environment())
    assert (9100, Path("/data/monitor")) == (settings.http.port, settings.state.directory)


def test_what_is_installed_is_locked_and_the_installer_stays_behind() -> None:
    installs = [each.value for each in instructions() if each.keyword == "RUN" and "pip install" in each.value]
    assert installs
    assert all("--require-hashes" in value or "--no-deps --no-index" in value for value in installs)
    assert ["--from=build /opt/venv /opt/venv"] == final("COPY")
    assert not any("apt-get" in value for value in final("RUN"))


def test_an_image_without_the_compiled_loops_is_not_built() -> None:
    (build,) = [each.value for each in instructions() if each.keyword == "RUN" and "hatchling build" in each.value]
    assert build.index("pip install") < build.index('python" -m monitor.hot_loops')


def test_each_copied_path_exists_and_reaches_the_build_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:].rstrip("/") for line in ignored if line.startswith("!")]
    for each in instructions():
        if each.keyword != "COPY" or each.value.startswith("--from"):
            continue
        for source in each.value.split()[:-1]:
            assert (ROOT / source).exists()
            assert any(fnmatch(source, pattern) for pattern in kept), f".dockerignore leaves {source} out"


def test_the_image_describes_itself() -> None:
    labels = dict(pair.split("=", 1) for value in final("LABEL") for pair in shlex.split(value))
    assert {"title", "description", "licenses", "version"} == {name.rpartition(".")[2] for name in labels}
    assert all(name.startswith("org.opencontainers.image.") for name in labels)


@pytest.fixture
def health_endpoint(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server whose /healthz answers with the parametrised status; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """The test's output is not a log."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def health_check() -> list[str]:
    command: list[str] = json.loads(final("HEALTHCHECK")[0].partition("CMD ")[2])
    assert "python" == command[0]
    return command


def test_the_health_check_asks_the_default_port_unless_told_another() -> None:
    (port,) = re.findall(r"environ\.get\('MONITOR_HTTP__PORT', '(\d+)'\)", health_check()[-1])
    assert final("EXPOSE") == [port]


@pytest.mark.parametrize(("health_endpoint", "healthy"), [(200, True), (503, False)], indirect=["health_endpoint"])
def test_the_health_check_follows_healthz(health_endpoint: int, *, healthy: bool) -> None:
    command = health_check()
    environ = {**os.environ, "MONITOR_HTTP__PORT": str(health_endpoint)}
    result = subprocess.run([sys.executable, *command[1:]], env=environ, capture_output=True, timeout=30, check=False)
    assert healthy == (result.returncode == 0)
