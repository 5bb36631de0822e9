"""The repository as a whole: what its files may name, one version everywhere, commands that do what they say."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = (".ci/run", "deploy/bin/bootstrap", "deploy/bin/lock", "deploy/bin/test-programs")

# Put together here, so that this file does not name them either.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("proxy", "golang", "org"),
        ("static", "crates", "io"),
        ("deb", "debian", "org"),
        ("ghcr", "io"),
        ("docker", "io"),
        ("quay", "io"),
        ("pkg", "dev"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(work|root|workspace|Users/\w+|home/(?!\$)\w+)(?=[/\s'\"`)]|$)", re.MULTILINE)


@cache
def texts() -> dict[str, str]:
    """Every text file that is committed or would be."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are the repository's")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    found = {}
    for name in sorted(filter(None, listed)):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            found[name] = content.decode("utf-8", "replace")
    return found


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
        for name, text in texts().items()
        for match in pattern.finditer(text)
    ]


def test_no_file_names_a_package_registry() -> None:
    assert [] == places(re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, REGISTRY_HOSTS)) + r")(?![\w-])"))


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [] == places(MACHINE_PATH)


@pytest.mark.parametrize("path", ["/" + "root/x", "cd /" + "work", "'/" + "home/ada/x'"])
def test_a_path_of_one_machine_is_recognised(path: str) -> None:
    assert MACHINE_PATH.search(path)


def test_the_top_level_is_as_designed() -> None:
    top = {name.split("/")[0] for name in texts()}
    folders = {"monitor", "detectors", "deploy", "grafana", "tests", ".ci"}
    files = {"Dockerfile", "Makefile", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "CHANGELOG.md"}
    locks = {"requirements.lock", "requirements-dev.lock", "requirements-build.lock"}
    assert set() == top - folders - files - locks - {".gitignore", ".dockerignore"}


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version == importlib.metadata.version("moderation-monitor")
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest.group(1).startswith(version)


def test_the_licence_is_the_declared_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Apache-2.0" == project["license"]
    assert ["LICENSE"] == project["license-files"]
    head = (ROOT / "LICENSE").read_text().split("\n", 4)
    assert ["Apache License", "Version 2.0, January 2004"] == [line.strip() for line in head if line.strip()][:2]


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_can_be_run_and_parsed(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert (ROOT / script).read_text().startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)


def test_make_help_lists_every_target_for_people() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  make ([a-z-]+) ", helped, re.MULTILINE))
    assert set(phony.group(1).split()) - {"test-programs"} == listed


def test_ci_runs_the_commands_that_people_run() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "make lint" in script
    assert "make test" in script


def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "mktemp", "rm", "env"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    old = programs / "python3"
    old.write_text("#!/usr/bin/env bash\n[[ $1 == --version ]] && echo Python 3.9.2 && exit\nexit 1\n")
    old.chmod(0o755)
    copy = tmp_path / "checkout" / "deploy" / "bin" / "bootstrap"
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/bin/bootstrap", copy)

    result = subprocess.run(
        [copy, "requirements.lock"], env={"PATH": str(programs)}, capture_output=True, text=True, check=False
    )

    assert 1 == result.returncode
    assert "Python 3.11 or newer is needed" in result.stderr
    assert "Python 3.9.2" in result.stderr
    assert "make PYTHON=" in result.stderr
