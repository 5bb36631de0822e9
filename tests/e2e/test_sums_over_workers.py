"""Sums over all partitions, as the alerts on events use them, of two real workers seen by a real Prometheus.

What the workers export has to fit the rule: where it did not, no sum would be known and no alert would ever fire.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deploy.prometheus.build import RULES
from deploy.prometheus.promql import JOB, known, total
from deploy.prometheus.service import DEAD_LETTERS_KNOWN, PARTITIONS_SEEN
from monitor import catalogue
from tests.e2e import topics
from tests.e2e.events import DECISIONS, decision, record
from tests.e2e.published import publish
from tests.e2e.shared import until_shared
from tests.e2e.worker_process import WorkerProcess
from tests.kafka_server import KafkaServer
from tests.prometheus_server import PrometheusConfig, PrometheusServer

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus]

ACCEPTED = 400
REFUSED = 40
SETTLING = "2s"


def test_a_sum_stays_while_partitions_move_between_two_workers(own_kafka: KafkaServer, tmp_path: Path) -> None:
    topics.create(own_kafka, source=4, internal=4)
    settings = {"poison.maximum_ratio": 0.999}
    letters = total(f'{catalogue.DEAD_LETTERS}{{topic="{DECISIONS}"}}', "reason")
    whole = known(DEAD_LETTERS_KNOWN, letters, partitions=PARTITIONS_SEEN, settling=SETTLING)
    with (
        WorkerProcess(own_kafka.bootstrap, tmp_path / "first", settings=settings) as first,
        WorkerProcess(own_kafka.bootstrap, tmp_path / "second", settings=settings) as second,
    ):
        until_shared(first, second)
        publish(own_kafka.bootstrap, [record(decision(f"d{number}")) for number in range(ACCEPTED)])
        publish(own_kafka.bootstrap, [record(b"{", key=str(number).encode()) for number in range(REFUSED)])
        addresses = [worker.url.removeprefix("http://") for worker in (first, second)]
        config = PrometheusConfig({JOB: addresses}, rules=[RULES / "monitor.yml"])
        with PrometheusServer(tmp_path / "prometheus", config) as prometheus:
            assert [DECISIONS] == [
                series["metric"]["topic"] for series in prometheus.wait_for(f"({whole}) == {REFUSED}")
            ]
            begin = time.time()
            assert 0 == second.terminate(within=10)
            prometheus.wait_for(f"({letters}) == {REFUSED} and on () sum(up) == 1")
            [sums] = prometheus.query_range(whole, start=begin, end=time.time(), step=1)
    # The plain sum falls while nobody has read the partitions back: this one is told by all of them or not at all.
    assert {float(REFUSED)} == {float(value) for _, value in sums["values"]}
