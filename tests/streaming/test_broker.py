"""The embedded broker keeps what its docstring says."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from monitor.broker import EmbeddedBroker


def test_topics_have_the_partitions_that_were_asked_for() -> None:
    with EmbeddedBroker({"one": 1, "many": 12}) as broker:
        broker.create_topic("later", 3)
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        topics = admin.list_topics(timeout=10).topics
        assert {"one": 1, "many": 12, "later": 3} == {name: len(topic.partitions) for name, topic in topics.items()}
        with pytest.raises(ValueError, match="cannot create 'one'"):
            broker.create_topic("one", 1)


def test_two_brokers_live_side_by_side() -> None:
    with EmbeddedBroker({"a": 1}) as first, EmbeddedBroker({"b": 1}) as second:
        for broker, topic in ((first, "a"), (second, "b")):
            admin = AdminClient({"bootstrap.servers": broker.bootstrap})
            assert [topic] == [*admin.list_topics(timeout=10).topics]


def test_outside_the_with_block_it_says_so() -> None:
    broker = EmbeddedBroker()
    with pytest.raises(RuntimeError, match="use it as a context manager"):
        _ = broker.bootstrap


def test_it_goes_down_and_comes_back_with_its_records() -> None:
    with EmbeddedBroker({"t": 1}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        producer.produce("t", b"kept", partition=0)
        assert producer.flush(10) == 0
        address = broker.bootstrap
        broker.go_down()
        with pytest.raises(KafkaException):
            AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=0.5)
        broker.come_up()
        reader = Consumer({"bootstrap.servers": address, "group.id": "g"})
        reader.assign([TopicPartition("t", 0, 0)])
        message = reader.poll(10)
        reader.close()
        assert message is not None
        assert b"kept" == message.value()
