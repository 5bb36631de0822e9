"""A real Kafka for a benchmark, with decisions in it that several readers read one after the other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from confluent_kafka.admin import AdminClient

from monitor.topics import BLOCKS, JOIN, SOURCES, STATE
from tests.bench.decisions import Decisions, Publisher, spread_over
from tests.e2e.conftest import LARGE
from tests.e2e.topics import FOR_EVER
from tests.kafka_server import KafkaServer

DELETED_WITHIN = 30.0


class Broker:
    """One Kafka node; `sizes` are the decisions in each partition."""

    def __init__(self, server: KafkaServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.sizes: Mapping[int, int] = {}
        self._internal = 0
        self._config: Mapping[str, str] = FOR_EVER
        self._runs = 0

    @property
    def bootstrap(self) -> str:
        return self.server.bootstrap

    @property
    def decisions(self) -> int:
        """Decisions in the topic."""
        return sum(self.sizes.values())

    def create_topics(
        self, *, partitions: int, internal: int, config: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Create every topic that a worker needs; `config` is that of the topics that grow."""
        self._config = {**FOR_EVER, **config}
        for source in SOURCES:
            self.server.create_topic(source.topic, partitions=partitions, config=self._config)
            self.server.create_topic(source.dead_letters, partitions=1, config=self._config)
        self._internal = internal
        self._create_internal()

    def fill(self, decisions: Decisions, *, total: int, partitions: int, compression: str) -> float:
        """Publish decisions over all partitions in turn; the mean size of a value in bytes."""
        publisher = Publisher(self.bootstrap, compression=compression)
        size = 0
        for partition, value in spread_over(partitions, decisions, total=total):
            publisher.publish(partition, value)
            size += len(value)
        publisher.flush()
        self.sizes = {number: len(range(number, total, partitions)) for number in range(partitions)}
        return size / total

    def forget_results(self) -> None:
        """Make the topics that a worker writes anew, so that the next one starts from nothing."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.delete_topics([JOIN, BLOCKS, STATE]).values():
            done.result(30)
        deadline = time.monotonic() + DELETED_WITHIN
        while admin.list_topics(timeout=10).topics.keys() & {JOIN, BLOCKS, STATE}:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{JOIN}, {BLOCKS}, {STATE}: not deleted within {DELETED_WITHIN:g} s")
            time.sleep(0.1)
        self._create_internal()

    def run(self) -> tuple[str, Path]:
        """A name and a folder that no run before had."""
        self._runs += 1
        return f"run-{self._runs}", self.directory / f"run-{self._runs}"

    def _create_internal(self) -> None:
        for name in (JOIN, BLOCKS, STATE):
            compact = {"cleanup.policy": "compact"} if name == STATE else {}
            self.server.create_topic(name, partitions=self._internal, config={**self._config, **compact})


@contextmanager
def running_broker(*, properties: Mapping[str, str] = MappingProxyType({})) -> Iterator[Broker]:
    """A broker that ends, with all its files, when the block does. `properties` are added to its configuration."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        server = KafkaServer(Path(folder) / "kafka", properties={**LARGE, **properties})
        server.start()
        try:
            yield Broker(server, Path(folder))
        finally:
            server.terminate()
