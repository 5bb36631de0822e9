"""21: the state directory is full, read-only or damaged, state is of an unknown version; `kill -9` while it is written.

The disk is a small file system of its own. Whatever happens to it, everything but the join goes on counting, and in the
end all counters equal an independent count of what was published.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from monitor import catalogue
from monitor.simulate import demo
from monitor.topics import JOIN, STATE
from tests.e2e import topics
from tests.e2e.events import DECISIONS
from tests.e2e.independent_count import Count, count
from tests.e2e.published import Published, counts_by_topic, publish, read_topic, simulated
from tests.e2e.scrape import Scrape, difference, nonzero
from tests.e2e.worker_process import WorkerProcess
from tests.faults.conftest import Size
from tests.kafka_fixtures import require_java
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

START_MS = 1_736_164_800_000  # 2025-01-06T12:00Z
LARGE = {"message.max.bytes": str(20 * 1024 * 1024), "replica.fetch.max.bytes": str(20 * 1024 * 1024)}
INTERNAL = 2
SETTINGS = {"join.block_size": 16, "join.memory_mb": 4}
"""Small blocks and caches, so that the index is written often."""
COUNTED = {
    catalogue.DECISIONS: "decisions",
    catalogue.REVIEWS: "reviews",
    catalogue.APPEALS: "appeals",
    catalogue.REPORTS: "reports",
    catalogue.RECORDS: "records",
    catalogue.DUPLICATES: "duplicates",
}


class SmallDisk:
    """A file system in memory, mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=24m", "tmpfs")

    def fill(self) -> None:
        """Take all room that is left."""
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            for size in (65_536, 4096):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue

    def make_room(self) -> None:
        """Give it back."""
        (self.folder / "filler").unlink()

    def read_only(self, told: bool) -> None:
        """Let nobody write, or everybody again."""
        self._mount("-o", f"remount,{'ro' if told else 'rw'}")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, str(self.folder)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        small = SmallDisk(tmp_path / "disk")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs the right to mount a file system: {error}")
    yield small
    small.unmount()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    require_java()
    server = KafkaServer(tmp_path / "kafka", properties=LARGE)
    server.start()
    yield server
    server.terminate()


def test_a_state_directory_that_fails_in_every_way_loses_nothing(
    own_kafka: KafkaServer, disk: SmallDisk, tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    topics.create(own_kafka, source=2, internal=INTERNAL)
    minutes, per_minute = (200, 2000) if size == "full" else (40, 600)
    scenario = msgspec.structs.replace(demo(decisions_per_minute=per_minute, incident_minute=20), context_share=0.5)
    records = simulated(scenario, seed=21, start_ms=START_MS, minutes=minutes)
    quarters = [records[number * len(records) // 4 : (number + 1) * len(records) // 4] for number in range(4)]
    settings = {**SETTINGS, "state.directory": disk.folder / "state"}
    with WorkerProcess(own_kafka.bootstrap, tmp_path / "worker", settings=settings) as worker:
        worker.until_ready()
        feed(own_kafka, worker, quarters[:1])

        disk.fill()
        feed(own_kafka, worker, quarters[:2], sent=len(quarters[0]))
        held = worker.until(lambda: held_partitions(worker), what="the join waits for the disk")
        failures = worker.scrape().one(catalogue.STATE_FAILURES, reason="unavailable")
        disk.make_room()
        worker.until(lambda: held_partitions(worker) == 0, what="the join goes on")
        assert_exact(count([*quarters[0], *quarters[1]], refused={}), worker.until_quiet())

        publish(own_kafka.bootstrap, quarters[2])
        worker.until_counted({DECISIONS: counts_by_topic([*quarters[0], *quarters[1]])[DECISIONS] + 100})
        worker.kill()
        damage(disk.folder / "state" / "join" / "0")
        write_unknown_state(own_kafka)
        worker.start().until_ready()
        feed(own_kafka, worker, quarters, sent=sum(map(len, quarters[:3])))
        told = worker.until_quiet(within=120)
        assert_exact(count(records, refused={}), told)
        assert 1 == told.one(catalogue.STATE_FAILURES, reason="corrupt")
        assert told.total(catalogue.STATE_DISCARDED) >= 1
        assert ["0-1"] == [piece.name for piece in (disk.folder / "state" / "join" / "quarantine").iterdir()]
        assert any((disk.folder / "state" / "quarantine").iterdir())
        assert 0 == worker.terminate()

        disk.read_only(True)
        worker.start()
        assert 2 == worker.wait(within=30)
        assert f"state.directory {disk.folder / 'state'}: Read-only file system; needed is" in worker.log()
        disk.read_only(False)
        worker.start().until_ready()
        assert_exact(count(records, refused={}), worker.until_quiet())
    outcome(
        number="21",
        name="state directory full, read-only, damaged, unknown; kill -9 while written",
        events=len(records),
        faults=5,
        lost=0,
        told=f"{held:.0f} partitions of the join waited, {failures:.0f} refusals, all else went on",
    )


def feed(kafka: KafkaServer, worker: WorkerProcess, parts: list[list[Published]], *, sent: int = 0) -> None:
    """Publish what has not been sent yet and wait until all of it is counted, but for what waits for the join."""
    records = [record for part in parts for record in part]
    publish(kafka.bootstrap, records[sent:])
    worker.until_counted(counts_by_topic(records))


def held_partitions(worker: WorkerProcess) -> float:
    return worker.scrape().only(catalogue.JOIN_HELD).one(catalogue.JOIN_HELD)


def damage(index: Path) -> None:
    """Overwrite what RocksDB reads first."""
    files = list(index.glob("MANIFEST-*"))
    assert files
    for file in files:
        file.write_bytes(b"not what was here")


def write_unknown_state(kafka: KafkaServer) -> None:
    """A newer version's checkpoint of something that this one has a checkpoint of."""
    last = {read.key: read.value for read in read_topic(kafka.bootstrap, STATE, partitions=INTERNAL, expect=1)}
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    key = max(key for key, value in last.items() if key and value is not None)
    for partition in range(INTERNAL):
        producer.produce(STATE, key=key, value=b"\x93\xcd\xff\xff of a format yet to come", partition=partition)
    assert 0 == producer.flush(30)


def assert_exact(expected: Count, told: Scrape) -> None:
    for metric, counted in COUNTED.items():
        # How often a crash wrote the same into the internal topic again is nobody's number.
        actual = {labels: number for labels, number in told.counted(metric).items() if labels != (JOIN,)}
        assert [] == difference(nonzero(getattr(expected, counted)), actual), metric
    assert 0 == told.total(catalogue.ORPHANS)
    assert expected.joined > 100
