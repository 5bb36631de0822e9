"""The fixtures themselves: what is missing is skipped at home and fails in CI; what does not start says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prometheus_server import PrometheusConfig, PrometheusServer, require_program, until


def test_a_missing_program_skips_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program"):
        require_program("no-such-program")


def test_a_missing_program_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        require_program("no-such-program")


def test_waiting_ends_at_its_deadline() -> None:
    with pytest.raises(TimeoutError, match="for nothing"):
        until(lambda: None, seconds=0.0, what="nothing")


@pytest.mark.prometheus
def test_a_server_that_ends_at_its_start_shows_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("groups: [{name: broken, rules: [{record: a, expr: 'sum('}]}]\n")
    server = PrometheusServer(tmp_path / "server", PrometheusConfig({}, rules=[broken]))
    with pytest.raises(RuntimeError, match="broken"):
        server.start()


@pytest.mark.prometheus
def test_a_refused_query_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    with PrometheusServer(tmp_path, PrometheusConfig({})) as server:
        assert [{"metric": {}, "value": ["1", "2"]}] == [
            {**one, "value": ["1", one["value"][1]]} for one in server.query("scalar(vector(1)) + 1")
        ]
        with pytest.raises(ValueError, match="parse error"):
            server.query("sum(")
