"""What the boards call drift, by promtool: the large distances of small segments are noise."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from grafana.fleet import DRIFT
from tests.prometheus_server import require_program

pytestmark = pytest.mark.prometheus

READING = 'job="j",instance="a",model="text",model_version="v1",variant="champion",policy="hate"'
THRESHOLD = {"series": 'moderation_drift_threshold{job="j",instance="a",model="text",window="1h",statistic="psi"}'}


def readings(segment: str, *, distance: float, p_value: float, decisions: float) -> list[dict[str, str]]:
    labels = f'{READING},segment="{segment}",window="1h"'
    about = f'{labels},input="score",statistic="psi"'
    return [
        {"series": f"moderation_drift_statistic{{{about}}}", "values": str(distance)},
        {"series": f"moderation_drift_p_value_ratio{{{about}}}", "values": str(p_value)},
        {"series": f"moderation_window_decisions{{{labels}}}", "values": str(decisions)},
    ]


@pytest.mark.parametrize(
    ("large", "shown"),
    [
        ({"distance": 0.5, "p_value": 1e-9, "decisions": 500}, 2.0),
        ({"distance": 0.5, "p_value": 1e-9, "decisions": 499}, 0.0),
        ({"distance": 0.5, "p_value": 1e-3, "decisions": 500}, 0.0),
    ],
    ids=["drift", "too few decisions", "chance"],
)
def test_only_what_the_alert_would_count_is_shown(tmp_path: Path, large: dict[str, float], shown: float) -> None:
    expr = DRIFT.replace("$job", "j").replace("$instance", ".+").replace("$window", "1h").replace("$model", ".+")
    small = readings("language=is", **large)
    series = [{**THRESHOLD, "values": "0.25"}, *small, *readings("all", distance=0.05, p_value=0.4, decisions=90_000)]
    look = {"expr": expr, "eval_time": "0s", "exp_samples": [{"labels": '{model="text"}', "value": shown}]}
    test = {"interval": "15s", "input_series": series, "promql_expr_test": [look]}
    path = tmp_path / "drift.yml"
    path.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "15s", "tests": [test]}))
    done = subprocess.run(
        [require_program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
