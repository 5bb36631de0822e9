"""The lock files answer for pyproject.toml: every dependency pinned within its range, by version and hash alone.

Offline: this shows that the files fit together, not that an index still serves them (a fresh installation does).
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
# Frameworks of hundreds of megabytes that nothing here may pull in.
GIANTS = re.compile(
    r"^(torch.*|tensorflow.*|jax.*|nvidia-.*|transformers|xgboost|lightgbm|pyspark|ray|pyarrow|llvmlite)$"
)
ENTRY = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>.+?))?(?: \\)?$")


@dataclass(frozen=True)
class Pin:
    """One version of one package, for the platforms of its marker, with the hashes of its files."""

    name: str
    version: Version
    marker: Marker | None
    hashes: int

    @property
    def applies(self) -> bool:
        return self.marker is None or self.marker.evaluate()


@cache
def pins(lock: str) -> tuple[Pin, ...]:
    found: list[Pin] = []
    for line in (ROOT / lock).read_text().splitlines():
        if entry := ENTRY.match(line):
            marker = Marker(entry["marker"]) if entry["marker"] else None
            found.append(Pin(entry["name"], Version(entry["version"]), marker, 0))
        elif line.strip().startswith("--hash=sha256:"):
            last = found.pop()
            found.append(Pin(last.name, last.version, last.marker, last.hashes + 1))
        else:
            assert line.startswith("    #"), f"{lock}: neither a pin, a hash nor a comment: {line!r}"
    return tuple(found)


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def declared(lock: str) -> list[Requirement]:
    """What pyproject.toml asks of the environment that `lock` describes."""
    groups = project()["dependency-groups"]
    lines = {
        "requirements.lock": project()["project"]["dependencies"],
        "requirements-dev.lock": project()["project"]["dependencies"] + groups["dev"] + groups["build"],
        "requirements-build.lock": groups["build"],
    }
    return [Requirement(line) for line in lines[lock]]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_declared_dependency_is_pinned_within_its_range(lock: str) -> None:
    for requirement in declared(lock):
        versions = [pin.version for pin in pins(lock) if pin.name == canonicalize_name(requirement.name)]
        assert versions, f"{lock}: no pin for {requirement}; run `make lock`"
        outside = [str(version) for version in versions if version not in requirement.specifier]
        assert not outside, f"{lock}: {outside} is outside of {requirement}; run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_lock_names_an_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert [] == [pin.name for pin in pins(lock) if pin.hashes == 0]


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_holds_a_giant(lock: str) -> None:
    assert [] == [pin.name for pin in pins(lock) if GIANTS.match(pin.name)]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_one_environment_can_hold_all_locks(lock: str) -> None:
    development = {(pin.name, pin.version) for pin in pins("requirements-dev.lock")}
    assert set() == {(pin.name, pin.version) for pin in pins(lock)} - development


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_its_packages_need(lock: str) -> None:
    """As far as the packages are installed here: each of their requirements on this platform is pinned as well."""
    names = {pin.name for pin in pins(lock)}
    missing = []
    for pin in pins(lock):
        try:
            requirements = importlib.metadata.requires(pin.name) if pin.applies else None
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, requirements or ()):
            needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if needed and canonicalize_name(requirement.name) not in names:
                missing.append(f"{pin.name} needs {requirement}")
    assert not missing, f"{lock}: {missing}"


def test_the_build_backend_is_the_declared_one() -> None:
    backend = {Requirement(line).name: Requirement(line).specifier for line in project()["build-system"]["requires"]}
    locked = {pin.name: pin.version for pin in pins("requirements-build.lock")}
    assert all(locked[name] in specifier for name, specifier in backend.items())
