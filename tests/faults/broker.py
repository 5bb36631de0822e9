"""`fault_kafka`: a real Kafka node for one test, which may kill it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka_fixtures import require_java
from tests.kafka_server import KafkaServer

LARGE = {"message.max.bytes": str(20 * 1024 * 1024), "replica.fetch.max.bytes": str(20 * 1024 * 1024)}


@pytest.fixture
def fault_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    require_java()
    server = KafkaServer(tmp_path / "kafka", properties=LARGE)
    server.start()
    yield server
    server.kill()
