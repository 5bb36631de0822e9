"""What is compiled is there, and what is not is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hatch_build
from monitor import hot_loops

ROOT = Path(__file__).parent.parent
WITHOUT_ONE = """
import runpy, sys
sys.modules["monitor.scan"] = None  # importing it raises ImportError, as where it was not compiled
runpy.run_module("monitor.hot_loops", run_name="__main__")
"""


def test_all_were_compiled_when_the_package_was_installed() -> None:
    assert {} == hot_loops.missing(), "install a C compiler (gcc), then `make clean setup`"


def test_all_sources_are_named() -> None:
    sources = [source.with_suffix("") for source in hatch_build.hot_loops(ROOT)]
    assert sorted(".".join(source.parts) for source in sources) == sorted(hot_loops.MODULES)


def test_one_that_was_not_compiled_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_loops, "MODULES", ("monitor.scan", "monitor.streaming.no_such"))
    assert {"monitor.streaming.no_such"} == hot_loops.missing().keys()


def test_one_of_which_only_the_source_is_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_loops, "MODULES", ("monitor.bounds",))
    assert {"monitor.bounds": f"only its source is there, {ROOT / 'monitor' / 'bounds.py'}"} == hot_loops.missing()


def test_asked_as_a_program_it_says_so_by_its_exit() -> None:
    told = subprocess.run([sys.executable, "-m", "monitor.hot_loops"], capture_output=True, text=True, check=False)
    assert (0, "", "") == (told.returncode, told.stdout, told.stderr)
    told = subprocess.run([sys.executable, "-c", WITHOUT_ONE], capture_output=True, text=True, check=False)
    assert 1 == told.returncode
    assert told.stderr.startswith("monitor.scan is not compiled: ")
