"""What the panels of the service show while partitions move between workers, by promtool."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.promql import rate, service_rate
from monitor import catalogue
from tests.prometheus_server import require_program

pytestmark = pytest.mark.prometheus

JOB = "moderation-monitor"
TRUTH = 60.0
"""Records a second: half of them of each of the two partitions."""


def series(name: str, instance: str, values: str, **labels: str) -> dict[str, str]:
    told = ",".join(f'{key}="{value}"' for key, value in {"job": JOB, "instance": instance, **labels}.items())
    return {"series": f"{name}{{{told}}}", "values": values}


def worker(name: str, instance: str, values: str) -> dict[str, str]:
    return series(name, instance, values, topic="moderation.decisions")


def lag(instance: str, partition: int, values: str) -> dict[str, str]:
    return series("monitor_lag_records", instance, values, topic="moderation.blocks", partition=str(partition))


# Every 15 seconds. At minute 10 one of a's two partitions goes to b, which shows 0 until then; at minute 20 it is back.
MOVE = [
    series("up", "a", "1x120"),
    series("up", "b", "1x120"),
    lag("a", 0, "0x120"),
    lag("a", 1, "0x39 stale _x39 0x40"),
    lag("b", 1, "_x40 0x39 stale"),
    worker("monitor_records_total", "a", "4000000+900x39 2018000+450x39 4072000+900x40"),
    worker("monitor_records_total", "b", "0x39 2018000+450x39 0x40"),
]


def chosen(expr: str) -> str:
    return expr.replace("$__rate_interval", "60s").replace("$job", JOB).replace("$instance", ".+")


def test_no_flood_is_shown_when_partitions_move(tmp_path: Path) -> None:
    careful, plain = (chosen(told(("topic",), catalogue.RECORDS)) for told in (service_rate, rate))
    looks: list[dict[str, Any]] = [
        {"expr": f"({careful}) > {TRUTH + 0.01}", "eval_time": f"{at}s", "exp_samples": []} for at in range(0, 1800, 15)
    ]
    one = [{"labels": "{}", "value": 1}]
    # A minute after each move all is shown again; a sum of plain rates is a flood at both.
    looks += [
        {"expr": f"count(({careful}) > {TRUTH - 0.01})", "eval_time": f"{at}s", "exp_samples": one}
        for at in (*range(60, 600, 15), *range(660, 1200, 15), *range(1260, 1800, 15))
    ]
    looks += [{"expr": f"count(({plain}) > 10000)", "eval_time": f"{at}s", "exp_samples": one} for at in (615, 1215)]
    test = {"interval": "15s", "input_series": MOVE, "promql_expr_test": looks}
    path = tmp_path / "moves.yml"
    path.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "15s", "tests": [test]}))
    done = subprocess.run(
        [require_program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
