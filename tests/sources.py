"""What Python makes of the text of a module that is compiled where there is a compiler."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent


def source_of(name: str) -> ModuleType:
    """A module as Python reads it, whether or not it was compiled."""
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    found = importlib.util.spec_from_file_location(f"{name.rpartition('.')[2]}_of_the_source", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
