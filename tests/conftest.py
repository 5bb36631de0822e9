"""Fixtures for all tests live in plugins named for what they bring."""

pytest_plugins = ["tests.kafka_fixtures", "tests.faults.kafka_nodes"]
