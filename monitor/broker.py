"""Embedded Kafka-protocol broker for the demo and for tests: librdkafka's own, out of the confluent-kafka wheel.

It is no Kafka: it keeps about 5 MB a partition and then drops the oldest records, so consume while you produce; nothing
survives the process; topics cannot be created over the wire (name them here; others appear on first use with four
partitions); a consumer group of several members often fails to form, and one that was left is joined again only after
its session timeout; there are no access rights, no TLS, no compaction, and transactions are not realistic.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from importlib import metadata
from types import TracebackType
from typing import Any, Self

KEPT_BYTES = 5 * 1024 * 1024
"""What is kept of a partition at most; the oldest records go first."""

_PRODUCER = 0  # enum rd_kafka_type_t
_NODE = 1  # the first broker's id


class EmbeddedBroker:
    """Context manager around a broker on a free port of the loopback; `bootstrap` is its `host:port`.

    `topics` maps topics to numbers of partitions. `join_delay` is how long a new consumer group waits for more members
    (seconds). With several `nodes`, numbered from 1, `bootstrap` names them all, joined by commas. Raises
    `RuntimeError` when confluent-kafka was not installed from a wheel that brings librdkafka.
    """

    def __init__(self, topics: Mapping[str, int] | None = None, *, join_delay: float = 0.1, nodes: int = 1) -> None:
        self._topics = dict(topics or {})
        self._nodes = nodes
        self._join_delay = join_delay
        self._library: Any = None
        self._client: int | None = None
        self._cluster: int | None = None

    @property
    def bootstrap(self) -> str:
        """Address for `bootstrap.servers`."""
        cluster = self._running()
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(cluster)
        return address.decode()

    def __enter__(self) -> Self:
        self._library = _librdkafka()
        reason = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(settings, b"log_level", b"2", None, 0)
        self._client = self._library.rd_kafka_new(_PRODUCER, settings, reason, len(reason))
        if not self._client:
            raise RuntimeError(f"embedded broker: librdkafka gave no client: {reason.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, self._nodes)
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, int(1000 * self._join_delay))
        for topic, partitions in self._topics.items():
            self.create_topic(topic, partitions)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        cluster, self._cluster = self._cluster, None
        self._library.rd_kafka_mock_cluster_destroy(cluster)
        self._library.rd_kafka_destroy(self._client)

    def create_topic(self, topic: str, partitions: int) -> None:
        """Create a topic; raises `ValueError` when it exists or the number of partitions is refused."""
        cluster = self._running()
        if self._library.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, 1):
            raise ValueError(f"embedded broker: cannot create {topic!r} with {partitions} partitions, or it exists")

    def truncate(self, topic: str, partition: int, *, before: int) -> None:
        """Delete the records of a partition below an offset, as retention does."""
        cluster = self._running()
        if self._library.rd_kafka_mock_partition_delete_records(cluster, topic.encode(), partition, before):
            raise ValueError(f"embedded broker: cannot truncate {topic!r}[{partition}] before offset {before}")

    def go_down(self, node: int = _NODE) -> None:
        """Close all connections to a node and accept none, until `come_up`; records and groups are kept."""
        cluster = self._running()
        self._library.rd_kafka_mock_broker_set_down(cluster, node)

    def come_up(self, node: int = _NODE) -> None:
        """Accept connections again, on the same port."""
        cluster = self._running()
        self._library.rd_kafka_mock_broker_set_up(cluster, node)

    def _running(self) -> int:
        if self._cluster is None:
            raise RuntimeError("embedded broker: not running; use it as a context manager")
        return self._cluster


def _librdkafka() -> Any:
    """The library with the signatures we use. Opening it again gives what confluent-kafka itself has loaded."""
    files = metadata.files("confluent-kafka") or []
    found = next((file for file in files if file.name.startswith("librdkafka")), None)
    if found is None:
        raise RuntimeError("embedded broker: confluent-kafka brings no librdkafka here; install its wheel from PyPI")
    library = ctypes.CDLL(str(found.locate()))
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("rd_kafka_conf_new", handle, []),
        ("rd_kafka_conf_set", number, [handle, text, text, text, ctypes.c_size_t]),
        ("rd_kafka_new", handle, [number, handle, text, ctypes.c_size_t]),
        ("rd_kafka_destroy", None, [handle]),
        ("rd_kafka_mock_cluster_new", handle, [handle, number]),
        ("rd_kafka_mock_cluster_destroy", None, [handle]),
        ("rd_kafka_mock_cluster_bootstraps", text, [handle]),
        ("rd_kafka_mock_topic_create", number, [handle, text, number, number]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [handle, ctypes.c_int32]),
        ("rd_kafka_mock_partition_delete_records", number, [handle, text, ctypes.c_int32, ctypes.c_int64]),
        ("rd_kafka_mock_broker_set_down", number, [handle, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_up", number, [handle, ctypes.c_int32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
