"""Commands on a real Kafka: topics, simulated traffic into them, and ranges of them read back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from monitor.kafka_range import TopicRange
from monitor.service.outlet import MAX_RECORD_BYTES
from monitor.topics import BLOCKS, DECISIONS, JOIN, SOURCES, STATE
from tests.commands.calls import call
from tests.kafka_fixtures import require_java
from tests.kafka_server import KafkaServer
from tests.recount import lines

pytestmark = pytest.mark.kafka

INTERNAL = {BLOCKS: 2, STATE: 2, JOIN: 4}
TOPICS = {*(source.topic for source in SOURCES), *(source.dead_letters for source in SOURCES), *INTERNAL}
START = "2026-01-05T00:00:00Z"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KafkaServer]:
    """A node of its own: the names of the topics are fixed."""
    require_java()
    node = KafkaServer(tmp_path / "kafka")
    node.start()
    yield node
    node.terminate()


def environ(server: KafkaServer, **more: str) -> dict[str, str]:
    return {"MONITOR_KAFKA__BOOTSTRAP_SERVERS": server.bootstrap, **more}


def partitions(server: KafkaServer) -> dict[str, int]:
    topics = AdminClient({"bootstrap.servers": server.bootstrap}).list_topics(timeout=10).topics
    return {name: len(topic.partitions) for name, topic in topics.items() if name in TOPICS}


def committed(server: KafkaServer) -> int:
    """Where the first transaction begins that is neither committed nor aborted; the end if there is none."""
    with closing(Consumer({"bootstrap.servers": server.bootstrap, "group.id": "looks"})) as consumer:
        return int(consumer.get_watermark_offsets(TopicPartition(DECISIONS.topic, 0), timeout=10)[1])


def config(server: KafkaServer, topic: str) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    return {name: entry.value for name, entry in described.result(10).items()}


def test_topics_are_made_once_and_then_only_checked(server: KafkaServer) -> None:
    first = call(
        "topics",
        "create",
        environ=environ(server, MONITOR_TOPICS__SOURCE_PARTITIONS="3", MONITOR_TOPICS__INTERNAL_PARTITIONS="2"),
    )
    assert 0 == first.exit_code, first.output
    assert len(TOPICS) == first.stdout.count("created")
    assert {name: INTERNAL.get(name, 3) for name in TOPICS} == partitions(server)
    assert "LogAppendTime" == config(server, JOIN)["message.timestamp.type"]
    assert "compact" == config(server, STATE)["cleanup.policy"]
    assert ("delete", str(48 * 3_600_000)) == tuple(
        config(server, BLOCKS)[name] for name in ("cleanup.policy", "retention.ms")
    )
    assert {str(MAX_RECORD_BYTES)} == {config(server, name)["max.message.bytes"] for name in (BLOCKS, STATE)}

    again = call("topics", "create", environ=environ(server))
    assert 0 == again.exit_code, again.output
    assert len(TOPICS) == again.stdout.count("exists")


def test_topics_that_do_not_fit_are_told_and_left_alone(server: KafkaServer) -> None:
    server.create_topic(BLOCKS, partitions=3, config={"max.message.bytes": str(MAX_RECORD_BYTES)})
    server.create_topic(STATE, partitions=2)
    result = call("topics", "create", environ=environ(server))
    assert 1 == result.exit_code
    assert f"wrong    {STATE} (2 partitions): 2 partitions, expected 3, as {BLOCKS} has" in result.stdout
    assert "cleanup.policy is delete, expected compact" in result.stdout
    assert f"exists   {BLOCKS} (3 partitions)" in result.stdout
    assert 2 == partitions(server)[STATE]
    assert len(TOPICS) == len(partitions(server))


def test_a_missing_state_topic_gets_as_many_partitions_as_blocks(server: KafkaServer) -> None:
    server.create_topic(BLOCKS, partitions=3, config={"max.message.bytes": str(MAX_RECORD_BYTES)})
    assert 0 == call("topics", "create", environ=environ(server)).exit_code
    assert 3 == partitions(server)[STATE]


def test_a_replay_of_topics_ends_with_the_numbers_of_the_files(server: KafkaServer, tmp_path: Path) -> None:
    traffic = ("simulate", "--scenario", "quiet", "--rate", 1200, "--minutes", 6, "--start", START)
    assert 0 == call("topics", "create", environ=environ(server)).exit_code
    assert 0 == call(*traffic, "--output", tmp_path / "in").exit_code
    sent = call(*traffic, "--speed", 0, environ=environ(server))
    assert 0 == sent.exit_code, sent.output
    given = [part for name in ("decisions", "reviews", "appeals", "reports", "launches")
             for part in (f"--{name}", tmp_path / "in" / f"{name}.jsonl")]  # fmt: skip
    assert 0 == call("replay", *given, "--output", tmp_path / "files").exit_code
    whole = call("replay", "--topics", "--output", tmp_path / "topics", environ=environ(server))
    assert 0 == whole.exit_code, whole.output

    def counters(folder: str) -> set[str]:
        text = (tmp_path / folder / "metrics.prom").read_text().splitlines()
        return {line for line in text if line.startswith("moderation_") and "drift_detected" not in line}

    assert counters("files") == counters("topics")

    part = ("--since", "2026-01-05T00:02:00Z", "--until", "2026-01-05T00:04:00Z")
    assert 0 == call("replay", *part, "--output", tmp_path / "part", environ=environ(server)).exit_code
    told = lines(tmp_path / "part" / "readings.jsonl")
    expected = sum(
        "2026-01-05T00:02" <= event["occurred_at"] < "2026-01-05T00:04"
        for event in lines(tmp_path / "in" / "decisions.jsonl")
    )
    last = [line for line in told if line["at"] == told[-1]["at"] and line["quantity"] == "volume"]
    assert expected == sum(line["value"] for line in last if (line["segment"], line["window"]) == ("all", "24h"))

    pinned = ("reference", "--minimum-decisions", 1, "--output")
    assert 0 == call(*pinned, tmp_path / "a.json", "--topics", environ=environ(server)).exit_code
    assert 0 == call(*pinned, tmp_path / "b.json", "--decisions", tmp_path / "in" / "decisions.jsonl").exit_code
    a, b = ((tmp_path / name).read_text().splitlines() for name in ("a.json", "b.json"))
    assert b == [line if '"source"' not in line or "moderation.decisions" not in line else b[2] for line in a]


def test_a_range_leaves_out_aborted_transactions_and_ends(server: KafkaServer) -> None:
    server.create_topic(DECISIONS.topic, partitions=1)
    producer = Producer({"bootstrap.servers": server.bootstrap, "transactional.id": "t", "log_level": 0})
    producer.init_transactions()
    for number, finish in enumerate((producer.commit_transaction, producer.abort_transaction)):
        producer.begin_transaction()
        for _ in range(3):
            producer.produce(DECISIONS.topic, value=b"%d" % number)
        assert 0 == producer.flush(10)  # aborting would throw away what was not sent yet
        finish()
    # The coordinator writes the markers that end a transaction when it has answered the producer.
    deadline = time.monotonic() + 30
    while (size := committed(server)) < 8:  # two times three records and a marker
        assert time.monotonic() < deadline, f"{size} of 8 offsets are committed or aborted"
    with TopicRange(server.bootstrap, (DECISIONS,)) as found:
        (log,) = found.logs
        for _ in range(2):
            assert [b"0"] * 3 == [value for batch in log.batches() for value in batch.values]
            assert log.position == log.size


def test_missing_topics_are_named(server: KafkaServer, tmp_path: Path) -> None:
    server.create_topic(DECISIONS.topic)
    result = call("replay", "--topics", "--output", tmp_path / "out", environ=environ(server))
    assert 2 == result.exit_code
    assert "there is no topic moderation.reviews" in result.stderr
    assert {DECISIONS.topic: 1} == partitions(server)
