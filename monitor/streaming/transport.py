"""The Kafka transport of our Faust app, URL scheme `moderation://`: an agent's event is a fetch of one partition.

Agents read with `stream.noack().events()`, one agent a topic, `concurrency=1`; an event's value is a `RecordBatch`, and
`event.ack()` after its effects are safe commits all offsets that the batch covers. Fold a batch into state before the
first `await`: between the two Faust may have started a rebalance. The committed offset is where processing got to, not
where reading starts: on assignment reading starts at `Batching.rewind(...)`, so records below the committed offset are
delivered again, and acknowledging them commits nothing.
"""

from __future__ import annotations

from faust.transport.drivers import aiokafka as driver

from monitor.streaming.batching import Batching, Progress
from monitor.streaming.consumer import BatchConsumer, bounded

__all__ = ["BatchProducer", "BatchTransport", "Batching", "Progress", "broker_urls"]


class BatchProducer(driver.Producer):  # type: ignore[misc]
    """Faust's producer, whose shutdown does not wait for a broker that is gone."""

    async def flush(self) -> None:
        if self.app.should_stop:
            await bounded(super().flush(), self.app.transport.batching.stop_within, self.log, "the last flush")
        else:
            await super().flush()

    async def on_stop(self) -> None:
        await bounded(super().on_stop(), self.app.transport.batching.stop_within, self.log, "stopping the producer")


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Transport of the URL scheme `moderation`; without `batching` it behaves like Faust's own."""

    Consumer = BatchConsumer
    Producer = BatchProducer

    batching = Batching()


def broker_urls(bootstrap_servers: str) -> list[str]:
    """`"a:9092,b:9092"` as Faust's setting `broker`: the scheme makes Faust take this transport.

    Raises `ValueError` when no server is named.
    """
    servers = [server.strip() for server in bootstrap_servers.split(",") if server.strip()]
    if not servers:
        raise ValueError(f"bootstrap servers: {bootstrap_servers!r} names none; expected host:port[,host:port...]")
    return [f"moderation://{server}" for server in servers]
