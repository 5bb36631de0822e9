"""`own_kafka`: a real Kafka node for one module, because a worker's topics have fixed names and cannot be shared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kafka_fixtures import require_java
from tests.kafka_server import KafkaServer

LARGE: dict[str, str] = {"message.max.bytes": str(20 * 1024 * 1024), "replica.fetch.max.bytes": str(20 * 1024 * 1024)}


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    require_java()
    server = KafkaServer(tmp_path_factory.mktemp("kafka"), properties=LARGE)
    server.start()
    yield server
    server.terminate()
