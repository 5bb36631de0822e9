"""A steady stream of decisions from a process of its own, until it is told to stop: `with Load(...) as load`.

With `reviews` each sampled decision, one in two hundred, gets an audit without context right after it. The stream keeps
its rate on average of a second; where it cannot, it does not catch up, and `stop` tells what it did.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from monitor.topics import REVIEWS
from tests.bench.decisions import SAMPLED_MARK, Decisions, Publisher
from tests.kafka_server import end_with_parent

PAUSE: Final = 0.005
AT_ONCE: Final = 4000
BEHIND_SECONDS: Final = 1.0


class Produced(msgspec.Struct, frozen=True):
    """What a stream has published."""

    decisions: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Decisions a second."""
        return self.decisions / self.seconds


class Load:
    """A stream of decisions to all partitions in turn. Ends with the block."""

    def __init__(
        self,
        bootstrap: str,
        *,
        rate: float,
        partitions: int,
        models: int = 5,
        policies: int = 4,
        reviews: bool = False,
        seed: int = 2,
    ) -> None:
        told: list[Any] = ["--rate", rate, "--partitions", partitions, "--models", models, "--policies", policies]
        told += ["--reviews"] if reviews else []
        self._command = [sys.executable, "-m", "tests.bench.load", bootstrap, *map(str, told), "--seed", str(seed)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> Produced:
        """End the stream; RuntimeError when it has failed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        told, _ = self._process.communicate(timeout=60)
        if self._process.returncode:
            raise RuntimeError(f"load: ended with {self._process.returncode}: {told}")
        return msgspec.json.decode(told, type=Produced)


def stream(
    publisher: Publisher, decisions: Decisions, *, rate: float, partitions: int, reviews: Publisher | None = None
) -> Produced:
    """Publish decisions at a rate until SIGTERM, with reviews of the sampled ones if there is a publisher for them."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    begun = since = time.perf_counter()
    sent = 0
    while not told:
        now = time.perf_counter()
        due = int((now - since) * rate) - sent
        if due <= 0:
            time.sleep(PAUSE)
            continue
        if due > BEHIND_SECONDS * rate:
            since, sent, due = now, 0, 1
        values = decisions.batch(min(due, AT_ONCE), int(1000 * time.time()))
        for partition in range(partitions):
            publisher.publish_all(partition, values[partition::partitions])
        if reviews is not None:
            for value in values:
                if SAMPLED_MARK in value:
                    reviews.publish(reviews.count % partitions, audit(value, number=reviews.count))
        sent += len(values)
    publisher.flush()
    if reviews is not None:
        reviews.flush()
    return Produced(publisher.count, time.perf_counter() - begun, time.process_time())


def audit(decision: bytes, *, number: int) -> bytes:
    """A review of a sampled decision, without its context."""
    about = msgspec.json.decode(decision)
    event = {
        "review_id": f"{about['decision_id']}-r",
        "decision_id": about["decision_id"],
        "reviewed_at": about["occurred_at"],
        "verdict": "violating" if number % 4 else "benign",
        "source": "audit",
        "inclusion_probability": about["inclusion_probability"],
    }
    return msgspec.json.encode(event)


def main() -> None:
    """Publish until SIGTERM, then say what was done as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--policies", type=int, default=4)
    parser.add_argument("--compression", default="lz4")
    parser.add_argument("--reviews", action="store_true")
    parser.add_argument("--seed", type=int, default=2)
    told = parser.parse_args()
    decisions = Decisions(models=told.models, policies=told.policies, seed=told.seed)
    publisher = Publisher(told.bootstrap, compression=told.compression)
    reviews = Publisher(told.bootstrap, topic=REVIEWS, compression=told.compression) if told.reviews else None
    done = stream(publisher, decisions, rate=told.rate, partitions=told.partitions, reviews=reviews)
    print(msgspec.json.encode(done).decode(), flush=True)


if __name__ == "__main__":
    main()
