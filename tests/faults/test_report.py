"""The report holds one row a test: the last one of this size."""

from __future__ import annotations

from pathlib import Path

from tests.faults.outcome import Outcome, write_report


def rows(path: Path) -> list[str]:
    return [
        line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(("| 2", "| 1", "| exact"))
    ]


def noted(number: str, name: str, *, events: int = 1) -> Outcome:
    return Outcome(number=number, name=name, events=events, faults=1, lost=0, on="2026-01-02")


def test_a_run_of_some_tests_replaces_their_rows_and_keeps_the_others(tmp_path: Path) -> None:
    report = tmp_path / "REPORT.md"
    first = [noted("exact", "all"), noted("25", "delay"), noted("25", "loss"), noted("1", "kill")]
    write_report(first, report, size="full", versions="")
    again = noted("25", "loss", events=12_345)
    write_report([again], report, size="full", versions="")
    assert [one.row() for one in (first[3], first[1], again, first[0])] == rows(report)


def test_rows_of_another_size_are_not_kept(tmp_path: Path) -> None:
    report = tmp_path / "REPORT.md"
    write_report([noted("1", "kill")], report, size="small", versions="")
    write_report([noted("2", "two")], report, size="full", versions="")
    assert [noted("2", "two").row()] == rows(report)
