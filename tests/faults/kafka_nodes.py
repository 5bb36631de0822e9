"""A Kafka for one test, ended with it: a worker's topics have fixed names and cannot be shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import LARGE
from tests.kafka_cluster import KafkaCluster
from tests.kafka_fixtures import require_java
from tests.kafka_server import KafkaServer


@contextmanager
def one_node(directory: Path) -> Iterator[KafkaServer]:
    """A node of its own."""
    require_java()
    server = KafkaServer(directory, properties=LARGE)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def fault_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A node for one test, which may kill it."""
    with one_node(tmp_path / "kafka") as server:
        yield server


@contextmanager
def three_nodes(directory: Path, **options: Any) -> Iterator[KafkaCluster]:
    """Three nodes of its own; `options` are those of `KafkaCluster`."""
    require_java()
    cluster = KafkaCluster(directory, properties=LARGE, **options)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.terminate()
