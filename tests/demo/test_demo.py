"""The demo as a newcomer starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

from monitor.demo.companions import RULES, faster

COMMAND = (sys.executable, "-m", "monitor.cli", "demo")


QUIET = ("image-guard", "post-fusion")
WITHIN_SECONDS = 180.0


def told(table: str, model: str) -> str:
    """What a table says of a model: its row with the lines that continue it."""
    rows = re.split(r"\n│ (?=\S)", table)
    return " ".join(row for row in rows if row.startswith(f"{model} "))


def test_the_demo_shows_the_precision_drop_and_an_interrupt_ends_it_in_order() -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    demo = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert demo.stdout is not None
    output, table = "", ""
    for line in demo.stdout:
        output += line
        if "readings over the last" in line:
            table = output[output.rindex("event time 2") :] if "event time 2" in output else ""
            if "language=es" in told(table, "text-guard") or time.monotonic() > deadline:
                break
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)

    assert 0 == demo.returncode, rest
    assert "status page  http://127.0.0.1:" in output
    assert "below 90%" in told(table, "text-guard"), output[-3000:]
    assert "language=es" in told(table, "text-guard"), output[-3000:]
    for quiet in QUIET:
        assert told(table, quiet)
        assert "below" not in told(table, quiet), told(table, quiet)
    assert "demo ended" in rest


def test_the_demo_ends_by_itself_after_its_duration() -> None:
    done = subprocess.run([*COMMAND, "--duration", "25"], capture_output=True, text=True, timeout=120, check=False)

    assert 0 == done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    assert "demo ended" in done.stdout


def test_waiting_times_of_rules_run_as_fast_as_the_demo() -> None:
    alert = {"alert": "A", "expr": "up", "for": "1h30m", "keep_firing_for": "6m"}
    recording = {"record": "r", "expr": "up"}
    rules = {"groups": [{"name": "g", "interval": "30s", "rules": [alert, recording]}]}

    quick = faster(rules, speed=60.0)["groups"][0]

    assert {"alert": "A", "expr": "up", "for": "90000ms", "keep_firing_for": "6000ms"} == quick["rules"][0]
    assert {"record": "r", "expr": "up"} == quick["rules"][1]


def test_the_rules_of_the_repository_are_found() -> None:
    assert sorted(path.name for path in RULES.glob("*.yml")) == ["moderation.yml", "monitor.yml"]
