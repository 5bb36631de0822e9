"""The topics of a worker on a broker of a test. Nothing expires: simulated times lie in the past."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.broker import EmbeddedBroker
from monitor.topics import BLOCKS, JOIN, SOURCES, STATE
from tests.kafka_cluster import KafkaCluster
from tests.kafka_server import KafkaServer

FOR_EVER = {"retention.ms": "-1", "max.message.bytes": str(16 * 1024 * 1024)}


def numbers(*, source: int, internal: int) -> dict[str, int]:
    """Number of partitions of every topic that a worker needs."""
    sources = {entry.topic: source for entry in SOURCES} | {entry.dead_letters: 1 for entry in SOURCES}
    return sources | {JOIN: internal, BLOCKS: internal, STATE: internal}


def create(
    broker: KafkaServer | KafkaCluster | EmbeddedBroker,
    *,
    source: int = 2,
    internal: int = 2,
    config: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Create every topic that a worker needs; `config` are further settings by topic, for a real broker."""
    for name, partitions in numbers(source=source, internal=internal).items():
        if isinstance(broker, EmbeddedBroker):
            broker.create_topic(name, partitions)
        else:
            compact = {"cleanup.policy": "compact"} if name == STATE else {}
            broker.create_topic(
                name, partitions=partitions, config=FOR_EVER | compact | dict((config or {}).get(name, {}))
            )
