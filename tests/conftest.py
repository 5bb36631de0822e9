"""Fixtures for all tests live in plugins named for what they bring."""

from itertools import groupby
from operator import attrgetter

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.kafka_fixtures", "tests.faults.kafka_nodes"]

# How long an example takes says something about the machine, which others share, and nothing about the code.
settings.register_profile("shared_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared_machine")

REAL = ("kafka", "prometheus", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that start real programs evenly: they wait most of the time, while others compute."""
    waiting: list[list[pytest.Item]] = []
    computing: list[list[pytest.Item]] = []
    for _, tests in groupby(items, key=attrgetter("path")):
        file = list(tests)
        real = any(test.get_closest_marker(name) for test in file for name in REAL)
        (waiting if real else computing).append(file)
    placed = [((place + 0.5) / len(files), file) for files in (waiting, computing) for place, file in enumerate(files)]
    items[:] = [test for _, file in sorted(placed, key=lambda told: told[0]) for test in file]
