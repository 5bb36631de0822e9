"""A worker process on the transport, watched from a test."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.kafka_server import end_with_parent

Line = tuple[int, int, int, list[int]]


class Worker:
    """One `python -m tests.streaming.apps`; `lines` are the batches that it said were processed.

    A line is (partition, first offset, offset after the last, values).
    """

    def __init__(self, bootstrap: str, topic: str, output: Path, **options: float) -> None:
        command = [sys.executable, "-m", "tests.streaming.apps", bootstrap, topic, str(output)]
        command += [f"--{name}={value}" for name, value in options.items()]
        self.output = output
        with output.with_suffix(".log").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=Path(__file__).parents[2], stderr=log, preexec_fn=end_with_parent
            )

    def lines(self) -> list[Line]:
        text = self.output.read_text() if self.output.exists() else ""
        return [tuple(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def log(self) -> str:
        """The end of what it wrote to standard error."""
        return self.output.with_suffix(".log").read_text()[-3000:]

    def values(self) -> list[int]:
        return [value for *_, values in self.lines() for value in values]

    def until(self, condition: Callable[[list[Line]], bool], *, within: float = 120.0) -> None:
        """Wait until the lines fulfil a condition; fails when they do not in time."""
        deadline = time.monotonic() + within
        while not condition(self.lines()):
            assert time.monotonic() < deadline, f"not within {within} s; {len(self.lines())} batches; {self.log()}"
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue

    def until_at(self, offset: int) -> None:
        """Wait until the last line ends at an offset."""
        self.until(lambda lines: bool(lines) and lines[-1][2] == offset)

    def stop(self) -> int:
        """Send SIGTERM; the exit code, or `TimeoutExpired` after 60 s."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def committed(bootstrap: str, topic: str) -> int:
    """What the broker says the workers have committed on partition 0."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "worker"})
    [found] = reader.committed([TopicPartition(topic, 0)], timeout=10)
    reader.close()
    return int(found.offset)
