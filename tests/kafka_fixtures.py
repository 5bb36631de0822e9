"""Fixtures `embedded_broker`, fresh for each test, and `kafka`, one real node a session: use topics of your own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from monitor.broker import EmbeddedBroker
from tests.kafka_server import KafkaServer


def require_java() -> None:
    """Skip a test that needs real Kafka where Java or Maven is missing; fail it where CI is set."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if not missing:
        return
    message = f"real Kafka needs {' and '.join(missing)}; without them: pytest -m 'not kafka'"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    require_java()
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.terminate()
