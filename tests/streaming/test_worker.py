"""A worker process on the transport: signals and failures."""

from __future__ import annotations

from pathlib import Path

from monitor.broker import EmbeddedBroker
from tests.streaming.apps import publish
from tests.streaming.worker import Worker, committed

TOPIC = "events"


def test_sigterm_in_mid_stream_loses_nothing_and_redelivers_only_what_rewind_asks(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    bootstrap, end = embedded_broker.bootstrap, 20_000
    embedded_broker.create_topic(TOPIC, 1)
    publish(bootstrap, TOPIC, [b"%d" % number for number in range(end)], **{"batch.num.messages": 50})
    first = Worker(bootstrap, TOPIC, tmp_path / "first", pause=0.1)
    first.until(lambda lines: len(lines) >= 10)
    assert 0 == first.stop()
    done = len(first.values())
    assert [*range(done)] == first.values()
    at = committed(bootstrap, TOPIC)
    assert 70 < at <= done < end
    assert at in {line[2] for line in first.lines()[-2:]}

    second = Worker(bootstrap, TOPIC, tmp_path / "second", rewind=70)
    second.until_at(end)
    assert 0 == second.stop()
    assert [*range(at - 70, end)] == second.values()
    assert end == committed(bootstrap, TOPIC)


def test_an_agent_that_fails_ends_the_process_and_its_batch_is_not_committed(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    publish(embedded_broker.bootstrap, TOPIC, [b"%d" % number for number in range(100)])
    worker = Worker(embedded_broker.bootstrap, TOPIC, tmp_path / "out")
    worker.until_at(100)
    publish(embedded_broker.bootstrap, TOPIC, [b"poison", b"101"])
    assert 0 != worker.process.wait(20)
    assert 100 == committed(embedded_broker.bootstrap, TOPIC)
    assert [*range(100)] == worker.values()
