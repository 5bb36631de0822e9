"""The real Kafka that the fixtures start."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka


def test_records_survive_kill_and_restart_on_the_same_port(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path / "node")
    server.start()
    try:
        topic = server.create_topic("kept")
        producer = Producer({"bootstrap.servers": server.bootstrap, "acks": "all"})
        producer.produce(topic, b"before")
        assert producer.flush(20) == 0
        address = server.bootstrap
        server.kill()
        assert not server.running
        server.start()
        assert address == server.bootstrap
        reader = Consumer({"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"})
        reader.subscribe([topic])
        message = reader.poll(30)
        reader.close()
        assert message is not None
        assert message.value() == b"before"
    finally:
        server.terminate()
    assert not server.running
