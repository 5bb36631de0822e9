"""The examples in the docstrings run, and every public function and every detector has one."""

import doctest
import importlib
import inspect
import pkgutil
import typing
from types import ModuleType

import pytest

import detectors

MODULES = sorted(module.name for module in pkgutil.walk_packages(detectors.__path__, prefix="detectors."))
FAMILIES = [name for name in MODULES if hasattr(importlib.import_module(name), "__path__")]


def public(module: ModuleType) -> list[object]:
    return [getattr(module, name) for name in module.__all__]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_print(name: str) -> None:
    assert 0 == doctest.testmod(importlib.import_module(name)).failed


@pytest.mark.parametrize("name", ["detectors", *FAMILIES])
def test_every_public_function_and_every_detector_shows_an_example(name: str) -> None:
    functions = [value for value in public(importlib.import_module(name)) if inspect.isfunction(value)]
    shown = [value for value in functions if value is not detectors.save]  # shown together with `resume`

    assert [] == [value.__name__ for value in shown if ">>>" not in (value.__doc__ or "")]


def test_every_detector_shows_an_example() -> None:
    kinds = typing.get_args(detectors.AnyDetector)

    assert [] == [kind.__name__ for kind in kinds if ">>>" not in (kind.__doc__ or "")]
