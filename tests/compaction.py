"""A compacted topic of a real broker that has come to rest, so that two who read it one after the other see the same.

Kafka's cleaner works in the background for as long as a topic is compacted, and in passes: a while without a change
does not mean that it is done.
"""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from tests.faults.read_back import records_of

POLL_SECONDS: Final = 0.5
REST_SECONDS: Final = 1.0
"""The broker learns of a changed setting, and gives up the pass it is in, milliseconds after the controller has agreed.
What two readings so far apart agree on after that is what stays."""


def compacted(bootstrap: str, topic: str, *, published: int, holes: int, within: float = 120.0) -> int:
    """Wait until more than `holes` of the `published` records are gone, stop compaction; how many are gone for good.

    The topic keeps what it has from then on, unless its retention removes it. AssertionError when too few go in time.
    """
    deadline = time.monotonic() + within
    while (gone := published - _records(bootstrap, topic)) <= holes:
        assert time.monotonic() < deadline, f"{topic}: {gone} records are gone after {within:g} s"
        time.sleep(POLL_SECONDS)
    _stop_compaction(bootstrap, topic)
    while True:
        time.sleep(REST_SECONDS)
        before, gone = gone, published - _records(bootstrap, topic)
        if gone == before:
            return gone
        assert time.monotonic() < deadline, f"{topic}: compaction goes on after {within:g} s"


def _records(bootstrap: str, topic: str) -> int:
    return sum(1 for _ in records_of(bootstrap, [topic]))


def _stop_compaction(bootstrap: str, topic: str) -> None:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    policy = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    resource.add_incremental_config(policy)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(timeout=30)
