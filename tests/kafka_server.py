"""A real Apache Kafka, one node in KRaft mode, for tests: fetched with Maven once, then started from a cache.

`kill` is `kill -9`; `start` after it comes back on the same port with the same data.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tests.ports import free_port

DEPLOY = Path(__file__).parent.parent / "deploy" / "kafka"


# Deadlines end a test that hangs: machines that build share their cores, and a JVM starts slowly there.
START_SECONDS = 180.0
STOP_SECONDS = 60.0
TOPIC_SECONDS = 60.0

FORMATTED: dict[frozenset[tuple[str, str]], bytes] = {}
"""Records that a formatted storage begins with, by the users in it."""
FORMATTING = threading.Lock()


class KafkaServer:
    """One Kafka node with its files in `directory`; `bootstrap` is its `host:port`, `log` the file it logs to.

    `properties` are added to its configuration and win. `listeners` maps names of further listeners to their security
    protocol; `address` gives where they are, on `ports` (by name of the listener) or free ones. `users` (name to
    password) may log in with SCRAM.
    """

    def __init__(
        self,
        directory: Path,
        *,
        properties: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        ports: Mapping[str, int] | None = None,
        heap_mb: int = 512,
    ) -> None:
        self.directory = directory
        self.log = directory / "kafka.log"
        self._protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **(listeners or {})}
        self._ports = {name: (ports or {}).get(name) or free_port() for name in self._protocols}
        self._heap_mb = heap_mb
        self._properties = dict(properties or {})
        self._users = dict(users or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return self.address("PLAINTEXT")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def address(self, listener: str) -> str:
        """`host:port` of a listener."""
        return f"127.0.0.1:{self._ports[listener]}"

    def start(self, *, timeout: float = START_SECONDS) -> None:
        """Start and wait until it answers; raises `TimeoutError` with the end of its log when it does not."""
        self.prepare()
        self.launch()
        self.wait(timeout)

    def prepare(self) -> None:
        """Write its configuration and format its storage, if that has not been done."""
        if not self._settings_file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            lines = "".join(f"{name}={value}\n" for name, value in self._configuration().items())
            self._settings_file.write_text(lines)
            self._format()

    def launch(self) -> None:
        """Start without waiting. It ends with the thread that calls this."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(fetched_jars(), "kafka.Kafka", str(self._settings_file)),
                stdout=log,
                stderr=log,
                cwd=self.directory,
                preexec_fn=end_with_parent,
            )

    def wait(self, timeout: float) -> None:
        """Wait until it answers; raises `TimeoutError` with the end of its log when it does not."""
        deadline = time.monotonic() + timeout
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
        while time.monotonic() < deadline and self.running:
            with contextlib.suppress(KafkaException):
                if admin.list_topics(timeout=0.5).brokers:
                    return
        reason = "ended" if not self.running else f"does not answer after {timeout:g} s"
        raise TimeoutError(f"kafka on {self.bootstrap} {reason}:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """End it at once, as `kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self, *, timeout: float = STOP_SECONDS) -> None:
        """Ask it to stop, then wait; kill it when `timeout` seconds were not enough."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()

    def create_topic(self, name: str, *, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Create a topic and return its name; raises `KafkaException` when it is refused."""
        return create_topic(self.bootstrap, name, partitions=partitions, replicas=1, config=config)

    @property
    def _settings_file(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _configuration(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.address('CONTROLLER')}",
            "listeners": ",".join(f"{name}://{self.address(name)}" for name in self._ports),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in self._protocols.items()),
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self._data),
            "num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "broker.session.timeout.ms": "6000",  # a restarted node waits for its former self to expire
            "broker.heartbeat.interval.ms": "500",
            "producer.id.expiration.ms": str(2**31 - 1),  # counted from a record's own time, which tests simulate
            "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
            "log.cleaner.backoff.ms": "200",
        } | self._properties

    def _command(self, jars: Path, *arguments: str) -> list[str]:
        return [
            "java", f"-Xmx{self._heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={DEPLOY / 'log4j2.properties'}", "-cp", f"{jars}/*", *arguments,
        ]  # fmt: skip

    def _format(self) -> None:
        """Kafka's own tool formats the first storage of a process: that takes seconds, others differ in ids only."""
        users = frozenset(self._users.items())
        with FORMATTING:
            if users not in FORMATTED:
                self._run_storage_tool(fetched_jars(), self._settings_file)
                FORMATTED[users] = (self._data / "bootstrap.checkpoint").read_bytes()
                return
        self._data.mkdir()
        (self._data / "bootstrap.checkpoint").write_bytes(FORMATTED[users])
        own = {
            "version": "1",
            "cluster.id": CLUSTER,
            "node.id": self._configuration()["node.id"],
            "directory.id": base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode(),
        }
        (self._data / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in own.items()))

    def _run_storage_tool(self, jars: Path, configuration: Path) -> None:
        arguments = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(configuration)]
        for name, password in self._users.items():
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                arguments += ["--add-scram", f"{mechanism}=[name={name},password={password}]"]
        done = subprocess.run(self._command(jars, *arguments), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"kafka: format ended with {done.returncode}: {done.stderr}{done.stdout}")


def create_topic(
    bootstrap: str, name: str, *, partitions: int, replicas: int, config: Mapping[str, str] | None = None
) -> str:
    """Create a topic, wait until it can be read and written, and return its name.

    Raises `KafkaException` when it is refused, `TimeoutError` when it has no leaders in time.
    """
    topic = NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=dict(config or {}))
    admin = AdminClient({"bootstrap.servers": bootstrap})
    deadline = time.monotonic() + TOPIC_SECONDS
    while not _created(admin, topic):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name}: too few nodes for {replicas} replicas within {TOPIC_SECONDS:g} s")
        time.sleep(0.2)
    while not _has_leaders(admin, name, partitions):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name}: no leaders for all of {partitions} partitions within {TOPIC_SECONDS:g} s")
        time.sleep(0.02)
    return name


def _created(admin: AdminClient, topic: NewTopic) -> bool:
    """False while too few nodes are up: on a busy machine one may miss its heartbeats for a moment."""
    (created,) = admin.create_topics([topic]).values()
    try:
        created.result(TOPIC_SECONDS)
    except KafkaException as refused:
        if refused.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR:
            raise
        return False
    return True


def _has_leaders(admin: AdminClient, name: str, partitions: int) -> bool:
    """Whether brokers tell clients the leaders of a topic, which they do a moment after the controller made it."""
    known = admin.list_topics(timeout=30).topics.get(name)
    led = [] if known is None else [at for at in known.partitions.values() if at.error is None and at.leader >= 0]
    return len(led) == partitions


CLUSTER = "moderation-monitor-tst"  # 22 characters, as a cluster id has


def end_with_parent() -> None:
    """As `preexec_fn`: a test run that fails or is killed leaves no process behind (PR_SET_PDEATHSIG, Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def fetched_jars() -> Path:
    """Directory with Kafka's jars, fetched with Maven when the cache has none of the version that the POM names."""
    pom = DEPLOY / "pom.xml"
    found = re.search(r"<kafka\.version>(.+)</kafka\.version>", pom.read_text())
    if found is None:
        raise RuntimeError(f"{pom}: no <kafka.version>")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moderation-monitor"
    jars = cache / f"kafka-{found[1]}"
    if jars.is_dir():
        return jars
    cache.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="kafka-", dir=cache))
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"cannot fetch Kafka: {' '.join(command)} ended with {done.returncode}: {done.stdout}")
        with contextlib.suppress(OSError):  # another run was faster
            fresh.rename(jars)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return jars
