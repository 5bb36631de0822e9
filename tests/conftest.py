"""Fixtures for all tests live in plugins named for what they bring."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.kafka_fixtures", "tests.faults.kafka_nodes"]

# How long an example takes says something about the machine, which others share, and nothing about the code.
settings.register_profile("shared_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared_machine")
