"""Faults 5, 6 and 7: the broker is killed and comes back or stays away, is not there at the start, or at the end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from tests.e2e import topics
from tests.e2e.worker_process import POLL_SECONDS, WorkerProcess
from tests.faults.conftest import PATIENCE, Size
from tests.faults.fleet import Crew
from tests.faults.traffic import Publisher, publishing, simulated_minutes
from tests.faults.verdict import Verdict, settle
from tests.kafka_server import KafkaServer
from tests.ports import free_port

pytestmark = pytest.mark.kafka

Seen = TypeVar("Seen")

RESUMES_SECONDS = 60.0
STARTS_SECONDS = 10.0
STOPS_SECONDS = 30.0
AWAY_SECONDS = 40.0
"""Less than the 120 after which a worker that cannot write ends by itself, more than one request may take."""
PATIENT_SECONDS = 30
GIVES_UP_SECONDS = 90.0
"""Those after which it ends by itself here, those that its end may take, and as many again."""
LINES_PER_SECOND = 5.0
UNAVAILABLE = 69
BUSY_SECONDS = 60.0
"""The small size shares its machine with whatever else runs; how long it took is in the report."""


def test_a_broker_that_is_killed_and_comes_back_costs_a_pause_and_no_record(
    fault_kafka: KafkaServer, tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    kills, apart = (5, 60.0) if size == "full" else (1, 0.0)
    topics.create(fault_kafka)
    batches = list(simulated_minutes(decisions=12_000 * kills, minutes=20 * kills, seed=11))
    records = sum(map(len, batches))
    stalls: list[float] = []
    lines: list[float] = []
    with WorkerProcess(fault_kafka.bootstrap, tmp_path / "worker") as worker:
        crew = Crew({"only": worker.until_ready()})
        with publishing(fault_kafka.bootstrap, batches, per_second=1000 if size == "small" else 300) as publisher:
            for number in range(kills):
                crew.until_counted(records * number // (kills + 1), publisher)
                said, begin = log_lines(worker), time.monotonic()
                fault_kafka.kill()
                pass_seconds(3.0)  # so that clients notice before it is back
                fault_kafka.start()
                stalls.append(until_resumed(crew, publisher, records, within=2 * RESUMES_SECONDS * PATIENCE[size]))
                lines.append((log_lines(worker) - said) / (time.monotonic() - begin))
                pass_seconds(apart)
        verdict = settle(crew, fault_kafka.bootstrap, publisher)
        restarts = len(list(worker.directory.glob("worker-*.log"))) - 1
    assert max(stalls) < RESUMES_SECONDS * PATIENCE[size]
    assert max(lines) < LINES_PER_SECOND
    outcome(
        number="5",
        name="broker kill -9 and restart",
        events=verdict.events,
        faults=kills,
        lost=verdict.lost,
        stall_seconds=max(stalls),
        told=f"{restarts} restarts, {max(lines):.1f} log lines a second at most",
    )


def test_a_broker_that_stays_away_ends_a_worker_that_has_to_write_with_its_reason_and_loses_nothing(
    fault_kafka: KafkaServer, tmp_path: Path
) -> None:
    def until_it_ends(worker: WorkerProcess) -> list[str]:
        assert UNAVAILABLE == worker.wait(within=GIVES_UP_SECONDS), worker.log()
        return [event["error"] for event in worker.events() if event["event"] == "stopped by a failure"]

    patience = {"watchdog.progress_seconds": PATIENT_SECONDS}
    told, _ = without_broker(fault_kafka, tmp_path, until_it_ends, settings=patience)
    assert [f"Kafka took no record for {PATIENT_SECONDS} seconds"] == [error.partition(":")[0] for error in told]


def test_a_broker_that_is_down_at_the_start_ends_it_soon_with_one_line_and_without_metrics(
    tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    port = free_port()
    answers = 0
    begin = time.monotonic()
    with WorkerProcess(f"127.0.0.1:{free_port()}", tmp_path / "worker", settings={"http.port": port}) as worker:
        while worker.running:
            answers += answered(port)
            assert time.monotonic() - begin < BUSY_SECONDS, "does not end"
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - begin
        assert UNAVAILABLE == worker.wait(within=1)
        said = [event["event"] for event in worker.events() if event["logger"] == "monitor.worker"]
    assert ["not started"] == said
    assert seconds < (STARTS_SECONDS if size == "full" else BUSY_SECONDS)
    assert 0 == answers
    outcome(
        number="6",
        name="broker down at start",
        events=0,
        faults=1,
        lost=0,
        told=f"exit {UNAVAILABLE} in {seconds:.1f} s",
    )


def test_sigterm_while_the_broker_is_down_ends_the_worker_in_time_and_loses_nothing(
    fault_kafka: KafkaServer, tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    def ended(worker: WorkerProcess) -> tuple[int, float]:
        pass_seconds(AWAY_SECONDS if size == "full" else 1.0)
        return terminated(worker)

    (code, seconds), verdict = without_broker(fault_kafka, tmp_path, ended)
    assert 0 == code
    assert seconds < STOPS_SECONDS
    outcome(
        number="7",
        name="SIGTERM while the broker is down",
        events=verdict.events,
        faults=1,
        lost=verdict.lost,
        told=f"exit {code} in {seconds:.1f} s",
    )


def without_broker(
    kafka: KafkaServer,
    directory: Path,
    meanwhile: Callable[[WorkerProcess], Seen],
    *,
    settings: Mapping[str, object] | None = None,
) -> tuple[Seen, Verdict]:
    """What `meanwhile` saw of a worker whose broker was killed while it counted, and the verdict when both are back."""
    topics.create(kafka)
    batches = list(simulated_minutes(decisions=10_000, minutes=20, seed=11))
    with WorkerProcess(kafka.bootstrap, directory / "worker", settings=settings) as worker:
        crew = Crew({"only": worker.until_ready()})
        with publishing(kafka.bootstrap, batches, per_second=10_000) as publisher:
            crew.until_counted(sum(map(len, batches)) // 4, publisher)
            kafka.kill()
            seen = meanwhile(worker)
            kafka.start()
            worker.start()
        worker.until_ready(within=BUSY_SECONDS)
        return seen, settle(crew, kafka.bootstrap, publisher)


def terminated(worker: WorkerProcess) -> tuple[int, float]:
    """Exit code after SIGTERM, and how long it took."""
    begin = time.monotonic()
    try:
        code = worker.terminate(within=STOPS_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"not ended within {STOPS_SECONDS:g} s of SIGTERM:\n{worker.log()[-4000:]}")
    return code, time.monotonic() - begin


def until_resumed(crew: Crew, publisher: Publisher, end: int, *, within: float) -> float:
    """Seconds until the worker counts what is published after the fault; it is started again when it has ended.

    `end`: so many records there will be.
    """
    begin, wanted = time.monotonic(), min(publisher.acknowledged + 1, end)
    while crew.records() < wanted:
        publisher.check()
        for worker in crew.workers.values():
            if not worker.running:
                worker.start()
        assert time.monotonic() - begin < within, crew.logs()
        time.sleep(POLL_SECONDS)
    return time.monotonic() - begin


def answered(port: int) -> int:
    try:
        httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=1.0)
    except httpx.HTTPError:
        return 0
    return 1


def log_lines(worker: WorkerProcess) -> int:
    """Lines of all its runs so far."""
    return sum(len(path.read_text().splitlines()) for path in worker.directory.glob("worker-*.log"))


def pass_seconds(seconds: float) -> None:
    """The span between two faults."""
    time.sleep(seconds)
