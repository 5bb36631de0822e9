"""Three Kafka nodes in KRaft mode, each broker and controller, for tests that lose one of them.

Every topic is on all three; a write counts when two have it. Nodes have the interface of `KafkaServer`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient

from tests.kafka_server import START_SECONDS, KafkaServer, create_topic
from tests.ports import free_port

NODES: Final = 3
POLL_SECONDS: Final = 0.2


class KafkaCluster:
    """Nodes 1 to 3 with their files below `directory`. `properties` and `listeners` are those of each node.

    `bootstrap` names all of them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        properties: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        advertised: Mapping[int, Mapping[str, str]] | None = None,
        heap_mb: int = 320,
    ) -> None:
        names = ("PLAINTEXT", "CONTROLLER", *(listeners or {}))
        ports = {node: {name: free_port() for name in names} for node in range(1, NODES + 1)}
        voters = ",".join(f"{node}@127.0.0.1:{own['CONTROLLER']}" for node, own in ports.items())
        self.nodes = {
            node: KafkaServer(
                directory / f"node-{node}",
                properties={
                    "node.id": str(node),
                    "controller.quorum.voters": voters,
                    **REPLICATED,
                    **_advertised(own, (advertised or {}).get(node, {})),
                    **(properties or {}),
                },
                listeners=listeners,
                ports=own,
                heap_mb=heap_mb,
            )
            for node, own in ports.items()
        }

    @property
    def bootstrap(self) -> str:
        return ",".join(node.bootstrap for node in self.nodes.values())

    def start(self, *, timeout: float = START_SECONDS) -> None:
        """Start all and wait until each answers; raises `TimeoutError` with the end of a log."""
        with ThreadPoolExecutor(NODES) as pool:
            for prepared in [pool.submit(node.prepare) for node in self.nodes.values()]:
                prepared.result()
        for node in self.nodes.values():
            node.launch()
        for node in self.nodes.values():
            node.wait(timeout)

    def terminate(self) -> None:
        """End all; their files are of no use any more, so at once."""
        for node in self.nodes.values():
            node.kill()

    def create_topic(self, name: str, *, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Create a topic on all nodes and return its name; raises `KafkaException` when it is refused."""
        return create_topic(self.bootstrap, name, partitions=partitions, replicas=NODES, config=config)

    def coordinator(self, group: str) -> int:
        """Number of the node that coordinates a consumer group."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        described = admin.describe_consumer_groups([group])[group].result(30)
        number: int = described.coordinator.id
        return number

    def until_in_sync(self, *, within: float = 90.0) -> None:
        """Wait until every partition of every topic has all its replicas in sync. AssertionError when it has not."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        deadline = time.monotonic() + within
        while behind := self._behind(admin):
            assert time.monotonic() < deadline, f"not in sync within {within:g} s: {behind[:10]}"
            time.sleep(POLL_SECONDS)

    def _behind(self, admin: AdminClient) -> list[str]:
        topics = admin.list_topics(timeout=30).topics
        return [
            f"{name}/{number}: in sync {partition.isrs}"
            for name, topic in topics.items()
            for number, partition in topic.partitions.items()
            if len(partition.isrs) < len(partition.replicas)
        ]


REPLICATED: Final[Mapping[str, str]] = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
}


def _advertised(ports: Mapping[str, int], elsewhere: Mapping[str, str]) -> dict[str, str]:
    """The property that tells clients where the listeners are, when some are reached through another address."""
    if not elsewhere:
        return {}
    places = {name: elsewhere.get(name, f"127.0.0.1:{port}") for name, port in ports.items() if name != "CONTROLLER"}
    return {"advertised.listeners": ",".join(f"{name}://{place}" for name, place in places.items())}
