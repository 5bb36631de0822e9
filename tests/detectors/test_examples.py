"""The examples in the docstrings run, and every public function has one."""

import doctest
import importlib
import inspect
import pkgutil
from typing import Any

import pytest

import detectors

MODULES = sorted(module.name for module in pkgutil.iter_modules(detectors.__path__, prefix="detectors."))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_print(name: str) -> None:
    assert 0 == doctest.testmod(importlib.import_module(name)).failed


def test_every_public_function_and_every_detector_shows_an_example() -> None:
    public = [getattr(detectors, name) for name in detectors.__all__]
    functions = [value for value in public if inspect.isfunction(value) and value is not detectors.save]
    shown: list[Any] = [*functions, detectors.Adwin, detectors.PageHinkley]

    assert [] == [value.__name__ for value in shown if ">>>" not in (value.__doc__ or "")]
